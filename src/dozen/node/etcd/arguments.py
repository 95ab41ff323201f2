"""etcd's command line, and the files and addresses that it names. Pure.

Flags are those of etcd 3.6. What keeps members together and strangers out cannot be changed by the configuration's
``extraArgs`` (`dozen.machinery.kubernetes.arguments.FIXED`); everything else can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dozen.machinery.kubernetes.arguments import FIXED
from dozen.machinery.resources.etcd import EtcdLaunchSpec, EtcdSpec

CLIENT_PORT, PEER_PORT = 2379, 2380
DATA = "/var/lib/etcd"
SECRETS = "/system/secrets/etcd"
# Where EtcdRecover puts a snapshot for the Bootstrap that follows.
SNAPSHOT = "/var/lib/etcd.snapshot"


class Places(NamedTuple):
    """Where etcd finds its things; others than the node's own in tests."""

    data: str = DATA
    secrets: str = SECRETS
    snapshot: str = SNAPSHOT


NODE = Places()


def url(address: str, port: int) -> str:
    """``https://10.0.0.1:2379``."""
    return f"https://{bracket(address)}:{port}"


def bracket(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def peer_urls(spec: EtcdSpec) -> tuple[str, ...]:
    """Where other members reach this one."""
    return tuple(url(address, PEER_PORT) for address in spec.advertised_addresses)


def initial_cluster(name: str, urls: Sequence[str]) -> str:
    """One member in the form of etcd's flag."""
    return ",".join(f"{name}={each}" for each in urls)


def render_arguments(spec: EtcdSpec, launch: EtcdLaunchSpec, places: Places = NODE) -> tuple[str, ...]:
    """etcd's flags in a fixed order; equal inputs give equal flags, so that nothing is restarted for nothing."""
    flags: dict[str, tuple[str, ...]] = {name: (value,) for name, value in _flags(spec, launch, places).items()}
    for name, values in sorted(spec.extra_args.items()):
        if name not in FIXED["etcd"]:
            flags[name] = values.values
    return tuple(f"--{name}={value}" for name, values in flags.items() for value in values)


def _flags(spec: EtcdSpec, launch: EtcdLaunchSpec, places: Places) -> Mapping[str, str]:
    secrets = places.secrets
    return {
        "name": spec.name,
        "data-dir": places.data,
        "listen-peer-urls": _urls(spec.listen_peer_addresses, PEER_PORT),
        "listen-client-urls": _urls(spec.listen_client_addresses, CLIENT_PORT),
        "initial-advertise-peer-urls": ",".join(peer_urls(spec)),
        "advertise-client-urls": _urls(spec.advertised_addresses, CLIENT_PORT),
        "initial-cluster": launch.initial_cluster,
        "initial-cluster-state": launch.state,
        "client-cert-auth": "true",
        "cert-file": f"{secrets}/server.crt",
        "key-file": f"{secrets}/server.key",
        "trusted-ca-file": f"{secrets}/ca.crt",
        "peer-client-cert-auth": "true",
        "peer-cert-file": f"{secrets}/peer.crt",
        "peer-key-file": f"{secrets}/peer.key",
        "peer-trusted-ca-file": f"{secrets}/ca.crt",
        "auto-tls": "false",
        "peer-auto-tls": "false",
        # Everybody who talks to it is of this release or newer than TLS 1.3.
        "tls-min-version": "TLS1.3",
        # A member whose data differs from the others' must not start (etcd's operations guide, data corruption).
        "feature-gates": "InitialCorruptCheck=true",
        # The API server's watch cache follows progress more closely than once in ten minutes (kubernetes/kubernetes
        # #123072).
        "watch-progress-notify-interval": "5s",
    }


def _urls(addresses: Sequence[str], port: int) -> str:
    return ",".join(url(address, port) for address in addresses)


def render_restore(spec: EtcdSpec, places: Places, *, skip_hash_check: bool) -> tuple[str, ...]:
    """etcdutl's arguments that make a data directory from a snapshot: a new cluster of this member alone."""
    urls = peer_urls(spec)
    words = [
        "snapshot",
        "restore",
        places.snapshot,
        f"--data-dir={places.data}",
        f"--name={spec.name}",
        f"--initial-cluster={initial_cluster(spec.name, urls)}",
        f"--initial-advertise-peer-urls={','.join(urls)}",
        # Who watched the old cluster must not take what comes for what it has seen already (etcd's operations guide).
        "--bump-revision=1000000000",
        "--mark-compacted=true",
    ]
    return (*words, "--skip-hash-check=true") if skip_hash_check else tuple(words)
