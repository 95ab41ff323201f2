"""The certificates that apid works with: read from files that machined writes, and read again when they change.

In ``directory``: ``mode`` ("maintenance" or "configured"), ``server.pem`` and ``server.key``, ``ca.pem`` (authorities
whose clients are let in), and on control plane nodes ``client.pem`` and ``client.key`` (for calls to other nodes). A
node in maintenance has no authority yet: its callers show no certificate and may only read. Without a ``mode`` file
the node counts as configured, so a missing file can never open it.

Files are replaced one by one, so a certificate may meet the wrong key for a moment. Then what was loaded before stays.
"""

from __future__ import annotations

import logging
import os
import ssl

from dozen.rpc.tls import client_context, server_context

MAINTENANCE = "maintenance"

_NAMES = ("mode", "server.pem", "server.key", "ca.pem", "client.pem", "client.key")
# What tells one version of a file from the next.
_Stamp = tuple[tuple[int, int, int] | None, ...]


class Credentials:
    """``generation`` grows with every change that was loaded."""

    def __init__(self, directory: str, log: logging.Logger) -> None:
        self.maintenance = False
        self.generation = 0
        self.client: ssl.SSLContext | None = None
        self.directory = directory
        self._log = log
        self._server: ssl.SSLContext | None = None
        self._stamp: _Stamp | None = None

    @property
    def loaded(self) -> bool:
        return self._server is not None

    @property
    def can_forward(self) -> bool:
        """Other nodes let us in, as this node has a certificate for them."""
        return self.client is not None

    def server_context(self) -> ssl.SSLContext:
        """For the next connection. OSError while nothing has been loaded."""
        self.refresh()
        if self._server is None:
            raise FileNotFoundError(f"no certificate in {self.directory}")
        return self._server

    def refresh(self) -> bool:
        """Look at the files and load them if they changed; False when what is there cannot be used."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return self.loaded
        # A set that cannot be loaded is not tried again before it changes.
        self._stamp = stamp
        try:
            self._load()
        except (OSError, ValueError) as error:
            self._log.warning("certificates not usable directory=%s error=%s", self.directory, error)
            return False
        self.generation += 1
        self._log.info("certificates loaded maintenance=%s forwards=%s", self.maintenance, self.can_forward)
        return True

    def _load(self) -> None:
        maintenance = (self._read("mode") or b"").strip() == MAINTENANCE.encode()
        certificate, key, cas = self._read("server.pem"), self._read("server.key"), self._read("ca.pem")
        if certificate is None or key is None:
            raise FileNotFoundError("server.pem or server.key is missing")
        if cas is None and not maintenance:
            raise FileNotFoundError("ca.pem is missing")
        server = server_context(certificate, key, None if maintenance else cas)
        own, own_key = self._read("client.pem"), self._read("client.key")
        client = None
        if own is not None and own_key is not None and not maintenance:
            client = client_context(cas, own, own_key)
        self.maintenance, self._server, self.client = maintenance, server, client

    def _read(self, name: str) -> bytes | None:
        try:
            with open(os.path.join(self.directory, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _read_stamp(self) -> _Stamp:
        stamps: list[tuple[int, int, int] | None] = []
        for name in _NAMES:
            try:
                status = os.stat(os.path.join(self.directory, name))
            except OSError:
                stamps.append(None)
            else:
                stamps.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(stamps)
