"""Who this node is to those who call it: the certificate that apid serves with.

Three small parts. `CertSansController` collects the names and addresses that the node answers to.
`CertificateIssuer`, a watcher because it needs randomness and the clock, makes a key and has the OS authority of the
configuration sign it, again at half of its life and whenever the names change. `IdentityFilesController` gives apid
what it needs as files.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dozen.machinery.addresses import pack_address
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, network, secrets
from dozen.node.configuration import parse
from dozen.node.services.catalogue import APID_UID

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.machinery.pki import Keypair
    from dozen.machinery.resource import Kind

API = "api"
DIRECTORY = "/system/run/apid"
LOOPBACK = ("127.0.0.1", "::1")


class CertSansController:
    """Configuration, hostname, addresses → CertSAN."""

    name = "api-cert-sans"
    inputs = (
        Input(config.MACHINE_CONFIG, config.ACTIVE),
        Input(network.HOSTNAME_STATUS),
        Input(network.NODE_ADDRESS),
    )
    outputs = (secrets.CERT_SAN,)

    def plan(self, view: View) -> Iterable[Step]:
        wanted = list(LOOPBACK)
        addresses = view.get(network.NODE_ADDRESS, "accumulative") or view.get(network.NODE_ADDRESS, "current")
        if addresses is not None:
            wanted += [prefix.partition("/")[0] for prefix in addresses.spec.addresses]
        names = []
        hostname = view.get(network.HOSTNAME_STATUS, "hostname")
        if hostname is not None:
            names.append(hostname.spec.hostname)
            if hostname.spec.domainname:
                names.append(f"{hostname.spec.hostname}.{hostname.spec.domainname}")
        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        for extra in _extra_sans(active.spec.text) if active is not None else ():
            (wanted if _is_address(extra) else names).append(extra)
        yield Put(
            secrets.CERT_SAN,
            API,
            secrets.CertSANSpec(
                ips=tuple(dict.fromkeys(wanted)),
                dns_names=tuple(dict.fromkeys(names)),
                fqdn=names[-1] if hostname is not None and names else "",
            ),
        )


class Publish(Protocol):
    """What a watcher publishes with."""

    def put(self, kind: Kind[secrets.APICertsSpec], id: str, spec: secrets.APICertsSpec) -> object: ...


class CertificateIssuer:
    """CertSAN and the OS authority → ApiCertificate, renewed at half of its life."""

    name = "api-certificate-issuer"
    outputs = (secrets.API_CERTIFICATE,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publish) -> None:
        from dozen.linux.sys import Ed25519
        from dozen.machinery import pki

        pki.use(Ed25519())
        own: Keypair | None = None
        lifetime = pki.NODE_LIFETIME
        while True:
            sans = await self._store.wait_for(secrets.CERT_SAN, API, lambda _: True)
            trust = self._trust()
            issuer = trust.issuer or own or pki.new_ca()
            if trust.issuer is None:
                own = issuer
            pair = pki.server_certificate(issuer, sans.spec.ips, sans.spec.dns_names, lifetime)
            spec = secrets.APICertsSpec(
                accepted_cas=tuple(secrets.PemCertificate(crt=pem.encode()) for pem in trust.accepted),
                server=secrets.PemPair(crt=pair.crt.encode(), key=pair.key.encode()),
                skip_verifying_client_cert=not trust.verify,
            )
            publish.put(secrets.API_CERTIFICATE, API, spec)
            await self._until_stale(sans.metadata.version, trust, time.time() + lifetime / 2)

    def _trust(self) -> Trust:
        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        return read_trust(active.spec.text) if active is not None else MAINTENANCE

    async def _until_stale(self, version: int, trust: Trust, renewal: float) -> None:
        """Until the names or the configuration's authorities change, or half of the certificate's life is over."""
        changed = asyncio.Event()
        stops = [
            self._store.listen(kind, lambda _: changed.set()) for kind in (secrets.CERT_SAN, config.MACHINE_CONFIG)
        ]
        try:
            while time.time() < renewal:
                sans = self._store.find(secrets.CERT_SAN, API)
                if sans is None or sans.metadata.version != version or self._trust() != trust:
                    return
                # The clock may be stepped at any moment, so it is asked again and again instead of slept on.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), 1.0)
                changed.clear()
        finally:
            for stop in stops:
                stop()


class IdentityFilesController:
    """ApiCertificate → the files that apid reads. The server's certificate comes last: apid serves when it is there."""

    name = "api-identity-files"
    inputs = (Input(secrets.API_CERTIFICATE, API),)
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        identity = view.get(secrets.API_CERTIFICATE, API)
        if identity is None:
            return
        spec = identity.spec
        accepted = b"".join(ca.crt for ca in spec.accepted_cas)
        mode = "maintenance" if spec.skip_verifying_client_cert else "configured"
        yield _file("mode", mode.encode())
        if accepted:
            yield _file("ca.pem", accepted)
        yield _file("server.key", spec.server.key)
        yield _file("server.pem", spec.server.crt)


def _file(name: str, content: bytes) -> WriteFile:
    return WriteFile(f"{DIRECTORY}/{name}", content.decode(), 0o440, gid=APID_UID)


def _extra_sans(text: str) -> tuple[str, ...]:
    machine = parse(text).machine
    return tuple(str(san) for san in machine.cert_sans) if machine is not None else ()


class Trust(NamedTuple):
    """Who signs for this node (None: only the node itself can), whose callers it accepts, and whether it asks them."""

    issuer: Keypair | None
    accepted: tuple[str, ...]
    verify: bool


# Nobody's authority is known, so callers are not asked to prove themselves; they may read what is not secret.
MAINTENANCE = Trust(None, (), verify=False)


def read_trust(text: str) -> Trust:
    """What a configuration says about trust.

    A node that has a complete one always asks: a worker holds no key to sign with, but knows whose callers to accept,
    and to be open because of the missing key would be to let everybody in.
    """
    from dozen.machinery.config import effective

    given = parse(text)
    if not given.is_complete:
        return MAINTENANCE
    return Trust(effective.issuing_ca(given), effective.accepted_cas(given), verify=True)


def _is_address(text: str) -> bool:
    try:
        pack_address(text)
    except ValueError:
        return False
    return True
