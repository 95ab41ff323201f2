"""The lock: pins, replacements, refusals."""

import io
from pathlib import Path

import pytest

from dozen.compose import packages
from dozen.compose.archive import Index, Release, Stanza
from dozen.compose.console import Console
from dozen.compose.downloads import Wanted
from dozen.compose.errors import Gone, LockError
from dozen.compose.lock import Lock, describe_changes, make_lock, read_lock, replace_gone, write_lock

RELEASE = Release(1700000000, "13.8", {})


def stanza(name: str, version: str, source: str = "", depends: str = "") -> Stanza:
    path = f"pool/{name}_{version}.deb"
    return Stanza(name, version, "debian", path, 10, f"{name}-{version}", source or name, depends, ())


OLD = Index(
    [
        stanza("udev", "257.1", "systemd"),
        stanza("libudev1", "257.1", "systemd"),
        stanza("runc", "1.1"),
        stanza("linux-image-cloud-amd64", "6.12.1", "linux-signed", "linux-image-6.12.1 (= 6.12.1)"),
        stanza("linux-image-6.12.1", "6.12.1", "linux-signed"),
        stanza("gcc", "14"),
    ]
)
NEW = Index(
    [
        stanza("udev", "257.2", "systemd"),
        stanza("libudev1", "257.2", "systemd"),
        stanza("runc", "1.2"),
        stanza("linux-image-cloud-amd64", "6.12.9", "linux-signed", "linux-image-6.12.9 (= 6.12.9)"),
        stanza("linux-image-6.12.9", "6.12.9", "linux-signed"),
        stanza("gcc", "14"),
    ]
)


@pytest.fixture
def lock() -> Lock:
    return make_lock(OLD, RELEASE, ["udev", "libudev1", "runc"], ["linux-image-cloud-amd64"], ["gcc"])


def test_a_kernel_is_pinned_as_what_its_metapackage_stands_for(lock: Lock) -> None:
    kernel = lock.find("linux-image-cloud-amd64")
    assert kernel is not None
    assert kernel.name == "linux-image-6.12.1"


def test_a_lock_is_read_as_it_was_written_and_names_no_server(lock: Lock, tmp_path: Path) -> None:
    write_lock(tmp_path / "lock.json", lock)
    assert read_lock(tmp_path / "lock.json") == lock
    assert "://" not in (tmp_path / "lock.json").read_text()


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', "not json"])
def test_a_lock_that_cannot_be_used_says_how_to_make_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.json"
    if text:
        path.write_text(text)
    with pytest.raises(LockError, match="lock"):
        read_lock(path)


def test_all_packages_of_a_source_are_replaced_together(lock: Lock) -> None:
    gone = [pin for pin in lock.image if pin.name == "udev"]
    new, changed = replace_gone(lock, NEW, gone)
    assert changed == {"udev": ("257.1", "257.2"), "libudev1": ("257.1", "257.2")}
    assert [pin.version for pin in new.image if pin.name == "runc"] == ["1.1"]
    assert "udev 257.1 is gone from the mirror" in describe_changes(changed)[1]


def test_a_kernel_that_is_gone_is_replaced_by_one_of_another_name(lock: Lock) -> None:
    new, _changed = replace_gone(lock, NEW, [pin for pin in lock.image if pin.follows])
    kernel = new.find("linux-image-cloud-amd64")
    assert kernel is not None
    assert kernel.name == "linux-image-6.12.9"


class Project:
    """The surroundings of `obtain`: a mirror that has only some versions, and what was said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: set[str]) -> None:
        self.served, self.have = served, tmp_path / "have"
        self.have.mkdir()
        (tmp_path / "lock.json").write_text("committed")
        monkeypatch.setattr(packages, "lock_path", lambda: tmp_path / "lock.json")
        monkeypatch.setattr(packages, "find_mirrors", lambda environ: packages.find_mirrors)
        monkeypatch.setattr(packages, "to_wanted", lambda pin, mirrors: Wanted(pin.name, "", 10, pin.sha256))
        monkeypatch.setattr(packages, "download_path", lambda sha256: self.have / sha256)
        monkeypatch.setattr(packages, "download_all", self.download)
        monkeypatch.setattr(packages, "open_archive", lambda console, mirrors: (NEW, RELEASE))

    def download(self, files, console: Console, title: str) -> list[tuple[Wanted, Gone]]:
        gone = []
        for wanted in files:
            if wanted.sha256 in self.served:
                (self.have / wanted.sha256).touch()
            else:
                gone.append((wanted, Gone(wanted.name)))
        return gone


def test_a_development_build_goes_on_with_the_newest_and_remembers_it(
    lock: Lock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served = {"udev-257.2", "libudev1-257.2", "runc-1.1", "linux-image-6.12.1-6.12.1"}
    Project(monkeypatch, tmp_path, served)
    said = io.StringIO()
    used = packages.obtain(lock, "image", Console(said, quiet=True))
    assert {pin.name: pin.version for pin in used.image}["libudev1"] == "257.2"
    assert packages.is_replaced()
    assert said.getvalue().splitlines() == [
        f"{name} 257.1 is gone from the mirror (archives drop old versions): taking the newest signed one, 257.2"
        for name in ("libudev1", "udev")
    ]


def test_a_release_refuses(lock: Lock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Project(monkeypatch, tmp_path, {"runc-1.1"})
    with pytest.raises(LockError, match=r"udev 257\.1.*Refresh the lock"):
        packages.obtain(lock, "image", Console(quiet=True), strict=True)


def test_a_release_refuses_what_was_replaced_for_development(
    lock: Lock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Project(monkeypatch, tmp_path, {"udev-257.2", "libudev1-257.2", "runc-1.1", "linux-image-6.12.1-6.12.1"})
    used = packages.obtain(lock, "image", Console(io.StringIO(), quiet=True))
    with pytest.raises(LockError, match=r"have been replaced on this machine; .*Refresh the lock \(`make lock`\)"):
        packages.obtain(used, "image", Console(quiet=True), strict=True)


def test_an_index_that_names_what_its_mirror_lacks_is_told(
    lock: Lock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Project(monkeypatch, tmp_path, {"runc-1.1"})
    monkeypatch.setattr(packages, "open_archive", lambda console, mirrors: (OLD, RELEASE))
    with pytest.raises(LockError, match=r"udev 257\.1.*but the mirror does not have it; try later"):
        packages.obtain(lock, "image", Console(quiet=True))
