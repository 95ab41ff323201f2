"""This node's member of etcd, from nothing to leaving: the one place that decides how it comes into being.

There are three ways. A data directory that is there is started, unless it is noted to be another cluster's. The
Bootstrap call makes a new cluster, or one from a snapshot, and is the only thing that does. Else the node joins: it
looks for other members (`dozen.node.etcd.peers`), has itself added as a *learner*, which copies the data without having
a vote, and has itself promoted when it is up to date; so a new member never endangers the majority.

The decision is published as EtcdLaunch, from which the service is rendered.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dozen.machinery.config.scalars import host_of
from dozen.machinery.kubernetes.versions import ETCD_UID
from dozen.machinery.resources import etcd, secrets
from dozen.machinery.resources.etcd import EtcdLaunchSpec, EtcdSpec
from dozen.machinery.resources.time import TIME_STATUS
from dozen.node.etcd import data
from dozen.node.etcd.arguments import NODE, Places, initial_cluster, peer_urls, render_restore
from dozen.node.etcd.joining import Join
from dozen.node.etcd.local import EtcdClients, etcd_clients
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    import logging

    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.node.etcd.client import EtcdClient
    from dozen.node.problems import Problems

# Between looks for other members: they may be booting as well.
SEARCH_PAUSE = 3.0
PROMOTE_PAUSE = 1.0
HAND_OVER_TIMEOUT = 10.0
LEAVE_PATIENCE = 30.0
# So many refusals are nothing to speak of: a cluster takes one new member at a time.
PATIENCE = 10
# The id of the Diagnostic that says why the member does not start.
PROBLEM = "etcd"

# Runs etcdutl with these arguments to its end, in etcd's image; RpcError with what it printed.
Restore = Callable[[str, tuple[str, ...]], Awaitable[None]]


class Ground:
    """What a member stands on: asked of the machine, which differs in tests."""

    def __init__(
        self,
        *,
        var_is_ready: Callable[[], bool] = lambda: True,
        stop_service: Callable[[], Awaitable[None]],
        start_service: Callable[[], None],
        restore: Restore,
        places: Places = NODE,
        uid: int = ETCD_UID,
        cluster_id: Callable[[], str] = lambda: "",
        problems: Problems | None = None,
    ) -> None:
        self.var_is_ready = var_is_ready
        self.stop_service = stop_service
        self.start_service = start_service
        self.restore = restore
        self.places = places
        self.uid = uid
        self.cluster_id = cluster_id
        self.problems = problems


class EtcdMember:
    """The watcher that publishes EtcdLaunch and EtcdMember, and what the API asks of the member."""

    name = "etcd-member"
    outputs = (etcd.ETCD_LAUNCH, etcd.ETCD_MEMBER)

    def __init__(
        self,
        store: Store,
        log: logging.Logger,
        ground: Ground,
        join: Join,
        clients: EtcdClients | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._ground = ground
        self._join = join
        self.clients = clients or etcd_clients(store)
        self._begun = False
        self._left = False
        self._refusals = 0
        self._told = ""
        self._wish: EtcdLaunchSpec | None = None
        self._changed = asyncio.Event()

    # -- The life of the member.

    async def run(self, publish: Publisher) -> None:
        while True:
            spec = await self._await_ground()
            launch = await self._decide(spec)
            self._begun, self._left = True, False
            self._log.info(
                "etcd launch state=%s learner=%s cluster=%s", launch.state, launch.learner, launch.initial_cluster
            )
            await asyncio.to_thread(data.remember_cluster, self._ground.places.data, self._ground.cluster_id())
            self._tell("")
            publish.put(etcd.ETCD_LAUNCH, etcd.ID, launch)
            self._ground.start_service()
            await self._attend(spec, publish)
            publish.remove(etcd.ETCD_LAUNCH, etcd.ID)
            publish.remove(etcd.ETCD_MEMBER, etcd.LOCAL)
            self._begun = False

    async def _await_ground(self) -> EtcdSpec:
        """Until etcd could run: it is known as what, its certificates are there, and there is a place for its data."""
        await self._store.wait_for(etcd.PKI_STATUS, etcd.ID, lambda status: status.spec.ready)
        spec = await self._store.wait_for(etcd.ETCD_SPEC, etcd.ID)
        while not self._ground.var_is_ready():  # noqa: ASYNC110 - a question to the machine, which tells nobody
            await asyncio.sleep(0.2)
        await asyncio.to_thread(data.make_directory, self._ground.places.data, self._ground.uid)
        return spec.spec

    def _tell(self, text: str) -> None:
        """What keeps the member from starting; an empty text: nothing any more."""
        if self._ground.problems is None or text == self._told:
            return
        self._told = text
        if text:
            self._ground.problems.report_problem(PROBLEM, text)
        else:
            self._refusals = 0
            self._ground.problems.clear_problem(PROBLEM)

    async def _decide(self, spec: EtcdSpec) -> EtcdLaunchSpec:
        while True:
            self._changed.clear()
            if self._wish is not None:
                wish, self._wish = self._wish, None
                return wish
            if data.has_member(self._ground.places.data):
                foreign = data.find_other_cluster(self._ground.places.data, self._ground.cluster_id())
                if not foreign:
                    return alone(spec, "existing")
                step = "wipe it with a reset, or give this node that cluster's configuration"
                where = f"the data of etcd in {self._ground.places.data}"
                self._tell(f"{where} is of another cluster (id {foreign}): {step}")
            elif not self._left:
                joined = await self._try_to_join(spec)
                if joined is not None:
                    return joined
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), SEARCH_PAUSE)

    async def _try_to_join(self, spec: EtcdSpec) -> EtcdLaunchSpec | None:
        """A Bootstrap call ends the search, but not what follows once another member has agreed."""
        searching = asyncio.ensure_future(self._join.find(spec, self.clients))
        called = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({searching, called}, return_when=asyncio.FIRST_COMPLETED)
            if not searching.done():
                return None
            peer = searching.result()
            if peer is None or self._wish is not None:
                return None
            self._begun = True
            try:
                return await self._join.enter(spec, peer, self.clients)
            except RpcError as error:
                self._begun = False
                self._log.warning("etcd joining by way of peer=%s failed: %s", peer, error)
                self._refusals += 1
                if self._refusals >= PATIENCE:
                    self._tell(f"this node cannot join etcd by way of {peer}: {error.message}")
                return None
        finally:
            for future in (searching, called):
                future.cancel()
            await asyncio.gather(searching, called, return_exceptions=True)

    async def _attend(self, spec: EtcdSpec, publish: Publisher) -> None:
        """See the member come up and get its vote; until it leaves."""
        leaving = asyncio.ensure_future(self._until_left())
        growing = asyncio.ensure_future(self._grow(spec, publish))
        try:
            await leaving
        finally:
            growing.cancel()
            leaving.cancel()
            await asyncio.gather(growing, return_exceptions=True)

    async def _until_left(self) -> None:
        while not self._left:
            self._changed.clear()
            await self._changed.wait()

    async def _grow(self, spec: EtcdSpec, publish: Publisher) -> None:
        said = ""
        while True:
            try:
                status = await self.clients.local.status()
                id = int(status.header.member_id)
                publish.put(etcd.ETCD_MEMBER, etcd.LOCAL, etcd.EtcdMemberSpec(member_id=f"{id:016x}"))
                if not status.isLearner:
                    return
                await self._join.promote(id, spec, self.clients)
            except RpcError as error:
                # Commonly: it is not up yet, or not up to date.
                if str(error) != said:
                    said = str(error)
                    self._log.info("etcd member grows: %s", said)
            await asyncio.sleep(PROMOTE_PAUSE)

    # -- What the API asks.

    @property
    def local(self) -> EtcdClient:
        """The client of this member. UNAVAILABLE before there are certificates."""
        return self.clients.local

    async def receive_snapshot(self, chunks: AsyncIterator[bytes]) -> int:
        """Keep a snapshot for the Bootstrap that follows; its size in bytes. It appears whole or not at all."""
        path = self._ground.places.snapshot
        draft, size = f"{path}.new", 0
        descriptor = await asyncio.to_thread(os.open, draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            async for chunk in chunks:
                size += len(chunk)
                await asyncio.to_thread(data.write_all, descriptor, chunk)
            if not size:
                raise RpcError(Code.INVALID_ARGUMENT, "the snapshot is empty")
            await asyncio.to_thread(os.fsync, descriptor)
            if os.geteuid() == 0:
                os.fchown(descriptor, self._ground.uid, self._ground.uid)
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
        finally:
            os.close(descriptor)
        return size

    async def bootstrap(self, *, recover: bool = False, skip_hash_check: bool = False) -> None:
        """Make a new cluster, of this member alone, empty or from the snapshot. RpcError when that must not be."""
        clock = self._store.find(TIME_STATUS, "node")
        if clock is None or not clock.spec.synced:
            raise RpcError(Code.FAILED_PRECONDITION, "time is not in sync yet")
        found = self._store.find(etcd.ETCD_SPEC, etcd.ID)
        if found is None or not self._ground.var_is_ready() or self._store.find(etcd.PKI_STATUS, etcd.ID) is None:
            raise RpcError(Code.FAILED_PRECONDITION, f"bootstrap is not available yet: {self._missing()}")
        if self._begun or self._wish is not None or data.holds_anything(self._ground.places.data):
            self._log.warning("a second bootstrap was refused: a cluster is told to begin once, on one of its nodes")
            raise RpcError(Code.ALREADY_EXISTS, "etcd data directory is not empty")
        wish = alone(found.spec, "new")
        if recover:
            if not os.path.exists(self._ground.places.snapshot):
                raise RpcError(
                    Code.FAILED_PRECONDITION, "there is no snapshot to recover from: send one with EtcdRecover"
                )
            self._begun = True
            try:
                await self._restore(found.spec, skip_hash_check)
            finally:
                self._begun = False
            wish = alone(found.spec, "existing")
        self._wish = wish
        self._changed.set()

    async def _restore(self, spec: EtcdSpec, skip_hash_check: bool) -> None:
        await asyncio.to_thread(data.make_directory, self._ground.places.data, self._ground.uid)
        places = self._ground.places
        try:
            await self._ground.restore(spec.image, render_restore(spec, places, skip_hash_check=skip_hash_check))
        except BaseException:
            # Half of a data directory would be taken for a member.
            await asyncio.to_thread(data.empty, places.data)
            raise
        if not data.has_member(places.data):
            raise RpcError(Code.INTERNAL, "the snapshot was restored to nothing: see `dozenctl logs etcd`")
        os.unlink(places.snapshot)

    def _missing(self) -> str:
        if not self._ground.var_is_ready():
            return "there is no volume for /var"
        if self._store.find(secrets.ETCD_CERTS, secrets.ETCD) is None:
            return "etcd's certificates are not made yet"
        if self._store.find(etcd.ETCD_SPEC, etcd.ID) is None:
            return "this node has no name or no address yet that etcd could be reached at"
        return "etcd's certificates are not written yet"

    async def leave(self) -> None:
        """Leave the cluster, end etcd, and forget its data."""
        status = await self.clients.local.status()
        own = int(status.header.member_id)
        others = [each for each in await self.clients.local.list_members() if own != each.ID and not each.isLearner]
        if not others:
            raise RpcError(
                Code.FAILED_PRECONDITION, "this is the only member with a vote: without it there is no cluster left"
            )
        if status.leader == own:
            await self.clients.local.move_leader(others[0].ID)
        await self._remove(own, others)
        await self._ground.stop_service()
        await asyncio.to_thread(data.empty, self._ground.places.data)
        # Said last: as long as there is data, there is a member to be started.
        self._left = True
        self._changed.set()

    async def _remove(self, own: int, others: list[Any]) -> None:
        """Have another member take this one out: whoever is taken out stops answering at once.

        For some seconds after a change of members etcd refuses the next one.
        """
        deadline = asyncio.get_running_loop().time() + LEAVE_PATIENCE
        addresses = [host_of(url) for other in others for url in other.clientURLs]
        while True:
            try:
                await self._ask_to_remove(own, addresses)
            except RpcError as error:
                if error.code is not Code.UNAVAILABLE or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(PROMOTE_PAUSE)
            else:
                return

    async def _ask_to_remove(self, own: int, addresses: list[str]) -> None:
        refusal = RpcError(Code.UNAVAILABLE, "no other member can be reached")
        for address in addresses:
            async with self.clients.open(address) as other:
                try:
                    await other.remove_member(own)
                except RpcError as error:
                    if error.code is Code.NOT_FOUND:
                        return  # An answer to an earlier question was lost.
                    refusal = error
                else:
                    return
        raise refusal

    async def hand_over(self) -> str:
        """Make another member the leader if this one is; its name, or empty when there was nothing to do."""
        status = await self.clients.local.status()
        own = int(status.header.member_id)
        if status.leader != own:
            return ""
        members = await self.clients.local.list_members()
        others = [each for each in members if own != each.ID and not each.isLearner and each.name]
        for other in others:
            try:
                await self.clients.local.move_leader(other.ID)
            except RpcError as error:
                self._log.info("etcd leadership cannot be handed to member=%s: %s", other.name, error)
            else:
                return str(other.name)
        return ""

    async def prepare_for_ending(self) -> None:
        """Before a reboot or shutdown: the others need no election then. Failing is no reason not to end."""
        if self._store.find(etcd.ETCD_MEMBER, etcd.LOCAL) is None:
            return
        with suppress(RpcError, TimeoutError):
            async with asyncio.timeout(HAND_OVER_TIMEOUT):
                await self.hand_over()


def alone(spec: EtcdSpec, state: str) -> EtcdLaunchSpec:
    """A launch that names no other member."""
    return EtcdLaunchSpec(initial_cluster=initial_cluster(spec.name, peer_urls(spec)), state=state)
