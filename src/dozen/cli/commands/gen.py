"""Making configuration and secrets offline; certificates and keys are in `gen_pki`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.commands import gen_pki
from dozen.cli.commands.gen_pki import force_option, write
from dozen.cli.session import guarded

if TYPE_CHECKING:
    from dozen.machinery.config import Bundle, Choices
    from dozen.machinery.config.secrets import Secrets

FILES = {"controlplane": "controlplane.yaml", "worker": "worker.yaml", "talosconfig": "talosconfig"}
# Options of clients that people know, which change nothing here: what they ask for is so anyway, or does not exist.
_ACCEPTED = ("with_docs", "with_examples", "with_cluster_discovery", "persist", "talos_version", "version")


@click.group("gen")
def gen() -> None:
    """Generate configuration, secrets, certificates and keys, without any node."""


for each in gen_pki.COMMANDS:
    gen.add_command(each)


@gen.command("config")
@click.argument("cluster")
@click.argument("endpoint")
@click.option("--with-secrets", type=click.Path(path_type=Path), help="Secrets from `gen secrets` instead of new ones.")
@click.option("--additional-sans", multiple=True, help="More names and addresses of the machines, with commas.")
@click.option("--install-disk", default="/dev/sda", show_default=True, help="The disk to install to; empty for none.")
@click.option("--install-image", default="", help="The image to install from.")
@click.option("--kubernetes-version", default="", help="Another version of Kubernetes than the one in the image cache.")
@click.option("--dns-domain", default="cluster.local", show_default=True, help="The cluster's domain.")
@click.option("--registry-mirror", "mirrors", multiple=True, metavar="REGISTRY=URL", help="Where to pull from first.")
@click.option(
    "--config-patch", "patches", help="Lay over all files: @file, or the patch itself.", multiple=True, metavar="PATCH"
)
@click.option(
    "--config-patch-control-plane", "leader_patches", help="Lay over controlplane.yaml.", multiple=True, metavar="PATCH"
)
@click.option("--config-patch-worker", "worker_patches", help="Lay over worker.yaml.", multiple=True, metavar="PATCH")
@click.option("-o", "--output", "--output-dir", "folder", default="", help="Folder, or file for one type; - prints.")
@click.option("-t", "--output-types", default=",".join(FILES), show_default=True, help="What to write, with commas.")
@click.option("--with-docs/--no-with-docs", default=True, hidden=True)
@click.option("--with-examples/--no-with-examples", default=True, hidden=True)
@click.option("--with-cluster-discovery/--no-with-cluster-discovery", default=True, hidden=True)
@click.option("-p", "--persist/--no-persist", default=True, hidden=True)
@click.option("--talos-version", default="", hidden=True)
@click.option("--version", default="v1alpha1", hidden=True)
@force_option
def generate(cluster: str, endpoint: str, folder: str, output_types: str, force: bool, **values: Any) -> None:
    """Write controlplane.yaml, worker.yaml and talosconfig for CLUSTER, whose Kubernetes API is at ENDPOINT."""

    def work() -> None:
        wanted = [kind.strip() for kind in output_types.split(",") if kind.strip()]
        for kind in wanted:
            if kind not in FILES:
                raise click.BadParameter(f'there is no "{kind}"; there are: {", ".join(FILES)}')
        places = _places(folder, wanted)
        if not force:
            for path in places.values():
                if str(path) != "-" and path.exists():
                    raise FileExistsError(17, "exists already; --force writes over it", str(path))
        bundle = _make(cluster, endpoint, {name: each for name, each in values.items() if name not in _ACCEPTED})
        texts = {"controlplane": bundle.controlplane, "worker": bundle.worker, "talosconfig": bundle.talosconfig}
        if len(wanted) > 1 and set(places.values()) == {Path("-")}:
            click.echo("---\n".join(texts[kind] for kind in wanted), nl=False)
            return
        for kind, path in places.items():
            write(path, texts[kind], force)

    guarded(work)


def _places(folder: str, wanted: Sequence[str]) -> dict[str, Path]:
    """Where each goes: a single one may be given a file's name."""
    if folder == "-":
        return dict.fromkeys(wanted, Path("-"))
    path = Path(folder)
    if len(wanted) == 1 and folder and not path.is_dir() and not folder.endswith("/"):
        return {wanted[0]: path}
    return {kind: path / FILES[kind] for kind in wanted}


def _make(cluster: str, endpoint: str, values: dict[str, Any]) -> Bundle:
    from dozen.machinery.config import generate as make
    from dozen.machinery.config.secrets import parse

    path: Path | None = values["with_secrets"]
    secrets = parse(path.read_text(), str(path)) if path else None
    sans = [name.strip() for value in values["additional_sans"] for name in value.split(",") if name.strip()]
    return make(cluster, endpoint, secrets=secrets, sans=sans, choices=_choices(values))


def _choices(values: dict[str, Any]) -> Choices:
    from dozen.cli.patches import read_patches
    from dozen.machinery.config import Choices
    from dozen.machinery.kubernetes import versions

    mirrors: dict[str, list[str]] = {}
    for value in values["mirrors"]:
        registry, sign, url = value.partition("=")
        if not sign or "://" not in url:
            raise click.BadParameter(f'expected REGISTRY=URL like docker.io=http://10.0.0.3:5000, found "{value}"')
        mirrors.setdefault(registry, []).append(url)
    return Choices(
        install_disk=values["install_disk"],
        install_image=values["install_image"],
        kubernetes_version=values["kubernetes_version"] or versions.KUBERNETES,
        dns_domain=values["dns_domain"],
        mirrors=mirrors,
        patches=read_patches(values["patches"]),
        controlplane_patches=read_patches(values["leader_patches"]),
        worker_patches=read_patches(values["worker_patches"]),
    )


@gen.command("secrets")
@click.option("-o", "--output-file", "path", type=click.Path(path_type=Path), default=Path("secrets.yaml"))
@click.option("--from-controlplane-config", "config", type=click.Path(path_type=Path), help="Take those of this file.")
@click.option("--from-kubernetes-pki", "pki", type=click.Path(path_type=Path), help="Take over kubeadm's authorities.")
@click.option("-t", "--kubernetes-bootstrap-token", "token", default="", help="Use this bootstrap token.")
@click.option("--talos-version", default="", hidden=True)
@force_option
def secrets(path: Path, config: Path | None, pki: Path | None, token: str, talos_version: str, force: bool) -> None:
    """Write the secrets of a new cluster, for `gen config --with-secrets`."""

    def work() -> None:
        import msgspec

        from dozen.machinery.config.scalars import check_token
        from dozen.machinery.config.secrets import render

        made = _secrets(config, pki)
        if token:
            if (complaint := check_token(token)) is not None:
                raise click.BadParameter(complaint)
            made = msgspec.structs.replace(made, bootstrap_token=token)
        write(path, render(made), force)

    guarded(work)


def _secrets(config: Path | None, folder: Path | None) -> Secrets:
    from dozen.machinery.config import load
    from dozen.machinery.config.secrets import from_config, new_secrets, with_kubernetes_pki

    if config is not None:
        return from_config(load(config.read_text(), str(config)))
    made = new_secrets()
    if folder is None:
        return made
    names = [f"{stem}.{end}" for stem in ("ca", "front-proxy-ca", "etcd/ca") for end in ("crt", "key")]
    return with_kubernetes_pki(made, {name: (folder / name).read_text() for name in (*names, "sa.key")})
