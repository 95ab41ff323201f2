"""etcd's certificates as files, and the statement that they are there."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.effects.files import WriteFile
from dozen.machinery.kubernetes.versions import ETCD_UID
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import etcd, secrets
from dozen.node.etcd.arguments import SECRETS


class EtcdFilesController:
    """EtcdSecrets, EtcdRootSecrets → files for etcd and for its administrator; then PKIStatus.

    etcd reads its certificates anew for each connection, so a renewed file is taken up without a restart. A key comes
    before its certificate.
    """

    name = "etcd-files"
    inputs = (Input(secrets.ETCD_CERTS, secrets.ETCD), Input(secrets.ETCD_ROOT, secrets.ETCD))
    outputs = (etcd.PKI_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        certificates = view.get(secrets.ETCD_CERTS, secrets.ETCD)
        root = view.get(secrets.ETCD_ROOT, secrets.ETCD)
        if certificates is None or root is None:
            return
        yield _file("ca.crt", root.spec.etcd_ca.crt)
        pairs = (
            ("server", certificates.spec.etcd, ETCD_UID),
            ("peer", certificates.spec.etcd_peer, ETCD_UID),
            ("admin", certificates.spec.etcd_admin, 0),
        )
        for name, pair, group in pairs:
            yield _file(f"{name}.key", pair.key, group)
            yield _file(f"{name}.crt", pair.crt, group)
        version = str(certificates.metadata.version)
        yield Put(etcd.PKI_STATUS, etcd.ID, etcd.PKIStatusSpec(ready=True, version=version))


def _file(name: str, content: bytes, group: int = ETCD_UID) -> WriteFile:
    return WriteFile(f"{SECRETS}/{name}", content.decode(), 0o440 if group else 0o400, gid=group)
