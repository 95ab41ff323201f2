"""A container registry on the loopback, as far as pulling goes (OCI distribution specification 1.1, section "Pull").

It serves images made by `dozen.testing.archives`, over HTTP or HTTPS, to everybody or to those who prove who they are:
``basic`` asks for a name and a password at each request, ``bearer`` sends the caller to its token service first, as the
large registries do. ``asked`` are the paths of all requests that were let in.
"""

from __future__ import annotations

import base64
import io
import json
import ssl
import tarfile
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from dozen.machinery.pki import Keypair

TOKEN = "let-me-in"


class Registry:
    """Serves from its start to ``close``. ``prefix`` is what stands before ``/v2`` in its paths."""

    def __init__(
        self,
        *,
        identity: Keypair | None = None,
        folder: Path | None = None,
        scheme: str = "",
        user: str = "",
        password: str = "",
        prefix: str = "/v2",
    ) -> None:
        self.scheme, self.prefix = scheme, prefix
        self.credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.asked: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[tuple[str, str], dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http{'s' if identity else ''}://{self.host}"
        if identity is not None:
            assert folder is not None
            # What the wire calls an Ed25519 key is PKCS#8, and OpenSSL knows it only under that name.
            key = identity.key.replace("ED25519 PRIVATE KEY", "PRIVATE KEY")
            (folder / "registry.pem").write_text(identity.crt + key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "registry.pem")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def push(self, archive: bytes, repository: str, tag: str) -> None:
        """Take the one image of an archive in."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is not None and member.name.startswith("blobs/sha256/"):
                    self.blobs["sha256:" + member.name.rpartition("/")[2]] = content.read()
                elif content is not None and member.name == "index.json":
                    self.tags[repository, tag] = json.loads(content.read())["manifests"][0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def challenge(self, path: str, authorization: str) -> str:
        """What a caller has to do first; "" when it may come in."""
        if self.scheme == "basic" and authorization != f"Basic {self.credentials}":
            return 'Basic realm="test"'
        if self.scheme == "bearer" and path != "/token" and authorization != f"Bearer {TOKEN}":
            return f'Bearer realm="{self.url}/token",service="test"'
        if self.scheme == "bearer" and path == "/token" and authorization != f"Basic {self.credentials}":
            return 'Basic realm="test"'
        return ""

    def find(self, path: str) -> tuple[str, str, bytes] | None:
        """Media type, digest and content of what a path names."""
        if not path.startswith(f"{self.prefix}/"):
            return None
        repository, _, rest = path.removeprefix(f"{self.prefix}/").rpartition("/")
        repository, _, theme = repository.rpartition("/")
        if theme == "manifests":
            entry = self.tags.get((repository, rest))
            if entry is None:
                entry = next((each for each in self.tags.values() if each["digest"] == rest), None)
            return (entry["mediaType"], entry["digest"], self.blobs[entry["digest"]]) if entry else None
        if theme == "blobs" and rest in self.blobs:
            return "application/octet-stream", rest, self.blobs[rest]
        return None


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            challenge = registry.challenge(path, self.headers.get("Authorization", ""))
            if challenge:
                self._answer(HTTPStatus.UNAUTHORIZED, b"", {"WWW-Authenticate": challenge})
                return
            registry.asked.append(path)
            if path == "/token":
                self._answer(HTTPStatus.OK, json.dumps({"token": TOKEN}).encode(), {})
                return
            found = registry.find(path)
            if found is None:
                self._answer(HTTPStatus.NOT_FOUND, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', {})
                return
            kind, digest, content = found
            self._answer(HTTPStatus.OK, content, {"Content-Type": kind, "Docker-Content-Digest": digest})

        do_HEAD = do_GET

        def do_POST(self) -> None:
            """The newer way to ask for a token, which callers try first and many registries do not have."""
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, b"", {})

        def _answer(self, status: HTTPStatus, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler
