"""The probe of KVM against guests that boot, end early, hang, or cannot be started; and how long a verdict holds.

The room's purpose is to run programs, so these tests run small ones.
"""

import sys
import time
from pathlib import Path

import pytest

from dozen.provider import accelerator
from dozen.provider.accelerator import Accelerator, choose, keep_verdict, probe, probe_command, read_verdict

PANICS = "import sys,time; print('Kernel panic - not syncing: VFS: no root', flush=True); time.sleep(60)"
BREAKS = "print('kvm run failed'); raise SystemExit(1)"
HANGS = "import time; time.sleep(60)"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_a_kernel_that_boots_means_kvm() -> None:
    assert probe(python(PANICS), 20).name == "kvm"


def test_an_emulator_that_ends_means_tcg_with_its_last_words() -> None:
    verdict = probe(python(BREAKS), 20)
    assert verdict.name == "tcg"
    assert verdict.reason.endswith("ended early")
    assert verdict.detail == "kvm run failed"


def test_a_guest_that_hangs_costs_no_more_than_its_time() -> None:
    start = time.monotonic()
    verdict = probe(python(HANGS), 0.2)
    assert time.monotonic() - start < 5
    assert verdict.name == "tcg"
    assert "hung" in verdict.reason


def test_an_emulator_that_cannot_be_started_means_tcg(tmp_path: Path) -> None:
    assert probe([str(tmp_path / "absent")], 1).name == "tcg"


def test_the_probe_boots_the_kernel_that_the_machine_will_boot() -> None:
    command = probe_command(("qemu",), Path("/image/vmlinux"))
    assert command[command.index("-kernel") + 1] == "/image/vmlinux"
    assert command[command.index("-accel") + 1] == "kvm"


def test_a_verdict_holds_for_its_boot_only(tmp_path: Path) -> None:
    kept = Accelerator("kvm", "it booted")
    keep_verdict(tmp_path / "cache" / "kvm.json", "this boot", kept)
    assert read_verdict(tmp_path / "cache" / "kvm.json", "this boot") == kept
    assert read_verdict(tmp_path / "cache" / "kvm.json", "another boot") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"key": "this boot"}'])
def test_a_damaged_verdict_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "kvm.json").write_text(content)
    assert read_verdict(tmp_path / "kvm.json", "this boot") is None


def test_a_setting_is_believed(tmp_path: Path) -> None:
    assert choose(("qemu",), tmp_path, tmp_path, "tcg").name == "tcg"
    assert choose(("qemu",), tmp_path, tmp_path, "kvm").name == "kvm"


def test_no_device_means_tcg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "DEVICE", tmp_path / "kvm")
    assert choose(("qemu",), tmp_path, tmp_path).name == "tcg"


def test_tcg_offers_the_guest_random_numbers() -> None:
    assert Accelerator("tcg", "").arguments == ["-accel", "tcg,thread=multi", "-cpu", "max"]
