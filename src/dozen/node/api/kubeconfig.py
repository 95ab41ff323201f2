"""Kubeconfig: the cluster's administrator's way in, as an archive that holds one file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import message
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

_CHUNK = 32 * 1024


def register(router: Router, machine: Machine) -> None:
    """Serve the call."""

    async def kubeconfig(call: object, request: Any) -> AsyncIterator[Any]:
        archive = pack(find_kubeconfig(machine))
        data = message("common.Data")
        for start in range(0, len(archive), _CHUNK):
            yield data(bytes=archive[start : start + _CHUNK])

    router.stream("/machine.MachineService/Kubeconfig", "google.protobuf.Empty", kubeconfig)


def find_kubeconfig(machine: Machine) -> str:
    """The administrator's kubeconfig, with a certificate that is made here. Raises RpcError.

    One that was kept could be at its end: people choose how long it is good for, and an hour is a good choice.
    """
    from dozen.machinery.config.kubernetes_secrets import admin_kubeconfig_lifetime
    from dozen.machinery.resources import secrets
    from dozen.node.controllers.trust.jobs import make_admin_kubeconfig

    config: Any = machine.config
    if config is None or not config.is_complete:
        raise RpcError(Code.FAILED_PRECONDITION, "this node has no configuration yet: apply one first")
    if config.machine_type != "controlplane":
        raise RpcError(Code.UNIMPLEMENTED, "kubeconfig is only available on control plane nodes")
    root = machine.store.find(secrets.KUBERNETES_ROOT, secrets.KUBERNETES)
    made = machine.store.find(secrets.KUBERNETES_CERTS, secrets.KUBERNETES_CERTS_ID)
    if root is None or made is None:
        raise RpcError(Code.UNAVAILABLE, "the certificates of Kubernetes are not made yet: is the node's clock right?")
    return make_admin_kubeconfig(root.spec, float(admin_kubeconfig_lifetime(config)))


def pack(text: str) -> bytes:
    """A gzipped tar archive with the one file ``kubeconfig``, mode 0600."""
    import io
    import tarfile
    import zlib

    content = text.encode()
    header = tarfile.TarInfo("kubeconfig")
    header.size, header.mode = len(content), 0o600
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(header, io.BytesIO(content))
    # gzip's header around a deflate stream (zlib's manual, deflateInit2).
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return compressor.compress(plain.getvalue()) + compressor.flush()
