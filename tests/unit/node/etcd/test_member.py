"""When a Bootstrap is taken, and what it says when it is not: no etcd is needed to refuse one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from dozen.machinery import pki
from dozen.machinery.resources import etcd, secrets, time
from dozen.rpc.status import Code, RpcError
from dozen.testing.etcd import OWNER, LoopbackMember

Harm = Callable[[LoopbackMember], None]


def clock_is_not_set(member: LoopbackMember) -> None:
    member.store.put(time.TIME_STATUS, "node", time.TimeStatusSpec(synced=False), owner=OWNER)


def nobody_knows_the_time(member: LoopbackMember) -> None:
    member.store.destroy(time.TIME_STATUS, "node", owner=OWNER)


def no_volume(member: LoopbackMember) -> None:
    member.member._ground.var_is_ready = lambda: False


def no_address(member: LoopbackMember) -> None:
    member.store.destroy(etcd.ETCD_SPEC, etcd.ID, owner=OWNER)


def no_certificates(member: LoopbackMember) -> None:
    member.store.destroy(etcd.PKI_STATUS, etcd.ID, owner=OWNER)
    member.store.destroy(secrets.ETCD_CERTS, secrets.ETCD, owner=OWNER)


def certificates_are_not_written(member: LoopbackMember) -> None:
    member.store.destroy(etcd.PKI_STATUS, etcd.ID, owner=OWNER)


def there_is_data(member: LoopbackMember) -> None:
    Path(member.places.data).mkdir(exist_ok=True)
    Path(member.places.data, "member").mkdir()


NOT_YET = "bootstrap is not available yet: "
REFUSALS: list[tuple[Harm, Code, str]] = [
    (clock_is_not_set, Code.FAILED_PRECONDITION, "time is not in sync yet"),
    (nobody_knows_the_time, Code.FAILED_PRECONDITION, "time is not in sync yet"),
    (no_volume, Code.FAILED_PRECONDITION, NOT_YET + "there is no volume for /var"),
    (no_address, Code.FAILED_PRECONDITION, NOT_YET + "this node has no name or no address yet that etcd could be rea"),
    (no_certificates, Code.FAILED_PRECONDITION, NOT_YET + "etcd's certificates are not made yet"),
    (certificates_are_not_written, Code.FAILED_PRECONDITION, NOT_YET + "etcd's certificates are not written yet"),
    (there_is_data, Code.ALREADY_EXISTS, "etcd data directory is not empty"),
]


@pytest.mark.parametrize(("harm", "code", "said"), REFUSALS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_bootstrap_is_refused_with_the_reason(harm: Harm, code: Code, said: str, tmp_path: Path) -> None:
    async def play() -> RpcError:
        member = LoopbackMember("cp-1", "127.0.0.1", tmp_path, pki.new_ca(), [], tmp_path)
        harm(member)
        try:
            with pytest.raises(RpcError) as caught:
                await member.member.bootstrap()
        finally:
            await member.close()
        return caught.value

    error = asyncio.run(play())
    assert (error.code, error.message[: len(said)]) == (code, said)


def test_a_second_bootstrap_is_told_on_the_console_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever made the mistake may not be who looks at the machine."""
    with caplog.at_level(logging.WARNING):
        test_a_bootstrap_is_refused_with_the_reason(*REFUSALS[-1], tmp_path)
    assert "a second bootstrap was refused: a cluster is told to begin once" in caplog.text
