"""Getting a file from a URL, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dozen.linux.fetch import FetchError, fetch


class Handler(BaseHTTPRequestHandler):
    """Paths say what is answered."""

    def do_GET(self) -> None:
        name, _, rest = self.path.removeprefix("/").partition("/")
        if name == "go":
            self.send_response(302)
            self.send_header("Location", f"/{rest}")
            self.end_headers()
        elif name == "loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        else:
            self.send_response(200 if name == "file" else 404)
            self.end_headers()
            self.wfile.write(rest.encode())

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_and_one_that_moved(server: str) -> None:
    assert fetch(f"{server}/file/x?y=1", 100) == b"x?y=1"
    assert fetch(f"{server}/go/file/z", 100) == b"z"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/absent", "answered with 404"),
        ("/loop", "redirected more than 5 times"),
        ("/file/0123456789", "larger than 5"),
    ],
)
def test_what_is_no_answer(server: str, path: str, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        fetch(server + path, 5)


@pytest.mark.parametrize("url", ["ftp://a/b", "http://", "nonsense", "http://127.0.0.1:1/x", "http://a:b/c"])
def test_what_cannot_be_asked(url: str) -> None:
    with pytest.raises(FetchError):
        fetch(url, 5, timeout=2)
