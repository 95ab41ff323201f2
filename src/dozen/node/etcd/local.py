"""The connection to this node's own member, shared by all who ask it something."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from dozen.machinery.resources import secrets
from dozen.node.etcd.client import EtcdClient
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    import ssl

    from dozen.engine.store import Store

LOOPBACK = "127.0.0.1"


class EtcdClients:
    """Clients with this node's identity as etcd's administrator, which is renewed now and then."""

    def __init__(self, store: Store, address: str = LOOPBACK) -> None:
        self._store = store
        self._address = address
        self._version = 0
        self._tls: ssl.SSLContext | None = None
        self._local: EtcdClient | None = None

    @property
    def local(self) -> EtcdClient:
        """The client of this node's member; never closed by who uses it. UNAVAILABLE before there are certificates."""
        tls = self._context()
        if self._local is None:
            self._local = EtcdClient(self._address, tls)
        return self._local

    def open(self, address: str) -> EtcdClient:
        """A client of another member; the caller closes it."""
        return EtcdClient(address, self._context())

    def _context(self) -> ssl.SSLContext:
        certificates = self._store.find(secrets.ETCD_CERTS, secrets.ETCD)
        root = self._store.find(secrets.ETCD_ROOT, secrets.ETCD)
        if certificates is None or root is None:
            raise RpcError(Code.UNAVAILABLE, "etcd's certificates are not there yet")
        if self._tls is None or certificates.metadata.version != self._version:
            from dozen.rpc.tls import client_context

            admin = certificates.spec.etcd_admin
            self._tls = client_context(root.spec.etcd_ca.crt, admin.crt, admin.key)
            self._version, self._local = certificates.metadata.version, None
        return self._tls


_clients: weakref.WeakKeyDictionary[Store, EtcdClients] = weakref.WeakKeyDictionary()


def etcd_clients(store: Store) -> EtcdClients:
    """The clients that go with a node's store."""
    found = _clients.get(store)
    if found is None:
        found = _clients[store] = EtcdClients(store)
    return found
