"""etcd's members on the loopback: how they come, stay and go, with the real program."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dozen.machinery import pki
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.messages import method_types
from dozen.machinery.resources import etcd
from dozen.node.api import build_router
from dozen.node.etcd.member import HAND_OVER_TIMEOUT
from dozen.node.tasks import stopping
from dozen.rpc.status import Code, RpcError
from dozen.testing.calls import FakeCall
from dozen.testing.etcd import LoopbackMember
from dozen.testing.machine import FakeMachine

Scenario = Callable[["Members"], Awaitable[None]]


class Members:
    """Members of one cluster; each looks for the others."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs, self.ca = folder, programs, pki.new_ca()
        base = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
        self.addresses = [f"{base}.{number}" for number in (11, 12, 13)]
        self.started: list[LoopbackMember] = []

    def start(self, number: int, generation: int = 0) -> LoopbackMember:
        folder = self.folder / f"{number}.{generation}"
        member = LoopbackMember(f"cp-{number}", self.addresses[number], folder, self.ca, self.addresses, self.programs)
        self.started.append(member)
        return member

    async def first(self) -> LoopbackMember:
        """A cluster of one."""
        member = self.start(0)
        await until(lambda: bootstrap(member))
        await member.until_voting()
        return member

    async def three(self) -> list[LoopbackMember]:
        members = [await self.first()]
        for number in (1, 2):
            members.append(self.start(number))
            await members[-1].until_voting()
        return members

    async def close(self) -> None:
        await asyncio.gather(*(member.close() for member in self.started))


async def bootstrap(member: LoopbackMember) -> bool:
    await member.member.bootstrap()
    return True


async def until(ask: Callable[[], Awaitable[object]], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                if await ask():
                    return
            except RpcError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
def run(tmp_path: Path, programs: Path) -> Callable[[Scenario], None]:
    """Play a scenario; what the members printed is part of a failure."""

    def play(scenario: Scenario) -> None:
        async def whole() -> None:
            members = Members(tmp_path, programs)
            try:
                await scenario(members)
            except BaseException as error:
                for member in members.started:
                    error.add_note(f"--- {member.name}\n{member.log()[-1500:]}")
                raise
            finally:
                await members.close()

        asyncio.run(whole())

    return play


def test_a_second_and_third_member_join_as_learners_and_get_their_vote(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first, second, third = await members.three()
        found = await first.clients.local.list_members()
        assert {member.name: list(member.peerURLs) for member in found} == {
            each.name: [f"https://{each.address}:2380"] for each in (first, second, third)
        }
        assert not any(member.isLearner for member in found)
        assert first.store.get(etcd.ETCD_LAUNCH, etcd.ID).spec.state == "new"
        assert second.store.get(etcd.ETCD_LAUNCH, etcd.ID).spec.learner
        assert third.store.get(etcd.ETCD_MEMBER, etcd.LOCAL).spec.member_id == f"{await third.until_voting():016x}"

    run(scenario)


def test_a_cluster_is_made_once(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = await members.first()
        with pytest.raises(RpcError, match="etcd data directory is not empty") as caught:
            await first.member.bootstrap()
        assert caught.value.code is Code.ALREADY_EXISTS

    run(scenario)


def test_nothing_is_lost_with_a_member_that_is_killed(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first, second, third = await members.three()
        await first.clients.local.create("/kept", "value", 0)
        await first.stop(kill=True)
        await second.until_voting()
        assert await third.clients.local.create("/kept", "other", 0) == (False, "value")
        await first.start()
        await first.until_voting()
        assert await first.clients.local.create("/kept", "other", 0) == (False, "value")

    run(scenario)


def test_a_member_leaves_and_comes_back_with_nothing(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first, second, third = await members.three()
        await first.member.leave()
        assert os.listdir(first.places.data) == []
        assert {each.name for each in await second.clients.local.list_members()} == {"cp-1", "cp-2"}
        await first.store.wait_gone(etcd.ETCD_LAUNCH, etcd.ID, timeout=5)
        await first.close()
        again = members.start(0, generation=1)
        await again.until_voting()
        assert {each.name for each in await third.clients.local.list_members()} == {"cp-0", "cp-1", "cp-2"}

    run(scenario)


def test_a_member_whose_disk_was_replaced_takes_its_own_place(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first, _, third = await members.three()
        old = await third.until_voting()
        await third.close()
        again = members.start(2, generation=1)
        new = await again.until_voting()
        assert new != old
        assert {each.ID for each in await first.clients.local.list_members()} >= {new}
        assert len(await first.clients.local.list_members()) == 3

    run(scenario)


def test_the_last_member_does_not_leave(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = await members.first()
        with pytest.raises(RpcError, match="only member with a vote"):
            await first.member.leave()
        await first.until_voting()

    run(scenario)


def test_leadership_is_handed_over(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first, second, _ = await members.three()
        assert await second.member.hand_over() == ""
        successor = await first.member.hand_over()
        assert successor in ("cp-1", "cp-2")
        status = await first.clients.local.status()
        names = {each.ID: each.name for each in await first.clients.local.list_members()}
        assert names[status.leader] == successor

    run(scenario)


def test_who_goes_down_hands_over_first_and_is_back_afterwards(run: Callable[[Scenario], None]) -> None:
    """The task of the sequence, on the leader of three; then it ends, and the others have lost no leader."""

    class Addresses:
        resigned = False

        async def resign(self) -> None:
            self.resigned = True

    async def scenario(members: Members) -> None:
        first, second, _ = await members.three()
        assert (await second.clients.local.status()).leader == await first.until_voting()
        term = (await second.clients.local.status()).raftTerm
        machine = SimpleNamespace(etcd=first.member, virtual_addresses=Addresses())
        await stopping.hand_over_leadership(cast("Any", machine))
        assert machine.virtual_addresses.resigned
        led = await second.clients.local.status()
        assert led.leader not in (0, await first.until_voting())
        # One term more is the handing over itself; an election after a loss would be another.
        assert led.raftTerm == term + 1
        await first.stop()
        after = await second.clients.local.status()
        assert (after.leader, after.raftTerm) == (led.leader, led.raftTerm)
        # Who does not lead has nothing to hand over, and who has not begun nobody to ask.
        for member in members.started[1:]:
            if await member.until_voting() != led.leader:
                await member.member.prepare_for_ending()
        assert (await second.clients.local.status()).raftTerm == led.raftTerm

    run(scenario)


def test_a_member_that_cannot_hand_over_ends_all_the_same(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        only = await members.first()
        await only.member.prepare_for_ending()  # there is nobody else
        await only.until_voting()
        await only.stop(kill=True)
        async with asyncio.timeout(HAND_OVER_TIMEOUT + 5):
            await only.member.prepare_for_ending()
        idle = members.start(1)
        await idle.member.prepare_for_ending()

    run(scenario)


def test_a_cluster_is_recovered_from_a_snapshot(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = await members.first()
        await first.clients.local.create("/kept", "value", 0)
        parts = [part async for part in first.clients.local.snapshot()]
        await first.close()
        again = members.start(0, generation=1)
        with pytest.raises(RpcError, match="no snapshot to recover from"):
            await again.member.bootstrap(recover=True)

        async def chunks() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        assert await again.member.receive_snapshot(chunks()) == sum(map(len, parts))
        await again.member.bootstrap(recover=True)
        await again.until_voting()
        assert await again.clients.local.create("/kept", "other", 0) == (False, "value")
        assert not os.path.exists(again.places.snapshot)

    run(scenario)


def test_a_broken_snapshot_leaves_nothing_behind(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        only = members.start(0)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"no database" * 1000

        await only.member.receive_snapshot(chunks())
        with pytest.raises(RpcError) as caught:
            await only.member.bootstrap(recover=True)
        assert caught.value.code is Code.INTERNAL
        assert os.listdir(only.places.data) == []
        await only.member.bootstrap()
        await only.until_voting()

    run(scenario)


def test_the_data_of_another_cluster_is_left_alone_and_spoken_of(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = await members.first()
        await first.close()
        again = LoopbackMember(
            "cp-0", first.address, first.folder, members.ca, members.addresses, members.programs, cluster_id="two"
        )
        members.started.append(again)

        async def told() -> bool:
            return "is of another cluster (id one)" in again.problems.get("etcd", "")

        await until(told, 10)
        assert again.store.find(etcd.ETCD_LAUNCH, etcd.ID) is None
        with pytest.raises(RpcError, match="not empty"):
            await again.member.bootstrap()
        # With its own configuration back, the node goes on as if nothing had been.
        again.cluster_id = "one"
        await again.until_voting()
        assert again.problems == {}

    run(scenario)


def test_upkeep(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = await members.first()
        client = first.clients.local
        for number in range(50):
            await client.create(f"/k{number}", "x" * 1000, 0)
        await client.defragment()
        status = await client.status()
        assert 0 < status.dbSizeInUse <= status.dbSize
        own = status.header.member_id
        await client.ask("Maintenance/Alarm", action="ACTIVATE", memberID=own, alarm="NOSPACE")
        assert [each.alarm for each in await client.list_alarms()] == [1]
        assert [each.memberID for each in await client.clear_alarms()] == [own]
        assert await client.list_alarms() == []
        lease = await client.grant_lease(30)
        assert await client.create("/led", "a", lease) == (True, "a")
        assert await client.renew_lease(lease) == 30
        await client.revoke_lease(lease)
        assert await client.create("/led", "b", 0) == (True, "b")

    run(scenario)


# -- The API's own methods, in front of a member that is real.

CONFIG = load(generate("etcd", "https://127.0.0.1:6443").controlplane)


class Api:
    """Calls the API of a machine whose etcd is this member."""

    def __init__(self, member: LoopbackMember) -> None:
        self.machine = FakeMachine()
        self.machine.config = CONFIG
        self.machine.etcd = member.member

    async def ask(self, method: str, **fields: Any) -> list[Any]:
        path = f"/machine.MachineService/{method}"
        call = FakeCall(path, [method_types(path).request(**fields)])
        await build_router(self.machine)(call)  # type: ignore[arg-type]
        return call.replies

    async def one(self, method: str, **fields: Any) -> Any:
        (reply,) = await self.ask(method, **fields)
        return reply.messages[0]


def test_the_api_tells_of_etcd_and_looks_after_it(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = members.start(0)
        api = Api(first)
        await until(lambda: api.ask("Bootstrap"))
        id = await first.until_voting()
        status = (await api.one("EtcdStatus")).member_status
        assert (status.member_id, status.leader, status.is_learner) == (id, id, False)
        (member,) = (await api.one("EtcdMemberList")).members
        assert (member.id, member.hostname) == (id, "cp-0")
        await first.clients.local.create("/some", "x" * 100_000, 0)
        assert len((await api.one("EtcdAlarmList")).member_alarms) == 0
        assert len((await api.one("EtcdAlarmDisarm")).member_alarms) == 0
        await api.one("EtcdDefragment")
        # A database, with the 32 bytes of its checksum behind whole pages.
        database = b"".join(part.bytes for part in await api.ask("EtcdSnapshot"))
        assert len(database) % 4096 == 32
        assert int.from_bytes(database[16:20], "little") == 0xED0CDAED  # bbolt's magic number, page 0

    run(scenario)


def test_the_api_takes_etcd_down_a_version_and_back(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        api = Api(await members.first())
        version = (await api.one("EtcdDowngradeValidate", version="3.5")).cluster_downgrade.cluster_version
        assert version.startswith("3.6")
        with pytest.raises(RpcError, match="downgrade"):
            await api.one("EtcdDowngradeValidate", version="3.2")
        assert (await api.one("EtcdDowngradeEnable", version="3.5")).cluster_downgrade.cluster_version == version
        # One at a time: while it is under way another one is not even valid, and after it was cancelled it is again.
        with pytest.raises(RpcError, match="downgrade"):
            await api.one("EtcdDowngradeValidate", version="3.5")
        assert (await api.one("EtcdDowngradeCancel")).cluster_downgrade.cluster_version == version
        assert (await api.one("EtcdDowngradeValidate", version="3.5")).cluster_downgrade.cluster_version == version

    run(scenario)


def test_the_api_lets_members_go(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first, second, third = await members.three()
        api = Api(first)
        ids = {await each.until_voting(): each for each in (first, second, third)}
        leading = ids[(await api.one("EtcdStatus")).member_status.leader]
        name = (await Api(leading).one("EtcdForfeitLeadership")).member
        assert name in {each.name for each in ids.values()} - {leading.name}

        async def are_left(*names: str) -> bool:
            return {each.hostname for each in (await api.one("EtcdMemberList")).members} == set(names)

        # For some seconds after a change, of leaders or of members, etcd wants no other one.
        gone = await third.until_voting()
        await until(lambda: api.ask("EtcdRemoveMemberByID", member_id=gone))
        await until(lambda: are_left("cp-0", "cp-1"))
        await until(lambda: Api(second).ask("EtcdLeaveCluster"))
        await until(lambda: are_left("cp-0"))

    run(scenario)


def test_the_api_recovers_from_a_snapshot(run: Callable[[Scenario], None]) -> None:
    async def scenario(members: Members) -> None:
        first = await members.first()
        await first.clients.local.create("/kept", "value", 0)
        parts = await Api(first).ask("EtcdSnapshot")
        await first.close()
        again = members.start(0, generation=1)
        api = Api(again)
        call = FakeCall("/machine.MachineService/EtcdRecover", parts)
        await build_router(api.machine)(call)  # type: ignore[arg-type]
        assert len(call.replies[0].messages) == 1
        await until(lambda: api.ask("Bootstrap", recover_etcd=True))
        await again.until_voting()
        assert await again.clients.local.create("/kept", "other", 0) == (False, "value")

    run(scenario)
