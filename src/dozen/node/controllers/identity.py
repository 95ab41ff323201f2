"""Who this node is to those who call it: the certificate that apid serves with.

Three small parts. `CertSansController` collects the names and addresses that the node answers to.
`CertificateIssuer`, a watcher because it needs randomness and the clock, makes a key and has the OS authority of the
configuration sign it, again at half of its life and whenever the names change; a worker, whose configuration has no
authority's key, has a control plane sign (`dozen.node.trust`). `IdentityFilesController` gives apid and trustd what
they need as files.

A control plane's apid forwards calls to other nodes. It has a client certificate for that, in whose name it may tell
the roles of whoever it speaks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from dozen.machinery.addresses import is_address
from dozen.machinery.effects.files import RemoveFile, WriteFile
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, network, runtime, secrets
from dozen.machinery.roles import Role
from dozen.node.configuration import parse
from dozen.node.services.catalogue import APID_PORT, APID_UID, TRUSTD_UID

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.machinery.pki import Keypair
    from dozen.machinery.resource import Kind, SpecT
    from dozen.node.problems import Problems

API = "api"
TRUSTD = "trustd"
# The id of the Diagnostic that says why nobody certifies this node.
PROBLEM = "certificate"
DIRECTORY = "/system/run/apid"
SERVER_CERTIFICATE = f"{DIRECTORY}/server.pem"
TRUSTD_DIRECTORY = "/system/run/trustd"
# Between questions to control planes that do not answer yet, seconds: first and longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
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
        names: list[str] = []
        hostname = view.get(network.HOSTNAME_STATUS, "hostname")
        if hostname is not None:
            names += dict.fromkeys((hostname.spec.hostname, hostname.spec.fqdn))
        fqdn = names[-1] if names else ""
        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        for extra in _extra_sans(active.spec.text) if active is not None else ():
            (wanted if is_address(extra) else names).append(extra)
        yield Put(
            secrets.CERT_SAN,
            API,
            secrets.CertSANSpec(
                ips=tuple(dict.fromkeys(wanted)),
                dns_names=tuple(dict.fromkeys(names)),
                fqdn=fqdn,
            ),
        )


class Publish(Protocol):
    """What a watcher publishes with."""

    def put(self, kind: Kind[SpecT], id: str, spec: SpecT) -> object: ...


class CertificateIssuer:
    """CertSAN and the OS authority → ApiCertificate and TrustdCertificate, renewed at half of their life."""

    name = "api-certificate-issuer"
    outputs = (secrets.API_CERTIFICATE, secrets.TRUSTD_CERTIFICATE)

    def __init__(self, store: Store, problems: Problems | None = None) -> None:
        self._store = store
        self._problems = problems
        self._own: Keypair | None = None
        # For whom a certificate of our own stands in until a control plane has answered: authorities, names.
        self._stand_in: tuple[Trust, int] | None = None
        # What a control plane has signed for this node: on whose word, the certificate, authorities.
        self._granted: tuple[Trust, Keypair, tuple[str, ...]] | None = None
        self._pause = FIRST_PAUSE

    async def run(self, publish: Publish) -> None:
        from dozen.linux.sys import Ed25519
        from dozen.machinery import pki

        pki.use(Ed25519())
        while True:
            sans = await self._store.wait_for(secrets.CERT_SAN, API, lambda _: True)
            text, trust = self._read()
            renewal = time.time() + pki.NODE_LIFETIME / 2
            if trust.asks:
                if self._stand_in != (trust, sans.metadata.version):
                    self._publish_granted(publish, trust, sans.spec)
                    self._stand_in = (trust, sans.metadata.version)
                renewal = await self._ask(publish, text, trust, sans.spec, renewal)
            else:
                self._sign(publish, trust, sans.spec)
            await self._until_stale(sans.metadata.version, trust, renewal)

    def _sign(self, publish: Publish, trust: Trust, sans: secrets.CertSANSpec) -> None:
        """With the authority's key; in maintenance with one of our own, which nobody knows."""
        from dozen.machinery import pki

        if trust.issuer is None and self._own is None:
            self._own = pki.new_ca()
        issuer = trust.issuer or self._own
        assert issuer is not None
        server = pki.server_certificate(issuer, sans.ips, sans.dns_names)
        client = None
        if trust.issuer is not None:
            client = pki.client_certificate(issuer, (Role.IMPERSONATOR.value,), pki.NODE_LIFETIME)
        publish.put(secrets.API_CERTIFICATE, API, _api_certificate(trust, trust.accepted, server, client))
        if trust.issuer is not None:
            own = pki.server_certificate(issuer, sans.ips, sans.dns_names)
            spec = secrets.TrustdCertsSpec(accepted_cas=_authorities(trust.accepted), server=_pair(own))
            publish.put(secrets.TRUSTD_CERTIFICATE, TRUSTD, spec)

    def _publish_granted(self, publish: Publish, trust: Trust, sans: secrets.CertSANSpec) -> None:
        """What there is before a control plane has answered: what one signed before, or a certificate of our own, so
        that apid says that it is there."""
        if self._granted is not None and self._granted[0] == trust:
            publish.put(secrets.API_CERTIFICATE, API, _api_certificate(trust, self._granted[2], self._granted[1]))
        else:
            self._sign(publish, trust, sans)

    async def _ask(self, publish: Publish, text: str, trust: Trust, sans: secrets.CertSANSpec, renewal: float) -> float:
        """Have a control plane sign; when to do so again, soon if none does."""
        from dozen.node.trust.asking import ask_for_certificate, signers
        from dozen.rpc.status import RpcError

        given = parse(text)
        hosts = signers(given, self._store)
        try:
            pair, accepted = await ask_for_certificate(given, hosts, sans.ips, sans.dns_names)
        except (RpcError, ValueError, OSError) as error:
            if self._problems is not None:
                words = error.message if isinstance(error, RpcError) else str(error)
                text = f"no control plane certifies this node, asked at {', '.join(hosts) or 'no address'}: {words}"
                self._problems.report_problem(PROBLEM, text)
            pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
            return time.time() + pause
        if self._problems is not None:
            self._problems.clear_problem(PROBLEM)
        self._granted, self._pause = (trust, pair, accepted), FIRST_PAUSE
        publish.put(secrets.API_CERTIFICATE, API, _api_certificate(trust, accepted, pair))
        return renewal

    def _read(self) -> tuple[str, Trust]:
        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        text = active.spec.text if active is not None else ""
        return text, read_trust(text) if text else MAINTENANCE

    async def _until_stale(self, version: int, trust: Trust, renewal: float) -> None:
        """Until the names or the configuration's authorities change, or it is time to renew."""
        changed = asyncio.Event()
        stops = [
            self._store.listen(kind, lambda _: changed.set()) for kind in (secrets.CERT_SAN, config.MACHINE_CONFIG)
        ]
        try:
            while time.time() < renewal:
                sans = self._store.find(secrets.CERT_SAN, API)
                if sans is None or sans.metadata.version != version or self._read()[1] != trust:
                    return
                # The clock may be stepped at any moment, so it is asked again and again instead of slept on.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), 1.0)
                changed.clear()
        finally:
            for stop in stops:
                stop()


def _api_certificate(
    trust: Trust, accepted: tuple[str, ...], server: Keypair, client: Keypair | None = None
) -> secrets.APICertsSpec:
    return secrets.APICertsSpec(
        accepted_cas=_authorities(accepted),
        server=_pair(server),
        client=_pair(client) if client is not None else secrets.PemPair(),
        skip_verifying_client_cert=not trust.verify,
    )


def _authorities(pems: tuple[str, ...]) -> tuple[secrets.PemCertificate, ...]:
    return tuple(secrets.PemCertificate(crt=pem.encode()) for pem in pems)


def _pair(pair: Keypair) -> secrets.PemPair:
    return secrets.PemPair(crt=pair.crt.encode(), key=pair.key.encode())


class IdentityFilesController:
    """ApiCertificate, TrustdCertificate → the files that apid and trustd read.

    A key comes before its certificate, and the server's certificate last: apid serves when it is there.
    """

    name = "api-identity-files"
    inputs = (Input(secrets.API_CERTIFICATE, API), Input(secrets.TRUSTD_CERTIFICATE, TRUSTD))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        identity = view.get(secrets.API_CERTIFICATE, API)
        if identity is not None:
            yield from _apid_files(identity.spec)
        trustd = view.get(secrets.TRUSTD_CERTIFICATE, TRUSTD)
        if trustd is not None:
            yield _file("server.key", trustd.spec.server.key, TRUSTD_DIRECTORY, TRUSTD_UID)
            yield _file("server.pem", trustd.spec.server.crt, TRUSTD_DIRECTORY, TRUSTD_UID)


class ApiServiceController:
    """ApiCertificate → APIServiceConfig: what apid does with who calls, which follows from its certificate's kind."""

    name = "api-service"
    inputs = (Input(secrets.API_CERTIFICATE, API),)
    outputs = (runtime.API_SERVICE_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        identity = view.get(secrets.API_CERTIFICATE, API)
        if identity is None:
            return
        maintenance = identity.spec.skip_verifying_client_cert
        spec = runtime.APIServiceConfigSpec(
            listen_address=f":{APID_PORT}",
            node_routing_disabled=maintenance,
            readonly_role_mode=maintenance,
            skip_verifying_client_cert=maintenance,
        )
        yield Put(runtime.API_SERVICE_CONFIG, "apid", spec)


def _apid_files(spec: secrets.APICertsSpec) -> Iterable[Step]:
    accepted = b"".join(ca.crt for ca in spec.accepted_cas)
    mode = "maintenance" if spec.skip_verifying_client_cert else "configured"
    yield _file("mode", mode.encode())
    if accepted:
        yield _file("ca.pem", accepted)
    if spec.client.crt:
        yield _file("client.key", spec.client.key)
        yield _file("client.pem", spec.client.crt)
    else:
        yield RemoveFile(f"{DIRECTORY}/client.pem")
        yield RemoveFile(f"{DIRECTORY}/client.key")
    yield _file("server.key", spec.server.key)
    yield _file("server.pem", spec.server.crt)


def _file(name: str, content: bytes, directory: str = DIRECTORY, group: int = APID_UID) -> WriteFile:
    return WriteFile(f"{directory}/{name}", content.decode(), 0o440, gid=group)


def _extra_sans(text: str) -> tuple[str, ...]:
    """What the configuration adds, and by which names pods call a control plane whose API they may use."""
    given = parse(text)
    if given.machine is None:
        return ()
    added = tuple(str(san) for san in given.machine.cert_sans)
    if given.machine.features.kubernetes_talos_api_access is None and "KubeTalosAPIAccessConfig" not in {
        part.kind for part in given.parts
    }:
        return added  # without loading what it takes to know more: this is asked before the API's first answer
    from dozen.machinery.config import kubernetes, kubernetes_node
    from dozen.machinery.kubernetes.accounts import service_names

    if kubernetes_node.api_access(given) is None:
        return added
    return (*added, *service_names(kubernetes.network(given).dns_domain))


class Trust(msgspec.Struct, frozen=True):
    """Who signs for this node (None: only the node itself can), whose callers it accepts, and whether it asks them."""

    issuer: Keypair | None
    accepted: tuple[str, ...]
    verify: bool

    @property
    def asks(self) -> bool:
        """A worker: it belongs to a cluster and cannot sign for itself."""
        return self.verify and self.issuer is None


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
