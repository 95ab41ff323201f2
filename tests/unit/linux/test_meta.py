"""META keeps what it was given, whatever a loss of power leaves of a write."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.linux.meta import (
    PARTITION_SIZE,
    SLOT_OFFSETS,
    SLOT_SIZE,
    MetaStore,
    Slot,
    ValuesTooLarge,
    choose_slot,
    decode_slot,
    encode_slot,
)

VALUES = st.dictionaries(st.integers(0, 255), st.binary(max_size=300), max_size=12)
SECTOR = 512


@given(st.integers(0, 2**64 - 1), VALUES)
def test_a_slot_holds_what_was_put_in(sequence: int, values: dict[int, bytes]) -> None:
    assert decode_slot(encode_slot(sequence, values) + b"\xff" * 100) == Slot(sequence, values)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    assert decode_slot(data) is None or data.startswith(b"DOZNMETA")


@given(VALUES, st.data())
def test_one_damaged_bit_makes_a_slot_unreadable(values: dict[int, bytes], data: st.DataObject) -> None:
    slot = bytearray(encode_slot(7, values))
    bit = data.draw(st.integers(0, len(slot) * 8 - 1))
    slot[bit // 8] ^= 1 << bit % 8
    assert decode_slot(bytes(slot)) is None


@given(VALUES, VALUES, VALUES, st.data())
def test_a_torn_write_leaves_the_old_values_or_the_new(
    before_last: dict[int, bytes], old: dict[int, bytes], new: dict[int, bytes], data: st.DataObject
) -> None:
    """Of the sectors of a write any may have reached the disk, in any order."""
    slots = [bytearray(SLOT_SIZE), bytearray(SLOT_SIZE)]
    for sequence, values in ((1, before_last), (2, old)):
        _, target = choose_slot((bytes(slots[0]), bytes(slots[1])))
        encoded = encode_slot(sequence, values)
        slots[target][: len(encoded)] = encoded
    present, target = choose_slot((bytes(slots[0]), bytes(slots[1])))
    assert present == Slot(2, old)
    encoded = encode_slot(3, new)
    sectors = range(0, len(encoded), SECTOR)
    for start in data.draw(st.sets(st.sampled_from(sectors))):
        part = encoded[start : start + SECTOR]
        slots[target][start : start + len(part)] = part
    found, _ = choose_slot((bytes(slots[0]), bytes(slots[1])))
    assert found in (Slot(2, old), Slot(3, new))


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValuesTooLarge, match="of the 262144"):
        encode_slot(1, {1: b"x" * SLOT_SIZE})


def test_the_slots_fit_into_the_partition_and_do_not_touch() -> None:
    assert SLOT_OFFSETS[0] + SLOT_SIZE <= SLOT_OFFSETS[1]
    assert SLOT_OFFSETS[1] + SLOT_SIZE <= PARTITION_SIZE


@pytest.fixture
def partition(tmp_path: Path) -> str:
    path = tmp_path / "meta"
    path.write_bytes(bytes(PARTITION_SIZE))
    return str(path)


def test_values_are_still_there_for_the_next_boot(partition: str) -> None:
    async def boot() -> None:
        meta = MetaStore()
        await meta.attach(partition)
        await meta.set(6, b"A")
        await meta.set(10, b"addresses: []")
        await meta.set(6, b"B")
        assert await meta.delete(10)
        assert not await meta.delete(10)

    async def next_boot() -> dict[int, bytes]:
        meta = MetaStore()
        await meta.attach(partition)
        return dict(meta.values)

    asyncio.run(boot())
    assert asyncio.run(next_boot()) == {6: b"B"}


def test_what_is_set_before_there_is_a_partition_is_written_when_it_appears(partition: str) -> None:
    async def run() -> None:
        first = MetaStore()
        await first.attach(partition)
        for key in (1, 2, 3):
            await first.set(key, b"old")
        second = MetaStore()
        await second.set(2, b"new")
        await second.set(3, b"gone again")
        assert await second.delete(3)
        assert second.get(2) == b"new"
        await second.attach(partition)
        assert second.values == {1: b"old", 2: b"new"}
        third = MetaStore()
        await third.attach(partition)
        assert third.values == {1: b"old", 2: b"new"}

    asyncio.run(run())


def test_a_value_that_could_not_be_written_is_not_kept(partition: str) -> None:
    async def run() -> None:
        meta = MetaStore()
        await meta.attach(partition)
        await meta.set(1, b"kept")
        Path(partition).unlink()
        with pytest.raises(OSError, match="No such file"):
            await meta.set(1, b"lost")
        assert meta.get(1) == b"kept"

    asyncio.run(run())


def test_listeners_see_every_change(partition: str) -> None:
    async def run() -> None:
        meta = MetaStore()
        seen: list[dict[int, bytes]] = []
        stop = meta.listen(lambda values: seen.append(dict(values)))
        await meta.set(1, b"a")
        await meta.attach(partition)
        await meta.delete(1)
        stop()
        await meta.set(2, b"unseen")
        assert seen == [{}, {1: b"a"}, {1: b"a"}, {}]

    asyncio.run(run())


@pytest.mark.parametrize("key", [-1, 256])
def test_keys_are_one_byte(key: int) -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        asyncio.run(MetaStore().set(key, b""))


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.binary(max_size=20))), max_size=12))
def test_the_partition_agrees_with_a_dictionary(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.mktemp("meta") / "partition"
    path.write_bytes(bytes(PARTITION_SIZE))

    async def run() -> None:
        model: dict[int, bytes] = {}
        meta = MetaStore()
        await meta.attach(str(path))
        for key, value in steps:
            if value is None:
                assert await meta.delete(key) == (key in model)
                model.pop(key, None)
            else:
                await meta.set(key, value)
                model[key] = value
            again = MetaStore()
            await again.attach(str(path))
            assert again.values == meta.values == model

    asyncio.run(run())
