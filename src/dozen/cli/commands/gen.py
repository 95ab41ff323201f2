"""Making configuration, secrets, certificates and keys offline, and checking a configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dozen.cli.session import Session, command, guarded, write_private

_force = click.option("-f", "--force", is_flag=True, help="Write over files that are there.")


@click.group("gen")
def gen() -> None:
    """Generate configuration, secrets, certificates and keys, without any node."""


def _write(path: Path, text: str, force: bool) -> None:
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    if path.exists() and not force:
        raise FileExistsError(17, "exists already; --force writes over it", str(path))
    write_private(path, text)
    click.echo(f"{path} is written", err=True)


@gen.command("config")
@click.argument("cluster")
@click.argument("endpoint")
@click.option("--with-secrets", type=click.Path(path_type=Path), help="Secrets from `gen secrets` instead of new ones.")
@click.option("--additional-sans", default="", help="More names and addresses of the machines, with commas.")
@click.option("--install-disk", default="/dev/sda", show_default=True, help="The disk to install to; empty for none.")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder to write to.")
@click.option("-t", "--output-types", default="controlplane,worker,talosconfig", show_default=True)
@_force
def generate(
    cluster: str,
    endpoint: str,
    with_secrets: Path | None,
    additional_sans: str,
    install_disk: str,
    folder: Path,
    output_types: str,
    force: bool,
) -> None:
    """Write controlplane.yaml, worker.yaml and talosconfig for CLUSTER, whose Kubernetes API is at ENDPOINT."""

    def work() -> None:
        from dozen.machinery.config import generate as make
        from dozen.machinery.config.secrets import parse

        secrets = parse(with_secrets.read_text(), str(with_secrets)) if with_secrets else None
        sans = [name.strip() for name in additional_sans.split(",") if name.strip()]
        bundle = make(cluster, endpoint, secrets=secrets, sans=sans, install_disk=install_disk)
        texts = {
            "controlplane": ("controlplane.yaml", bundle.controlplane),
            "worker": ("worker.yaml", bundle.worker),
            "talosconfig": ("talosconfig", bundle.talosconfig),
        }
        wanted = output_types.split(",")
        for kind in wanted:
            if kind not in texts:
                raise click.BadParameter(f'there is no "{kind}"; there are: {", ".join(texts)}')
        if not force:
            for kind in wanted:
                if (taken := folder / texts[kind][0]).exists():
                    raise FileExistsError(17, "exists already; --force writes over it", str(taken))
        for kind in wanted:
            name, text = texts[kind]
            _write(folder / name if str(folder) != "-" else folder, text, force)

    guarded(work)


@gen.command("secrets")
@click.option("-o", "--output-file", "path", type=click.Path(path_type=Path), default=Path("secrets.yaml"))
@_force
def secrets(path: Path, force: bool) -> None:
    """Write the secrets of a new cluster, for `gen config --with-secrets`."""

    def work() -> None:
        from dozen.machinery.config.secrets import new_secrets, render

        _write(path, render(new_secrets()), force)

    guarded(work)


@gen.command("ca")
@click.option("--organization", default="talos", show_default=True, help="Whom the authority belongs to.")
@click.option("--hours", default=87600, show_default=True, help="How long it is good.")
@click.option("--name", default="", help="Name of the files; the organization's by default.")
@_force
def authority(organization: str, hours: int, name: str, force: bool) -> None:
    """Write an Ed25519 authority: NAME.crt, NAME.key, NAME.sha256."""

    def work() -> None:
        from dozen.machinery.pki import fingerprint, new_ca

        stem = name or organization
        pair = new_ca(organization=organization, lifetime=hours * 3600)
        texts = {f"{stem}.crt": pair.crt, f"{stem}.sha256": f"{fingerprint(pair.crt)}\n", f"{stem}.key": pair.key}
        for file, text in texts.items():
            _write(Path(file), text, force)

    guarded(work)


@gen.command("client")
@click.option("--ca", default="talos", show_default=True, help="Stem of the authority's files (.crt and .key).")
@click.option("--roles", default="os:admin", show_default=True, help="Roles, with commas.")
@click.option("--hours", default=8760, show_default=True, help="How long it is good.")
@click.option("--name", default="client", show_default=True, help="Name of the files.")
@_force
def client(ca: str, roles: str, hours: int, name: str, force: bool) -> None:
    """Write a client's certificate and key, signed by an authority: NAME.crt and NAME.key."""

    def work() -> None:
        from dozen.machinery.pki import Keypair, client_certificate

        issuer = Keypair(Path(f"{ca}.crt").read_text(), Path(f"{ca}.key").read_text())
        pair = client_certificate(issuer, [role.strip() for role in roles.split(",")], hours * 3600)
        _write(Path(f"{name}.crt"), pair.crt, force)
        _write(Path(f"{name}.key"), pair.key, force)

    guarded(work)


@command("validate")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-c", "--config", "more", multiple=True, type=click.Path(path_type=Path), help="A file; as an argument.")
def validate(session: Session, files: tuple[Path, ...], more: tuple[Path, ...]) -> None:
    """Check machine configurations (- reads the input); tells everything that is wrong, with lines."""
    from dozen.machinery.config import ConfigError, load

    refused = 0
    paths = [*files, *more]
    if not paths:
        raise click.UsageError("Name at least one file.")
    for path in paths:
        name = "input" if str(path) == "-" else str(path)
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        try:
            config = load(text, name)
        except ConfigError as error:
            refused += 1
            click.echo(str(error), err=True)
        else:
            kind = config.machine_type if config.is_complete else "incomplete"
            click.echo(f"{name} is valid ({kind}, {len(config.parts) + config.is_complete} documents)")
    if refused:
        sys.exit(1)
