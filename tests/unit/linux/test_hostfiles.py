"""Files of a configuration are written where they belong, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux import etclayer, hostfiles
from dozen.machinery.effects.hostfiles import PlacedFile, PlaceFiles


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A /var and an /etc in a folder; the layer over the latter is there already."""
    for name in ("var", "etc", "image", "layer"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(hostfiles, "VAR", str(tmp_path / "var"))
    monkeypatch.setattr(etclayer, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(etclayer, "IMAGE", str(tmp_path / "image"))
    monkeypatch.setattr(etclayer, "LAYER", str(tmp_path / "layer"))
    monkeypatch.setattr(etclayer, "open_layer", lambda: None)
    return tmp_path


def place(path: Path, content: str, operation: str, mode: int = 0o644) -> list[str]:
    return hostfiles.run(PlaceFiles((PlacedFile(str(path), content, mode, operation),)))


def test_below_var(places: Path) -> None:
    file = places / "var/a/b"
    assert place(file, "one", "create", 0o600) == []
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one", 0o600)
    assert place(file, "two", "overwrite") == []
    assert place(file, "three", "append") == place(file, "three", "append") == []
    assert file.read_text() == "twothree"
    (problem,) = place(places / "var/none", "x", "overwrite")
    assert problem.endswith('is not there; with op "create" it would be')


def test_a_link_does_not_lead_elsewhere(places: Path) -> None:
    (places / "var/out").symlink_to(places / "image")
    (problem,) = place(places / "var/out/x", "x", "create")
    assert "a link leads out of" in problem
    (places / "var/file").symlink_to(places / "image/kept")
    assert place(places / "var/file", "mine", "create") == []
    assert not (places / "var/file").is_symlink()


def test_what_the_image_has_is_changed_in_the_layer_and_given_back(places: Path) -> None:
    (places / "image/conf").write_text("image\n")
    assert place(places / "etc/conf", "more\n", "append") == []
    assert place(places / "etc/conf", "other\n", "append") == []
    assert (places / "layer/conf").read_text() == "image\nother\n"
    assert place(places / "etc/new/file", "x", "create") == []
    gone = tuple(str(places / name) for name in ("etc/conf", "etc/new/file", "etc/never"))
    assert hostfiles.run(PlaceFiles((), gone)) == []
    assert (places / "layer/conf").read_text() == "image\n"
    assert not (places / "layer/new/file").exists()
