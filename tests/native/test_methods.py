"""Methods of the API against a node in namespaces, beside what this computer's kernel says: the node shares it."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from dozen.rpc.status import Code, RpcError
from dozen.testing.live import LiveNode

HEALTH = "/cluster.ClusterService/HealthCheck"
BOOTSTRAPPED = 3  # cosi.resource.EventType
STATFS = "/machine.StorageService/Statfs"


def proc(name: str) -> str:
    return Path(f"/proc/{name}").read_text()


def test_load_and_memory(native: LiveNode) -> None:
    before = float(proc("loadavg").split()[0])
    (load,) = native.call("LoadAvg").messages
    after = float(proc("loadavg").split()[0])
    assert min(before, after) - 0.5 <= load.load1 <= max(before, after) + 0.5
    (memory,) = native.call("Memory").messages
    total = re.search(r"MemTotal: +(\d+)", proc("meminfo"))
    assert total
    assert memory.meminfo.memtotal == int(total[1])
    assert 0 < memory.meminfo.memavailable < memory.meminfo.memtotal


def test_processors(native: LiveNode) -> None:
    (found,) = native.call("CPUInfo").messages
    assert [each.processor for each in found.cpu_info] == list(range(os.cpu_count() or 0))
    model = re.search(r"model name\t: (.*)", proc("cpuinfo"))
    assert {each.model_name for each in found.cpu_info} == {model[1] if model else ""}
    assert len(native.call("CPUFreqStats").messages) == 1
    (stat,) = native.call("SystemStat").messages
    booted = re.search(r"btime (\d+)", proc("stat"))
    assert booted
    assert stat.boot_time == int(booted[1])
    assert len(stat.cpu) == os.cpu_count()


def test_disks_and_interfaces(native: LiveNode) -> None:
    (disks,) = native.call("DiskStats").messages
    assert {each.name for each in disks.devices} <= {line.split()[2] for line in proc("diskstats").splitlines()}
    (links,) = native.call("NetworkDeviceStats").messages
    theirs = native.read("/proc/1/net/dev").decode()
    assert {each.name for each in links.devices} == set(re.findall(r"^ *(\S+):", theirs, re.MULTILINE))


def test_space(native: LiveNode) -> None:
    found = native.call(STATFS, path="/usr/share/dozen")
    assert found.size >= found.used > 0
    entries = native.call("DiskUsage", paths=["/usr/share/dozen"], all=True)
    manifest = len(native.read("/usr/share/dozen/manifest.json"))
    sizes = {entry.relative_name: entry.size for entry in entries}
    assert sizes["manifest.json"] >= manifest
    with pytest.raises(RpcError) as caught:
        native.call(STATFS, path="/nothing")
    assert caught.value.code is Code.NOT_FOUND


def test_processes_and_their_first(native: LiveNode) -> None:
    first = next(each for each in native.processes() if each.pid == 1)
    assert first.command == "init"
    assert first.resident_memory > 0


def test_logs_from_their_end(native: LiveNode) -> None:
    assert {"apid", "machined"} <= set(native.call("LogsContainers").messages[0].ids)
    last = b"".join(part.bytes for part in native.call("Logs", namespace="system", id="apid", tail_lines=1))
    assert last.count(b"\n") == 1
    # All of it, which is what the log's files have.
    whole = b"".join(part.bytes for part in native.call("Logs", namespace="system", id="apid", tail_lines=-1))
    kept = native.read("/var/log/apid.log")
    assert whole[: len(kept)] == kept[: len(whole)]
    assert whole.endswith(b"\n")


def test_events_of_the_boot_are_remembered(native: LiveNode) -> None:
    """Until the history is told; the stream itself never ends."""

    async def collect() -> list[str]:
        from dozen.client.tracker import describe
        from dozen.machinery.messages import message

        request = message("machine.EventsRequest")(tail_events=-1)
        told: list[str] = []
        async for event in native.channel.server_stream(
            "/machine.MachineService/Events", request, message("machine.Event")
        ):
            if event.data.type_url:
                told.append(str(describe(event)))
            if told and told[-1] == "sequence boot: stop":
                return told
        return told

    told = native.portal.run(collect(), 30)
    assert told.index("sequence initialize: start") < told.index("sequence boot: start")
    assert any(each.startswith("machine: ") for each in told)


def test_names_and_meta(native: LiveNode) -> None:
    assert native.call("Hostname").messages[0].hostname
    with pytest.raises(RpcError, match="no value with key 77") as caught:
        native.call("MetaDelete", key=77)
    assert caught.value.code is Code.NOT_FOUND
    native.call("MetaWrite", key=77, value=b"seen")
    native.call("MetaDelete", key=77)
    with pytest.raises(RpcError, match="no value"):
        native.call("MetaDelete", key=77)


def test_resources_are_got_listed_and_watched(native: LiveNode) -> None:
    state = "/cosi.resource.State/"
    link = {"namespace": "network", "type": "LinkStatuses.net.talos.dev"}
    listed = [reply.resource for reply in native.call(f"{state}List", **link)]
    got = native.call(f"{state}Get", id="lo", **link).resource
    assert [each.spec.yaml_spec for each in listed if each.metadata.id == "lo"] == [got.spec.yaml_spec]
    assert got.spec.proto_spec

    async def collect() -> list[str]:
        from dozen.machinery.messages import message

        request = message("cosi.resource.WatchRequest")(api_version=1, options={"bootstrap_contents": True}, **link)
        seen: list[str] = []
        async for reply in native.channel.server_stream(
            f"{state}Watch", request, message("cosi.resource.WatchResponse")
        ):
            seen += [each.resource.metadata.id if each.HasField("resource") else "" for each in reply.event] or ["-"]
            # The event that says so ends what was there from the beginning.
            if reply.event and reply.event[-1].event_type == BOOTSTRAPPED:
                return seen
        return seen

    seen = native.portal.run(collect(), 30)
    assert seen[0] == "-"
    assert set(seen) >= {each.metadata.id for each in listed}
    for verb in ("Create", "Update", "Destroy", "Teardown", "TeardownAndDestroy"):
        with pytest.raises(RpcError, match="write access is not allowed") as caught:
            native.call(f"{state}{verb}")
        assert caught.value.code is Code.PERMISSION_DENIED


def test_health_says_what_it_waits_for_and_what_is_missing(native: LiveNode) -> None:
    """This node's cluster has no etcd: that is the first thing that does not come right in time."""

    async def collect() -> tuple[list[str], RpcError]:
        from dozen.machinery.messages import message

        request = message("cluster.HealthCheckRequest")(wait_timeout={"seconds": 3})
        lines: list[str] = []
        try:
            async for progress in native.channel.server_stream(
                HEALTH, request, message("cluster.HealthCheckProgress"), timeout=30
            ):
                lines.append(progress.message)
        except RpcError as error:
            return lines, error
        raise AssertionError(lines)

    began = time.monotonic()
    lines, error = native.portal.run(collect(), 35)
    assert lines[0].startswith("discovered nodes: [")
    assert all(line.startswith("waiting for ") for line in lines[1:])
    assert (error.code, error.message.startswith("waiting for ")) == (Code.DEADLINE_EXCEEDED, True)
    assert time.monotonic() - began < 20
