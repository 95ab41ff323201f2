"""The kubelet as a service: what it runs, and how its health is asked.

It runs in a container, because it brings programs along that have no place on the node, but it is the node's: it mounts
volumes for pods, so mounts that it makes are seen by everybody, and it judges paths of the node (volumes of the kind
hostPath), so it sees the node's own folders at their own places.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

from dozen.node.services.definition import ContainerProgram, Health, Mount, Service, needs_own_kernel

if TYPE_CHECKING:
    from dozen.machinery.resources.kubernetes import KubeletSpec
    from dozen.machinery.resources.kubernetes import Mount as ExtraMount
    from dozen.node.machine import Machine

HEALTH_PORT = 10248
_SHARED, _SLAVE = ("rbind", "rw", "rshared"), ("rbind", "rw", "rslave")
_READ = ("rbind", "ro", "rslave")
MOUNTS = (
    Mount("/var", "/var", _SHARED),
    Mount("/run", "/run", _SLAVE),
    # Where the node writes; /etc/kubernetes of the node is the same folder.
    Mount("/system/etc/kubernetes", "/etc/kubernetes", _SLAVE),
    Mount("/etc/cni", "/etc/cni", _SLAVE),
    Mount("/opt", "/opt", _SLAVE),
    Mount("/usr/libexec/kubernetes", "/usr/libexec/kubernetes", _SHARED),
    Mount("/lib/modules", "/lib/modules", _READ),
    # The folder too: its files are replaced as a whole, which a mount of a file does not notice.
    Mount("/system/etc", "/system/etc", _READ),
    Mount("/system/etc/resolv.conf", "/etc/resolv.conf", ("bind", "ro")),
    Mount("/system/etc/hosts", "/etc/hosts", ("bind", "ro")),
    Mount("/etc/machine-id", "/etc/machine-id", ("bind", "ro")),
    Mount("/etc/os-release", "/etc/os-release", ("bind", "ro")),
)
TRUST = Mount("/etc/ssl/certs", "/etc/ssl/certs", _READ)


def _program(machine: Machine) -> ContainerProgram | None:
    """None until the kubelet's configuration is known and it and its identity are there as files."""
    from dozen.machinery.resources import kubernetes
    from dozen.node.controllers.kubernetes.naming import KUBELET as KUBELET_ID

    spec = machine.store.find(kubernetes.KUBELET_SPEC, KUBELET_ID)
    secrets = machine.store.find(kubernetes.SECRETS_STATUS, KUBELET_ID)
    written = machine.store.find(kubernetes.CONFIG_STATUS, KUBELET_ID)
    if spec is None or secrets is None or not secrets.spec.ready or written is None:
        return None
    return program_of(spec.spec, written.spec.version, secrets.spec.version, _trust(machine))


def _trust(machine: Machine) -> str:
    """A digest of the authorities that the configuration adds, empty when it adds none."""
    if machine.config is None:
        return ""
    import hashlib

    from dozen.machinery.config.host import trusted_roots

    roots = trusted_roots(machine.config)
    return hashlib.sha256(roots.encode()).hexdigest()[:16] if roots else ""


def program_of(spec: KubeletSpec, config_version: str, secrets_version: str, trust: str = "") -> ContainerProgram:
    """The kubelet's container. The versions are in its environment so that other files make it start again.

    ``trust``: it is to trust whom the node trusts, and not only whom its image does.
    """
    versions = {"CONFIG_VERSION": config_version, "SECRETS_VERSION": secrets_version, "TRUST_VERSION": trust}
    return ContainerProgram(
        spec.image,
        ("/usr/local/bin/kubelet", *spec.args),
        env=tuple((f"DOZEN_{name}", version) for name, version in versions.items() if version),
        mounts=(*MOUNTS, *((TRUST,) if trust else ()), *(_extra(each) for each in spec.extra_mounts)),
        privileged=True,
        host_pids=True,
        read_only=False,
        propagation="rshared",
        cgroup="/podruntime/kubelet",
        oom=-450,
    )


def forget_foreign_identity(machine: Machine) -> None:
    """Take away what a kubelet of another cluster, or of another name, has left here to identify itself with.

    The kubelet would go on with it for ever, and be refused for ever.
    """
    from dozen.machinery.kubernetes import paths
    from dozen.machinery.kubernetes.identity import is_identity_of
    from dozen.machinery.resources import kubernetes, secrets

    name = machine.store.find(kubernetes.NODENAME, "nodename")
    trust = machine.store.find(secrets.KUBELET_SECRETS, secrets.KUBELET)
    if name is None or trust is None:
        return
    try:
        with open(f"{paths.KUBELET_PKI}/kubelet-client-current.pem") as stream:
            text = stream.read()
    except FileNotFoundError:
        return
    if is_identity_of(text, name.spec.nodename, [each.crt.decode() for each in trust.spec.accepted_cas]):
        return
    logging.getLogger("dozen.kubelet").warning(
        "the kubelet's identity is of another node or cluster: it gets a new one"
    )
    for path in (
        f"{paths.KUBELET_PKI}/kubelet-client-current.pem",
        f"{paths.KUBELET_PKI}/kubelet-server-current.pem",
        paths.KUBELET_KUBECONFIG,
    ):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def follow_endpoint(machine: Machine) -> None:
    """Point the identity that a kubelet has made for itself to where API servers are asked now.

    It has written down where they were when it was given its certificate, and never looks at that again.
    """
    from dozen.machinery import kubeconfig
    from dozen.machinery.kubernetes import paths

    try:
        with open(paths.BOOTSTRAP_KUBECONFIG) as stream:
            wanted = kubeconfig.parse(stream.read())["clusters"][0]["cluster"]
        with open(paths.KUBELET_KUBECONFIG) as stream:
            present = kubeconfig.parse(stream.read())
        server, name = wanted["server"], wanted.get("tls-server-name", "")
        changed = kubeconfig.with_server(present, server, name)
    except (FileNotFoundError, kubeconfig.KubeconfigError, LookupError):
        return  # there is none yet, or none that could be followed: the kubelet will say so
    if changed != present:
        from dozen.linux.generated import write_file
        from dozen.machinery.effects.files import WriteFile

        write_file(WriteFile(paths.KUBELET_KUBECONFIG, kubeconfig.render(changed), 0o600))


def _prepare(machine: Machine) -> None:
    forget_foreign_identity(machine)
    follow_endpoint(machine)


def _extra(each: ExtraMount) -> Mount:
    return Mount(each.source, each.destination, each.options or ("rbind", "rw"), each.type or "bind")


async def _answers(machine: Machine) -> None:
    """Raises what is wrong: OSError, or RuntimeError with the kubelet's words."""
    from dozen.node.kubernetes.http import Connection

    connection = await Connection.open("127.0.0.1", HEALTH_PORT, None)
    try:
        response = await connection.request("GET", "/healthz", {"Connection": "close"})
        text = (await response.read(4096)).decode(errors="replace").strip()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(text or f"the kubelet answers with HTTP status {response.status}")


KUBELET = Service(
    id="kubelet",
    program=_program,
    needs=("containerd",),
    health=Health(_answers, first_after=1.0, starting_period=1.0),
    prepare=_prepare,
    unavailable=needs_own_kernel,
    operations=frozenset(("start", "restart")),
    stop_grace=20.0,
)
