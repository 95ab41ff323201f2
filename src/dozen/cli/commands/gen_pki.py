"""Making certificates and keys offline: authorities, keys, requests, and certificates signed by an authority."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dozen.cli.session import guarded, write_private

force_option = click.option("-f", "--force", is_flag=True, help="Write over files that are there.")


def write(path: Path, text: str, force: bool) -> None:
    """A file for its owner alone, or the output for ``-``. Raises FileExistsError."""
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    if path.exists() and not force:
        raise FileExistsError(17, "exists already; --force writes over it", str(path))
    write_private(path, text)
    click.echo(f"{path} is written", err=True)


@click.command("ca")
@click.option("--organization", default="talos", show_default=True, help="Whom the authority belongs to.")
@click.option("--hours", default=87600, show_default=True, help="How long it is good.")
@click.option("--name", default="", help="Name of the files; the organization's by default.")
@click.option("--rsa", is_flag=True, hidden=True)
@force_option
def authority(organization: str, hours: int, name: str, rsa: bool, force: bool) -> None:
    """Write an Ed25519 authority: NAME.crt, NAME.key, NAME.sha256."""

    def work() -> None:
        from dozen.machinery.pki import fingerprint, new_ca

        if rsa:
            raise click.UsageError("The machine API's authorities are Ed25519; RSA ones cannot be made.")
        stem = name or organization
        pair = new_ca(organization=organization, lifetime=hours * 3600)
        texts = {f"{stem}.crt": pair.crt, f"{stem}.sha256": f"{fingerprint(pair.crt)}\n", f"{stem}.key": pair.key}
        for file, text in texts.items():
            write(Path(file), text, force)

    guarded(work)


@click.command("client")
@click.option("--ca", default="talos", show_default=True, help="Stem of the authority's files (.crt and .key).")
@click.option("--roles", default="os:admin", show_default=True, help="Roles, with commas.")
@click.option("--hours", default=8760, show_default=True, help="How long it is good.")
@click.option("--name", default="client", show_default=True, help="Name of the files.")
@force_option
def client(ca: str, roles: str, hours: int, name: str, force: bool) -> None:
    """Write a client's certificate and key, signed by an authority: NAME.crt and NAME.key."""

    def work() -> None:
        from dozen.machinery.pki import Keypair, client_certificate

        issuer = Keypair(Path(f"{ca}.crt").read_text(), Path(f"{ca}.key").read_text())
        pair = client_certificate(issuer, [role.strip() for role in roles.split(",")], hours * 3600)
        write(Path(f"{name}.crt"), pair.crt, force)
        write(Path(f"{name}.key"), pair.key, force)

    guarded(work)


@click.command("key")
@click.option("--name", required=True, help="Name of the file, without .key.")
@force_option
def key(name: str, force: bool) -> None:
    """Write an Ed25519 private key: NAME.key."""

    def work() -> None:
        from dozen.machinery import x509
        from dozen.machinery.pki import KEY_LABEL, to_pem

        write(Path(f"{name}.key"), to_pem(KEY_LABEL, x509.private_key(os.urandom(32))), force)

    guarded(work)


@click.command("csr")
@click.option("--key", "path", required=True, type=click.Path(path_type=Path), help="The key to ask for (PEM).")
@click.option("--ip", "addresses", multiple=True, help="An address to be certified.")
@click.option("--roles", default="os:admin", show_default=True, help="Roles to be certified, with commas.")
@force_option
def request(path: Path, addresses: tuple[str, ...], roles: str, force: bool) -> None:
    """Write a certificate request for a key: the key's name with .csr."""

    def work() -> None:
        from dozen.machinery.pki_requests import make_request

        wanted = [role.strip() for role in roles.split(",") if role.strip()]
        write(path.with_suffix(".csr"), make_request(path.read_text(), wanted, addresses), force)

    guarded(work)


@click.command("crt")
@click.option("--ca", required=True, help="Stem of the authority's files (.crt and .key).")
@click.option("--csr", required=True, type=click.Path(path_type=Path), help="The request, from `gen csr`.")
@click.option("--name", required=True, help="Name of the file, without .crt.")
@click.option("--hours", default=24, show_default=True, help="How long it is good.")
@force_option
def certificate(ca: str, csr: Path, name: str, hours: int, force: bool) -> None:
    """Write the certificate that a request asks for, signed by an authority: NAME.crt."""

    def work() -> None:
        from dozen.machinery.pki import Keypair
        from dozen.machinery.pki_requests import sign_request

        issuer = Keypair(Path(f"{ca}.crt").read_text(), Path(f"{ca}.key").read_text())
        write(Path(f"{name}.crt"), sign_request(issuer, csr.read_text(), hours * 3600), force)

    guarded(work)


@click.command("keypair")
@click.option("--organization", required=True, help="Whom it belongs to, and the name of the files.")
@click.option("--ip", "addresses", multiple=True, help="An address of the server.")
@click.option("--hours", default=8760, show_default=True, help="How long it is good.")
@force_option
def keypair(organization: str, addresses: tuple[str, ...], hours: int, force: bool) -> None:
    """Write a key and a certificate for a server, signed by itself: ORGANIZATION.crt and ORGANIZATION.key."""

    def work() -> None:
        from dozen.machinery.pki_requests import self_signed

        pair = self_signed(organization, addresses, hours * 3600)
        write(Path(f"{organization}.crt"), pair.crt, force)
        write(Path(f"{organization}.key"), pair.key, force)

    guarded(work)


COMMANDS = (authority, client, key, request, certificate, keypair)
