"""The dashboard's figures: what the node answered, rates between two looks, and gaps where it did not answer."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.cli.commands.dashboard import make_figures
from dozen.machinery.messages import message


def answers(busy: int, idle: int, received: int, written: int, cpu_time: float) -> dict[str, Any]:
    process = {"pid": 1, "resident_memory": 5, "cpu_time": cpu_time, "args": "/sbin/init"}
    return {
        "Version": message("machine.Version")(version={"tag": "v9"}),
        "LoadAvg": message("machine.LoadAvg")(load1=1.0, load5=2.0, load15=3.0),
        "Memory": message("machine.Memory")(meminfo={"memtotal": 4, "memavailable": 1}),
        "SystemStat": message("machine.SystemStat")(cpu_total={"user": busy, "idle": idle}),
        "CPUInfo": message("machine.CPUsInfo")(cpu_info=[{}, {}]),
        "NetworkDeviceStats": message("machine.NetworkDeviceStats")(total={"rx_bytes": received}),
        "DiskStats": message("machine.DiskStats")(total={"write_sectors": written}),
        "Processes": message("machine.Process")(processes=[process, {"pid": 2}]),
        "ServiceList": message("machine.ServiceList")(
            services=[{"id": "apid", "state": "Running", "health": {"healthy": True}}]
        ),
    }


SPECS = {
    "status": {"stage": "running", "status": {"ready": True, "unmetConditions": [{"name": "time"}]}},
    "hostname": {"hostname": "one"},
    "addresses": {"addresses": ["10.0.0.1/24"]},
    "resolvers": {"dnsServers": ["10.0.0.2"]},
    "time": {"synced": True},
    "type": "controlplane",
}


def test_figures_between_two_looks() -> None:
    before = (10.0, answers(0, 0, 100, 0, 1.0))
    figures = make_figures(answers(1, 3, 300, 4, 1.5), SPECS, before, 12.0, ("line",), "note")
    assert figures.cpu == pytest.approx(0.25)
    assert (figures.received, figures.sent, figures.disk_written) == (100.0, 0.0, 1024.0)
    assert [(line.pid, line.cpu) for line in figures.processes] == [(1, 0.25)]
    assert (figures.memory_total, figures.memory_available, figures.processors) == (4096, 1024, 2)
    assert (figures.hostname, figures.stage, figures.ready, figures.unmet) == ("one", "running", True, ("time",))
    assert (figures.addresses, figures.resolvers, figures.machine_type) == (
        ("10.0.0.1/24",),
        ("10.0.0.2",),
        "controlplane",
    )
    assert (figures.services[0].id, figures.services[0].health) == ("apid", True)
    assert figures.process_count == 2


def test_the_first_look_has_no_rates() -> None:
    figures = make_figures(answers(1, 1, 1, 1, 1.0), SPECS, None, 12.0, (), "")
    assert (figures.cpu, figures.received, figures.disk_read) == (None, None, None)


def test_what_was_not_answered_is_not_known() -> None:
    names = answers(0, 0, 0, 0, 0)
    figures = make_figures(dict.fromkeys(names), {}, (1.0, dict.fromkeys(names)), 2.0, (), "")
    assert figures.time_synced is None
    assert (figures.hostname, figures.services, figures.uptime) == ("", (), None)


def test_it_wants_a_terminal(ask: Any) -> None:
    result = ask("dashboard")
    assert result.exit_code == 1
    assert "the dashboard needs a terminal" in result.stderr
