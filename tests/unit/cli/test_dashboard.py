"""The dashboard's figures: what the node answered, rates between two looks, and gaps where it did not answer."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Any

import pytest

from dozen import __version__
from dozen.cli.commands import dashboard
from dozen.client.connection import Connection
from dozen.client.machine import Node
from dozen.machinery.figures import CALLS, RESOURCES, make_figures
from dozen.machinery.messages import message
from dozen.testing.fakenode import FakeNode
from dozen.testing.portal import Portal


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


def test_what_it_asks_for_and_what_it_follows(fake: FakeNode, portal: Portal) -> None:
    """As other dashboards do: figures again and again, what runs once, resources and the kernel's log followed."""
    spec = {"metadata": {"id": "x"}, "spec": {"yaml_spec": "stage: running\nstatus: {ready: true}\n"}}
    watched = message("cosi.resource.WatchResponse")
    fake.replies |= {name: message(f"machine.{name}Response")(messages=[{}]) for name in CALLS}
    fake.replies["Dmesg"] = [message("common.Data")(bytes=b"one\ntwo\n")]
    fake.replies["Watch"] = [watched(), watched(event=[{"event_type": "CREATED", "resource": spec}])]

    async def work() -> tuple[Any, Any, list[str]]:
        async with Connection([fake.address], None) as connection:
            node = Node(connection)
            specs: dict[str, Any] = {}
            log: deque[str] = deque()
            following = [asyncio.create_task(dashboard.follow_resource(node, specs, "status"))]
            following.append(asyncio.create_task(dashboard.follow_log(node, log)))
            sampler = dashboard.Sampler(node, specs, "")
            first = await sampler.sample(())
            while "status" not in specs or len(log) < 2:
                await asyncio.sleep(0.01)
            second = await sampler.sample(tuple(log))
            for task in following:
                task.cancel()
            return first, second, list(log)

    first, second, log = portal.run(work(), 10)
    assert (second.stage, second.ready, log) == ("running", True, ["one", "two"])
    assert first.version == second.version == f"v{__version__}"
    asked = Counter(call.method for call in fake.asked)
    assert asked == {**dict.fromkeys(CALLS, 2), "Version": 1, "Dmesg": 1, "Watch": 1}
    watch = next(call.request for call in fake.asked if call.method == "Watch")
    assert (watch.type, watch.namespace, watch.id) == RESOURCES["status"]


def test_the_clock_of_the_processors() -> None:
    names = answers(0, 0, 0, 0, 0)
    clocks = [{"current_frequency": 2_000_000}, {"current_frequency": 3_000_000}, {}]
    names["CPUFreqStats"] = message("machine.CPUsFreqStats")(cpu_freq_stats=clocks)
    assert make_figures(names, SPECS, None, 12.0, (), "").frequency == 2.5e9
    names["CPUFreqStats"] = message("machine.CPUsFreqStats")(cpu_freq_stats=[{}, {}])
    assert make_figures(names, SPECS, None, 12.0, (), "").frequency is None


def test_it_wants_a_terminal(ask: Any) -> None:
    result = ask("dashboard")
    assert result.exit_code == 1
    assert "the dashboard needs a terminal" in result.stderr
