"""Manifests behind URLs: redirects, and that what is sent to one host is not sent to another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from dozen.node.kubernetes import download as module
from dozen.node.kubernetes.download import REDIRECTS, download
from dozen.node.kubernetes.http import HttpError

SECRET = {"Authorization": "Bearer t"}


class Web:
    """Answers by URL; remembers who was sent the headers of the configuration."""

    def __init__(self, answers: Mapping[str, tuple[int, str]]) -> None:
        self.answers = answers
        self.told: list[tuple[str, bool]] = []
        self.open_connections = 0

    async def open(self, host: str, port: int, tls: object) -> Any:
        web = self
        base = f"{'https' if tls else 'http'}://{host}"

        class Page:
            def __init__(self, status: int, text: str) -> None:
                self.status, self._text = status, text

            def header(self, name: str) -> str:
                return self._text if name == "location" else ""

            async def read(self, limit: int) -> bytes:
                return self._text.encode()

        class Connection:
            async def request(self, method: str, target: str, headers: Mapping[str, str]) -> Page:
                web.told.append((f"{base}{target}", "Authorization" in headers))
                return Page(*web.answers[f"{base}{target}"])

            def close(self) -> None:
                web.open_connections -= 1

        self.open_connections += 1
        return Connection()


def fetch(monkeypatch: pytest.MonkeyPatch, url: str, answers: Mapping[str, tuple[int, str]]) -> tuple[Web, Any]:
    web = Web(answers)
    monkeypatch.setattr(module.Connection, "open", web.open)
    try:
        found: Any = asyncio.run(download(url, SECRET))
    except (OSError, ValueError) as error:
        found = error
    assert web.open_connections == 0
    return web, found


def test_a_text_is_fetched_with_the_headers_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    web, found = fetch(monkeypatch, "http://a/m.yaml?v=1", {"http://a/m.yaml?v=1": (200, "kind: X")})
    assert found == "kind: X"
    assert web.told == [("http://a/m.yaml?v=1", True)]


def test_redirects_are_followed_and_another_host_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "http://a/m": (302, "/n"),
        "http://a/n": (307, "https://b/m"),
        "https://b/m": (200, "kind: X"),
    }
    web, found = fetch(monkeypatch, "http://a/m", answers)
    assert found == "kind: X"
    assert web.told == [("http://a/m", True), ("http://a/n", True), ("https://b/m", False)]


def test_going_round_in_circles_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    web, found = fetch(monkeypatch, "http://a/m", {"http://a/m": (301, "http://a/m")})
    assert isinstance(found, HttpError)
    assert len(web.told) == REDIRECTS + 1


@pytest.mark.parametrize(
    ("url", "answers", "complaint"),
    [
        ("file:///etc/shadow", {}, "is not a URL that can be fetched"),
        ("http://a/m", {"http://a/m": (302, "file:///etc/shadow")}, "is not a URL that can be fetched"),
        ("http://a/m", {"http://a/m": (404, "nothing")}, "HTTP status 404"),
    ],
)
def test_what_cannot_be_had_is_said(
    monkeypatch: pytest.MonkeyPatch, url: str, answers: Mapping[str, tuple[int, str]], complaint: str
) -> None:
    _, found = fetch(monkeypatch, url, answers)
    assert complaint in str(found)
