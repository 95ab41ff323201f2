"""The machine API's calls: what is asked for, how answers are unwrapped, and what is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dozen.client import images
from dozen.client.errors import NodeError
from dozen.client.machine import Node
from dozen.machinery.messages import enum, message
from dozen.testing.fakenode import FakeNode

Ask = Callable[..., Any]


def collect(make: Callable[[Node], AsyncIterator[Any]]) -> Callable[[Node], Any]:
    async def work(node: Node) -> list[Any]:
        return [item async for item in make(node)]

    return work


def test_the_single_answer_is_unwrapped(fake: FakeNode, ask: Ask) -> None:
    fake.replies["Hostname"] = message("machine.HostnameResponse")(messages=[{"hostname": "one"}])
    fake.replies["Memory"] = message("machine.MemoryResponse")(messages=[{"meminfo": {"memtotal": 7}}])
    assert ask(Node.hostname) == "one"
    assert ask(Node.memory).memtotal == 7


def test_an_answer_that_is_an_error(fake: FakeNode, ask: Ask) -> None:
    failed = {"metadata": {"hostname": "10.0.0.7", "error": "is not there"}}
    fake.replies["Version"] = message("machine.VersionResponse")(messages=[failed])
    fake.replies["Read"] = [message("common.Data")(bytes=b"a"), message("common.Data")(**failed)]
    with pytest.raises(NodeError, match=r"10\.0\.0\.7: is not there"):
        ask(Node.version)
    with pytest.raises(NodeError, match="is not there"):
        ask(lambda node: node.read_whole("/x"))


def test_an_empty_answer_is_an_error(fake: FakeNode, ask: Ask) -> None:
    fake.replies["Version"] = message("machine.VersionResponse")()
    with pytest.raises(NodeError, match="empty answer"):
        ask(Node.version)


@pytest.mark.parametrize(("depth", "recurse"), [(1, False), (0, True), (3, True)])
def test_list(fake: FakeNode, ask: Ask, depth: int, recurse: bool) -> None:
    fake.replies["List"] = [message("machine.FileInfo")(name="/x", relative_name=".")]
    found = ask(collect(lambda node: node.list_files("/x", depth=depth, types=["SYMLINK"])))
    request = fake.asked[0].request
    assert [entry.relative_name for entry in found] == ["."]
    assert (request.root, request.recurse, request.recursion_depth) == ("/x", recurse, depth)
    assert list(request.types) == [request.SYMLINK]


def test_read_stops_at_its_limit(fake: FakeNode, ask: Ask) -> None:
    fake.replies["Read"] = [message("common.Data")(bytes=b"abcd")] * 3
    assert ask(lambda node: node.read_whole("/x", limit=6)) == b"abcdab"


def test_events_begin_behind_the_hello(fake: FakeNode, ask: Ask) -> None:
    event = message("machine.Event")
    real = event(id="2")
    real.data.type_url = "talos/runtime/machine.PhaseEvent"
    fake.replies["Events"] = [event(id="1", data={}), real]
    assert [found.id for found in ask(collect(lambda node: node.events(tail=-1, actor="a")))] == ["2"]
    assert (fake.asked[0].request.tail_events, fake.asked[0].request.with_actor_id) == (-1, "a")


@pytest.mark.parametrize(("kubernetes", "namespace", "driver"), [(False, "system", 0), (True, "k8s.io", 1)])
def test_where_containers_are_looked_for(
    fake: FakeNode, ask: Ask, kubernetes: bool, namespace: str, driver: int
) -> None:
    fake.replies["Containers"] = message("machine.ContainersResponse")(messages=[{}])
    fake.replies["Stats"] = message("machine.StatsResponse")(messages=[{}])
    fake.replies["Logs"] = []
    ask(lambda node: node.containers(kubernetes=kubernetes))
    ask(lambda node: node.stats(kubernetes=kubernetes))
    ask(collect(lambda node: node.logs("x", kubernetes=kubernetes)))
    assert [(call.request.namespace, call.request.driver) for call in fake.asked] == [(namespace, driver)] * 3
    assert fake.asked[2].request.tail_lines == -1


def test_actions(fake: FakeNode, ask: Ask) -> None:
    fake.replies["ServiceRestart"] = message("machine.ServiceRestartResponse")(messages=[{"resp": "done"}])
    fake.replies["Reboot"] = message("machine.RebootResponse")(messages=[{"actor_id": "a1"}])
    fake.replies["Shutdown"] = message("machine.ShutdownResponse")(messages=[{"actor_id": "a2"}])
    fake.replies["MetaWrite"] = message("machine.MetaWriteResponse")(messages=[{}])
    fake.replies["MetaDelete"] = message("machine.MetaDeleteResponse")(messages=[{}])
    assert ask(lambda node: node.act_on_service("Restart", "kubelet")) == "done"
    assert ask(lambda node: node.reboot("POWERCYCLE")) == "a1"
    assert ask(lambda node: node.shutdown(force=True)) == "a2"
    ask(lambda node: node.write_meta(12, b"v"))
    ask(lambda node: node.delete_meta(12))
    restart, reboot, shutdown, write, delete = (call.request for call in fake.asked)
    assert (restart.id, reboot.mode, shutdown.force) == ("kubelet", reboot.POWERCYCLE, True)
    assert (write.key, write.value, delete.key) == (12, b"v", 12)


def test_time_asks_the_node_or_a_server(fake: FakeNode, ask: Ask) -> None:
    fake.replies["Time"] = fake.replies["TimeCheck"] = message("time.TimeResponse")(messages=[{"server": "s"}])
    assert ask(lambda node: node.time()).server == "s"
    ask(lambda node: node.time("t.example"))
    assert fake.methods() == ["Time", "TimeCheck"]
    assert fake.asked[1].request.server == "t.example"


def test_client_configuration(fake: FakeNode, ask: Ask) -> None:
    fake.replies["GenerateClientConfiguration"] = message("machine.GenerateClientConfigurationResponse")(messages=[{}])
    ask(lambda node: node.client_configuration(["os:reader"], 60))
    request = fake.asked[0].request
    assert (list(request.roles), request.crt_ttl.seconds) == (["os:reader"], 60)


def test_import_sends_where_then_what(fake: FakeNode, ask: Ask) -> None:
    fake.replies["Import"] = message("machine.ImageServiceImportResponse")(name="image:1")
    assert ask(lambda node: images.import_image(node, [b"ab", b"cd"])) == "image:1"
    first, *chunks = fake.asked[0].requests
    assert first.containerd.namespace == enum("common.ContainerdNamespace").Value("NS_SYSTEM")
    assert [each.image_chunk.bytes for each in chunks] == [b"ab", b"cd"]


def test_a_debug_container_gets_input_and_gives_output(fake: FakeNode, ask: Ask) -> None:
    response = message("machine.DebugContainerRunResponse")
    fake.replies["ContainerRun"] = [response(stdout_data=b"hel"), response(stdout_data=b"lo"), response(exit_code=3)]
    shown: list[bytes] = []

    async def keys() -> AsyncIterator[bytes]:
        yield b"typed"

    code = ask(
        lambda node: images.run_container(
            node, "image:1", ["-x"], keys=keys(), output=shown.append, environment={"A": "b"}, size=(80, 24)
        )
    )
    assert (code, b"".join(shown)) == (3, b"hello")
    spec, resize, typed = fake.asked[0].requests
    assert (spec.spec.image_name, list(spec.spec.args), dict(spec.spec.env)) == ("image:1", ["-x"], {"A": "b"})
    assert spec.spec.tty
    assert (resize.term_resize.width, resize.term_resize.height) == (80, 24)
    assert typed.stdin_data == b"typed"
