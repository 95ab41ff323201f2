"""Downloads files once: kept by their hash, continued where they broke off, several at a time.

A file is only ever found under its SHA-256, so the cache needs no index and cannot serve a wrong one; a half file waits
as ``HASH.part`` and is continued with a Range request. A hash that does not match after a whole download stops the
build: that is either a broken mirror or somebody in between.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dozen.compose.cache import CHUNK, cache_dir, hash_file
from dozen.compose.console import Bar, Console
from dozen.compose.errors import Gone, HashMismatch, SourceError

PARALLEL = 4
ATTEMPTS = 4
TIMEOUT = 60.0
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to have: where it is, how large, which content."""

    name: str
    address: str
    size: int
    sha256: str


def download_path(sha256: str) -> Path:
    """Where the file with this content is kept."""
    return cache_dir() / "downloads" / sha256


def download_all(files: Iterable[Wanted], console: Console, title: str = "downloading") -> list[tuple[Wanted, Gone]]:
    """Have all of these in the cache. Returns those that the server no longer has; any other failure is raised."""
    missing = [wanted for wanted in files if not download_path(wanted.sha256).exists()]
    gone: list[tuple[Wanted, Gone]] = []
    if not missing:
        return gone
    bar = Bar(console, title, sum(wanted.size for wanted in missing))
    console.say(f"{title}: {len(missing)} files, {bar.total / 1e6:.1f} MB")
    stop = threading.Event()

    def fetch_one(wanted: Wanted) -> None:
        if stop.is_set():
            return
        try:
            download(wanted, bar.advance, stop)
        except Gone as error:
            gone.append((wanted, error))
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(PARALLEL) as pool:
        results = [pool.submit(fetch_one, wanted) for wanted in missing]
    bar.finish()
    for result in results:
        result.result()
    return gone


def download(wanted: Wanted, advance: Callable[[int], None], stop: threading.Event) -> Path:
    """Have one file in the cache; tries again after errors of the network, each time from where it was."""
    final = download_path(wanted.sha256)
    part = final.with_name(f"{wanted.sha256}.{os.getpid()}.part")
    final.parent.mkdir(parents=True, exist_ok=True)
    _adopt_part(final, part)
    if part.exists():
        advance(min(part.stat().st_size, wanted.size))
    for attempt in range(ATTEMPTS):
        try:
            _continue_download(wanted, part, advance, stop)
            break
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise Gone(f"{wanted.name} is gone from the mirror (HTTP {error.code})") from error
            if error.code not in RETRIED or attempt == ATTEMPTS - 1:
                raise SourceError(f"cannot download {wanted.name}: the mirror says HTTP {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS - 1:
                raise SourceError(
                    f"cannot download {wanted.name} after {ATTEMPTS} attempts ({error}): check the network or the "
                    f"mirror, then run the same command again; it continues where it stopped"
                ) from error
        time.sleep(1.5**attempt)
    if (actual := hash_file(part)) != wanted.sha256:
        part.unlink()
        raise HashMismatch(
            f"{wanted.name}: the mirror served sha256 {actual}, but {wanted.sha256} is wanted. Nothing was built. "
            f"Run again (the bad file was removed); if it stays, use another mirror"
        )
    part.rename(final)
    return final


def _adopt_part(final: Path, part: Path) -> None:
    """Take over what a process that is gone left half done. A live one keeps its own, so two never write one file."""
    for other in final.parent.glob(f"{final.name}.*.part"):
        owner = other.name.split(".")[-2]
        if other != part and not Path(f"/proc/{owner}").exists():
            other.rename(part)


def _continue_download(wanted: Wanted, part: Path, advance: Callable[[int], None], stop: threading.Event) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= wanted.size:
        return
    request = urllib.request.Request(wanted.address, headers={"Range": f"bytes={have}-"} if have else {})
    with opener().open(request, timeout=TIMEOUT) as answer:
        resumed = have and answer.status == 206
        if have and not resumed:
            advance(-have)
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := answer.read(CHUNK // 4):
                if stop.is_set():
                    raise OSError("stopped because another download failed")
                stream.write(chunk)
                advance(len(chunk))
    if part.stat().st_size < wanted.size:
        raise OSError(f"the connection ended after {part.stat().st_size} of {wanted.size} bytes")


def fetch_small(address: str, name: str) -> bytes:
    """A file of unknown hash (an index), whole in memory. Raises Gone or SourceError."""
    for attempt in range(ATTEMPTS):
        try:
            with opener().open(address, timeout=TIMEOUT) as answer:
                data: bytes = answer.read()
                return data
        except urllib.error.HTTPError as error:
            if error.code in (403, 404, 410):
                raise Gone(f"the mirror has no {name} (HTTP {error.code})") from error
            problem: Exception = error
        except (OSError, http.client.HTTPException) as error:
            problem = error
        if attempt < ATTEMPTS - 1:
            time.sleep(1.5**attempt)
    raise SourceError(f"cannot fetch {name} ({problem}): check the network or the mirror") from problem


def fetch_verified(address: str, name: str, sha256: str) -> bytes:
    """A file whose hash is known, kept in the cache."""
    path = download_path(sha256)
    if not path.exists():
        data = fetch_small(address, name)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise HashMismatch(
                f"{name}: the mirror served another content than its signed index names; try again later"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{sha256}.{os.getpid()}.small")
        part.write_bytes(data)
        part.rename(path)
    return path.read_bytes()


_opener: urllib.request.OpenerDirector | None = None


def opener() -> urllib.request.OpenerDirector:
    """An opener that goes through the proxies of the environment or, failing that, of apt's configuration."""
    global _opener
    if _opener is None:
        proxies = urllib.request.getproxies()
        if "http" not in proxies and shutil.which("apt-config"):
            argv = ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]
            said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
            address = said.removeprefix("PROXY=").strip("'\"")
            if address and address.upper() != "DIRECT":
                proxies["http"] = address
        _opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    return _opener
