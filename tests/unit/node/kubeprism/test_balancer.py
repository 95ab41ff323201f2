"""Which API server a connection is carried to."""

from __future__ import annotations

import asyncio

from dozen.machinery import yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import cluster, config
from dozen.machinery.resources.kubeprism import (
    KUBE_PRISM_CONFIG,
    KUBE_PRISM_ENDPOINTS,
    KubePrismConfigSpec,
    KubePrismEndpoint,
    KubePrismEndpointsSpec,
)
from dozen.node.controllers.kubernetes.kubeprism import ID, KubePrismController
from dozen.node.kubeprism.balancer import Balancer, Place, _Side
from dozen.testing.controllers import PlainView

PLACES = tuple(Place(f"10.0.0.{number}", 6443) for number in (1, 2, 3))


def test_near_servers_first_similar_ones_by_chance_and_those_that_are_away_last() -> None:
    chances = iter((0.9, 0.5, 0.1) * 2)
    balancer = Balancer(lambda: None, lambda: next(chances))
    balancer.use(PLACES)
    one, two, three = balancer.targets
    one.healthy, one.delay = True, 0.010
    two.healthy, two.delay = True, 0.012
    three.healthy, three.delay = True, 0.100
    assert balancer.order() == [two, one, three]
    one.healthy = False
    assert balancer.order() == [two, three, one]


def test_targets_that_stay_keep_what_is_known_of_them() -> None:
    balancer = Balancer(lambda: None)
    balancer.use(PLACES)
    balancer.targets[1].healthy = True
    balancer.use(PLACES[1:])
    assert [each.healthy for each in balancer.targets] == [True, False]
    assert balancer.healthy
    balancer.use(())
    assert not balancer.healthy


def test_a_server_is_given_up_after_failures_in_a_row() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        balancer = Balancer(lambda: None)
        balancer.use([Place("127.0.0.1", server.sockets[0].getsockname()[1])])
        (target,) = balancer.targets
        side = await target.connect(_Side)
        assert side.transport is not None
        assert target.healthy
        target.connections.add(side.transport)
        server.close()
        for healthy in (True, False):
            try:
                await target.connect(_Side)
            except OSError:
                assert target.healthy is healthy
            else:
                raise AssertionError("nobody listens there")

    asyncio.run(scenario())


def test_the_servers_that_are_known() -> None:
    parsed = yaml.load(generate("c", "https://10.0.0.9:6443").controlplane)
    parsed["machine"]["features"] = {"kubePrism": {"enabled": True, "port": 7445}}
    view = PlainView(
        (config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=yaml.dump(parsed))),
        (
            cluster.MEMBER,
            "a",
            cluster.MemberSpec(addresses=("10.0.0.2", "fd00::2"), control_plane=cluster.ControlPlane(port=6443)),
        ),
        (cluster.MEMBER, "b", cluster.MemberSpec(addresses=("10.0.0.3",))),
    )
    places = [("127.0.0.1", 6443), ("10.0.0.9", 6443), ("10.0.0.2", 6443), ("fd00::2", 6443)]
    found = tuple(KubePrismEndpoint(host=host, port=port) for host, port in places)
    assert list(KubePrismController().plan(view)) == [
        Put(KUBE_PRISM_ENDPOINTS, ID, KubePrismEndpointsSpec(endpoints=found)),
        Put(KUBE_PRISM_CONFIG, ID, KubePrismConfigSpec(host="127.0.0.1", port=7445, endpoints=found)),
    ]
    parsed["machine"]["features"] = {"kubePrism": {"enabled": False}}
    view.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=yaml.dump(parsed)))
    assert list(KubePrismController().plan(view)) == []


def test_bytes_are_carried_both_ways_to_their_end_and_nobody_is_let_in_when_nobody_is_there() -> None:
    big = b"x" * 3_000_000

    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard = await reader.read()
            writer.write(heard + big)
            await writer.drain()
            writer.close()

        loop = asyncio.get_running_loop()
        behind = await asyncio.start_server(answer, "127.0.0.1", 0)
        balancer = Balancer(lambda: None)
        front = await loop.create_server(balancer.accept, "127.0.0.1", 0)
        port = front.sockets[0].getsockname()[1]
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"", "no server is known yet"
        balancer.use([Place("127.0.0.1", behind.sockets[0].getsockname()[1])])
        looking = asyncio.create_task(balancer.look_after())
        while not balancer.healthy:
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        writer.write(b"hello" + big)
        await writer.drain()
        writer.write_eof()
        assert await reader.read() == b"hello" + big + big
        writer.close()
        looking.cancel()
        front.close()
        behind.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_what_is_said_before_anybody_listens_is_heard_first() -> None:
    """Python before 3.11.4 reads once from a connection whose reading was paused at once."""
    side, heard = _Side(), []

    class Peer(asyncio.Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            heard.append(bytes(data))

        def can_write_eof(self) -> bool:
            return True

        def write_eof(self) -> None:
            heard.append(b"(end)")

    side.data_received(b"one ")
    side.data_received(b"two")
    side.eof_received()
    side.join(Peer())
    assert heard == [b"one two", b"(end)"]
