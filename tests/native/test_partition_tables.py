"""The partition tables that we write, read by an independent reader: util-linux's sfdisk, where the host has it."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from dozen.linux.gpt import Wanted, lay_out, render_table

MIB = 1 << 20
DISK = "11111111-2222-4333-8444-555555555555"
SFDISK = shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin:/bin") or ""

pytestmark = pytest.mark.skipif(not SFDISK, reason="there is no sfdisk")


@pytest.mark.parametrize("size", [600 * MIB, 600 * MIB + 512 * 7])
def test_sfdisk_reads_the_same_and_finds_no_fault(tmp_path: Path, size: int) -> None:
    """It verifies the checksums, the backup and the protective MBR."""
    numbers = count(1)
    wanted = [Wanted("META", MIB), Wanted("STATE", 100 * MIB), Wanted("EPHEMERAL", None)]
    table = lay_out(wanted, size, 512, lambda: f"00000000-0000-4000-8000-{next(numbers):012x}", DISK)
    path = tmp_path / "disk"
    with path.open("wb") as stream:
        stream.truncate(size)
        for offset, data in render_table(table):
            stream.seek(offset)
            stream.write(data)
    shown = subprocess.run([SFDISK, "--json", str(path)], capture_output=True, check=True)
    read = json.loads(shown.stdout)["partitiontable"]
    assert (read["label"], read["id"].lower()) == ("gpt", DISK)
    assert [(each["name"], each["start"], each["size"], each["uuid"].lower()) for each in read["partitions"]] == [
        (each.name, each.first, each.sectors, each.guid) for each in table.partitions
    ]
    verified = subprocess.run([SFDISK, "--verify", str(path)], capture_output=True, check=False)
    assert b"No errors detected" in verified.stdout, verified.stdout + verified.stderr
