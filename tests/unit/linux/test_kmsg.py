"""Records of the kernel's log and the line that each becomes."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import kmsg
from dozen.linux.kmsg import LogReader, Record, format_record, format_time, parse_record

BOOTED = 1714557600.0


@pytest.mark.parametrize(
    ("data", "record"),
    [
        (b"6,339,5140900,-;NET: Registered\n", Record("kern", "info", 339, 5140900, "NET: Registered")),
        (b"30,1,0,-,caller=T1;machined: up\n SUBSYSTEM=x\n", Record("daemon", "info", 1, 0, "machined: up")),
        (b"12,2,7,c;a;b", Record("user", "warning", 2, 7, "a;b")),
        (rb"4,3,7,-;tab\x09back\x5cslash \xc3\xa4", Record("kern", "warning", 3, 7, r"tab\x09back\slash ä")),
        (b"1999,3,7,-;high", Record("249", "debug", 3, 7, "high")),
        (b"0,0,0,-;", Record("kern", "emerg", 0, 0, "")),
    ],
)
def test_record(data: bytes, record: Record) -> None:
    assert parse_record(data) == record


@pytest.mark.parametrize("data", [b"", b"6,1,2", b"6;text", b"a,b,c,-;text"])
def test_broken_record_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_record(data)


@given(st.binary())
def test_only_value_errors_come_out(data: bytes) -> None:
    try:
        parse_record(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (Record("kern", "info", 1, 500_000, "text"), "kern:    info: [2024-05-01T10:00:00.5Z]: text\n"),
        (Record("daemon", "warning", 1, 1_000_000, "x"), "daemon: warning: [2024-05-01T10:00:01Z]: x\n"),
        (Record("user", "err", 1, 1, ""), "user:     err: [2024-05-01T10:00:00.000001Z]: \n"),
    ],
)
def test_line(record: Record, line: str) -> None:
    assert format_record(record, BOOTED) == line


def test_time_keeps_zeros_that_count() -> None:
    assert format_time(10_000_000) == "1970-01-01T00:00:10Z"
    assert format_time(10_000_100) == "1970-01-01T00:00:10.0001Z"


def test_reader_passes_over_lost_records_and_ends_where_the_log_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kmsg").touch()
    reader = LogReader(device=str(tmp_path / "kmsg"))
    broken = OSError(errno.EIO, "broken")
    answers: list[bytes | OSError] = [OSError(errno.EPIPE, "lost"), b"6,9,1,-;kept\n", BlockingIOError(), broken]

    def read(descriptor: int, size: int) -> bytes:
        assert (descriptor, size) == (reader.fileno(), 8192)
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(os, "read", read)
        record = reader.read()
        assert record is not None
        assert record.text == "kept"
        assert reader.read() is None
        with pytest.raises(OSError, match="broken"):
            reader.read()
    reader.close()


def test_reader_begins_at_the_end_on_request(tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_bytes(b"6,9,1,-;old\n")
    old, new = (LogReader(new_only=new, device=str(tmp_path / "kmsg")) for new in (False, True))
    assert old.read() is not None
    assert new.read() is None
    old.close()
    new.close()


def test_facilities_fill_the_numbers_that_syslog_defines() -> None:
    assert len(kmsg.FACILITIES) == 24
    assert (kmsg.FACILITIES[16], kmsg.FACILITIES[23]) == ("local0", "local7")
