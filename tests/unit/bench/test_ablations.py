"""What an ablation replaces is still in the source."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import page, parts
from bench.ablations import ABLATIONS, Ablation, Edit, apply_edits


@pytest.mark.parametrize("ablation", ABLATIONS.values(), ids=ABLATIONS)
def test_its_lines_are_there_once_and_are_replaced(ablation: Ablation, tmp_path: Path) -> None:
    for path in {edit.path for edit in ablation.edits}:
        copy = tmp_path / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((parts.TOP / path).read_text())
    apply_edits(ablation.edits, tmp_path)
    for edit in ablation.edits:
        changed = (tmp_path / edit.path).read_text()
        assert edit.new in changed
        if edit.path.endswith(".py"):
            compile(changed, edit.path, "exec")


def test_a_line_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("other = 1\n")
    with pytest.raises(RuntimeError, match=r"a\.py has 'this = 1' 0 times"):
        apply_edits((Edit("a.py", "this = 1", "this = 2"),), tmp_path)


def test_the_page_has_a_column_for_each() -> None:
    boot = {"seconds": {"node": 100.0}, "processor": {"node": 150.0}, "figures": {"memory_mib": 700}}
    text = "\n".join(page.ablated({"cluster": boot, "without-keys": {**boot, "seconds": {"node": 120.0}}}))
    assert "| | as it is | keys |" in text
    assert "| Node Ready, s | 100 | 120 |" in text
    assert "| … until the Node is Ready | 150 | 150 |" in text
    assert page.ablated({}) == ["Not measured: left out of this run."]
