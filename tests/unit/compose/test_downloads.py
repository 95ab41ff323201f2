"""Downloads: resumed, checked, and honest about what is gone. The network is played by an opener."""

import hashlib
import io
import threading
import time
import urllib.error
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from dozen.compose import downloads
from dozen.compose.console import Console
from dozen.compose.downloads import Wanted, download_all, download_path
from dozen.compose.errors import HashMismatch, SourceError

CONTENT = bytes(range(256)) * 40


def wanted(content: bytes = CONTENT, name: str = "pkg 1.0") -> Wanted:
    return Wanted(name, "http://mirror.test/a", len(content), hashlib.sha256(content).hexdigest())


class Answer(io.BytesIO):
    def __init__(self, data: bytes, status: int) -> None:
        super().__init__(data)
        self.status = status


class Server:
    """Serves one content; ``cut`` ends the first answers early, ``errors`` come before any answer."""

    def __init__(self, content: bytes, *, ranges: bool = True, cut: int = 0, errors: list[int] | None = None) -> None:
        self.content, self.ranges, self.cut, self.errors = content, ranges, cut, errors or []
        self.asked: list[str | None] = []

    def open(self, request: Any, timeout: float) -> Answer:
        header = request.get_header("Range")
        self.asked.append(header)
        if self.errors:
            raise urllib.error.HTTPError("http://mirror.test/a", self.errors.pop(0), "no", Message(), None)
        start = int(header.removeprefix("bytes=").rstrip("-")) if header and self.ranges else 0
        data = self.content[start:]
        if self.cut:
            data, self.cut = data[: self.cut], 0
        return Answer(data, 206 if header and self.ranges else 200)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], Server]:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def use(server: Server) -> Server:
        monkeypatch.setattr(downloads, "opener", lambda: server)
        return server

    return use


def test_a_broken_download_goes_on_where_it_stopped(serve: Callable[[Server], Server]) -> None:
    server = serve(Server(CONTENT, cut=1000))
    assert download_all([wanted()], Console(quiet=True)) == []
    assert server.asked == [None, "bytes=1000-"]
    assert download_path(wanted().sha256).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(serve: Callable[[Server], Server]) -> None:
    serve(Server(CONTENT, cut=1000, ranges=False))
    download_all([wanted()], Console(quiet=True))
    assert download_path(wanted().sha256).read_bytes() == CONTENT


def test_what_another_process_left_behind_is_taken_over(serve: Callable[[Server], Server]) -> None:
    server = serve(Server(CONTENT))
    final = download_path(wanted().sha256)
    final.parent.mkdir(parents=True)
    final.with_name(f"{final.name}.999999999.part").write_bytes(CONTENT[:500])
    download_all([wanted()], Console(quiet=True))
    assert server.asked == ["bytes=500-"]
    assert sorted(path.name for path in final.parent.iterdir()) == [final.name]


def test_what_is_there_is_not_fetched_again(serve: Callable[[Server], Server]) -> None:
    serve(Server(CONTENT))
    download_all([wanted()], Console(quiet=True))
    server = serve(Server(b""))
    assert download_all([wanted()], Console(quiet=True)) == []
    assert server.asked == []


def test_another_content_stops_the_build_and_leaves_nothing(serve: Callable[[Server], Server]) -> None:
    serve(Server(b"x" * len(CONTENT)))
    with pytest.raises(HashMismatch, match=r"pkg 1\.0.*Nothing was built"):
        download_all([wanted()], Console(quiet=True))
    assert list(download_path("").iterdir()) == []


def test_gone_is_reported_not_raised(serve: Callable[[Server], Server]) -> None:
    serve(Server(CONTENT, errors=[404]))
    gone = download_all([wanted()], Console(quiet=True))
    assert [item.name for item, _error in gone] == ["pkg 1.0"]


def test_a_busy_server_is_asked_again(serve: Callable[[Server], Server]) -> None:
    serve(Server(CONTENT, errors=[503, 503]))
    assert download_all([wanted()], Console(quiet=True)) == []


def test_a_server_that_refuses_is_named(serve: Callable[[Server], Server]) -> None:
    serve(Server(CONTENT, errors=[403]))
    with pytest.raises(SourceError, match="HTTP 403"):
        download_all([wanted()], Console(quiet=True))


def test_progress_is_told_in_plain_lines_without_a_terminal(serve: Callable[[Server], Server]) -> None:
    serve(Server(CONTENT))
    said = io.StringIO()
    download_all([wanted()], Console(said), "packages")
    assert "(100 %)" in said.getvalue()
    assert "\x1b" not in said.getvalue()


def test_a_stopped_download_is_no_result(serve: Callable[[Server], Server], tmp_path: Path) -> None:
    serve(Server(CONTENT))
    stop = threading.Event()
    stop.set()
    with pytest.raises(SourceError):
        downloads.download(wanted(), lambda amount: None, stop)
