"""The Kubernetes API's client: what goes over the wire, and what a refusal becomes."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dozen.client.kubernetes import Kubernetes, KubernetesError, UnreachableError
from dozen.machinery import pki
from dozen.machinery.kubeconfig import Access
from dozen.machinery.kubernetes.objects import is_true

REFUSAL = {"kind": "Status", "reason": "NotFound", "message": 'pods "x" not found'}


class Handler(BaseHTTPRequestHandler):
    """Remembers what it was asked, answers by path."""

    asked: ClassVar[list[tuple[str, str, Any, str]]] = []

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.asked.append((self.command, self.path, body, self.headers.get("Content-Type") or ""))
        status, content = 200, json.dumps({"items": [1, 2]}).encode()
        if self.path == "/readyz":
            content = b"ok"
        elif "missing" in self.path:
            status, content = 404, json.dumps(REFUSAL).encode()
        elif self.path == "/broken":
            status, content = 500, b"no JSON"
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Kubernetes]:
    ca = pki.new_ca()
    own = pki.server_certificate(ca, ["127.0.0.1"])
    client = pki.client_certificate(ca, ["system:masters"])
    (tmp_path / "server.pem").write_text(own.crt + "\n" + pki.tls_key(own.key))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    tls.load_verify_locations(cadata=ca.crt)
    tls.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.asked.clear()
    yield Kubernetes(
        Access("127.0.0.1", server.server_port, ca.crt.encode(), client.crt.encode(), pki.tls_key(client.key).encode()),
        seconds=5,
    )
    server.shutdown()
    server.server_close()


def test_objects_are_applied_by_the_server_under_our_name(api: Kubernetes) -> None:
    api.apply("/api/v1/namespaces/default/configmaps/a", {"kind": "ConfigMap"})
    assert Handler.asked == [
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/a?fieldManager=dozenctl&force=true",
            {"kind": "ConfigMap"},
            "application/apply-patch+yaml",
        )
    ]


def test_lists_and_readiness(api: Kubernetes) -> None:
    assert api.items("/api/v1/nodes") == [1, 2]
    assert api.is_ready()


def test_a_refusal_says_what_kubernetes_said(api: Kubernetes) -> None:
    with pytest.raises(KubernetesError, match='pods "x" not found') as caught:
        api.get("/missing")
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")
    with pytest.raises(KubernetesError, match="no JSON"):
        api.get("/broken")


def test_deleting_what_is_gone_is_fine_and_other_refusals_are_not(api: Kubernetes) -> None:
    api.delete("/missing")
    with pytest.raises(KubernetesError):
        api.delete("/broken")


def test_nobody_there_is_said_with_the_address(api: Kubernetes) -> None:
    api.port = 1
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: "):
        api.get("/")


def test_conditions() -> None:
    item = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}}
    assert is_true(item, "Ready")
    assert not is_true(item, "Other")
    assert not is_true({}, "Ready")
