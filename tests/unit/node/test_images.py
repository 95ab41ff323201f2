"""Images: archives go in at the receiver's pace, names are found, layers become snapshots."""

import asyncio
import json
import platform
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dozen.machinery.imagecache import chain_ids
from dozen.machinery.messages import message
from dozen.node import images
from dozen.node.containers import Containerd, method_path
from dozen.node.images import find_image, import_archive, measure_image, pack, unpack
from dozen.rpc.status import Code, RpcError
from dozen.testing.containerd import FakeContainerd

GET, STAT = method_path("images", "Get"), method_path("snapshots", "Stat")
TRANSFER = method_path("transfer", "Transfer")
MISSING = RpcError(Code.NOT_FOUND, "not found")
DIFFS = ["sha256:d1", "sha256:d2"]
CHAINS = chain_ids(DIFFS)


@pytest.fixture(autouse=True)
def amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.fixture
def fake() -> FakeContainerd:
    """Holds one image of two layers, ``docker.io/library/app:latest``, behind an index of two architectures."""
    fake = FakeContainerd()
    layers = [{"mediaType": "layer", "digest": f"sha256:l{n}", "size": 100 * n} for n in (1, 2)]
    documents = {
        "sha256:index": {
            "manifests": [
                {"digest": "sha256:other", "size": 7, "platform": {"os": "linux", "architecture": "arm64"}},
                {"digest": "sha256:manifest", "size": 7, "platform": {"os": "linux", "architecture": "amd64"}},
            ]
        },
        "sha256:manifest": {"config": {"digest": "sha256:config", "size": 11}, "layers": layers},
        "sha256:config": {"config": {"Cmd": ["/app"]}, "rootfs": {"diff_ids": DIFFS}},
        "sha256:arm": {"manifests": [{"digest": "x", "size": 1, "platform": {"os": "linux", "architecture": "arm64"}}]},
    }
    fake.blobs = {digest: json.dumps(document).encode() for digest, document in documents.items()}
    fake.blobs["sha256:broken"] = b"not JSON"
    targets = {"docker.io/library/app:latest": "sha256:index", "plain:1": "sha256:manifest", "arm": "sha256:arm"}

    def get(request: Any) -> Any:
        if request.name not in targets:
            return MISSING
        return {"image": {"name": request.name, "target": {"digest": targets[request.name], "size": 5}}}

    fake.answer(GET, get)
    fake.answer(method_path("introspection", "Plugins"), {"plugins": [{"id": "overlayfs"}]})
    return fake


def make(fake: FakeContainerd) -> Containerd:
    return Containerd(fake)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["app", "app:latest", "docker.io/library/app:latest", "plain:1"])
def test_find(fake: FakeContainerd, name: str) -> None:
    image = asyncio.run(find_image(make(fake), name))
    assert image.config.command == ("/app",)
    assert image.config_digest == "sha256:config"
    assert [layer["digest"] for layer in image.layers] == ["sha256:l1", "sha256:l2"]


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("none", Code.NOT_FOUND, "no image none in namespace system: import it first"),
        ("arm", Code.FAILED_PRECONDITION, "not made for linux/amd64"),
    ],
)
def test_find_fails(fake: FakeContainerd, name: str, code: Code, text: str) -> None:
    with pytest.raises(RpcError, match=text) as error:
        asyncio.run(find_image(make(fake), name))
    assert error.value.code is code


@pytest.mark.parametrize(
    ("digest", "size"),
    [
        ("sha256:index", 5 + 7 + 11 + 300),
        ("sha256:manifest", 5 + 11 + 300),
        ("sha256:gone", 5),
        ("sha256:broken", 5),
        ("sha256:config", 5),
    ],
)
def test_size(fake: FakeContainerd, digest: str, size: int) -> None:
    target = message("containerd.types.Descriptor")(digest=digest, size=5)
    assert asyncio.run(measure_image(make(fake), target)) == size


def test_layers_that_are_unpacked_already_are_left_alone(fake: FakeContainerd) -> None:
    async def run() -> str:
        return await unpack(make(fake), await find_image(make(fake), "app"), "overlayfs")

    assert asyncio.run(run()) == CHAINS[1]
    assert [request.key for request in fake.requests(STAT)] == CHAINS
    assert fake.methods[-1] == "Content/Update"
    update = fake.asked[-1][1]
    assert update.info.digest == "sha256:config"
    assert dict(update.info.labels) == {"containerd.io/gc.ref.snapshot.overlayfs": CHAINS[1]}
    assert list(update.update_mask.paths) == ["labels.containerd.io/gc.ref.snapshot.overlayfs"]


def test_missing_layers_are_unpacked_on_top_of_each_other(fake: FakeContainerd) -> None:
    fake.answer(STAT, {}, MISSING)
    mount = {"type": "overlay", "source": "overlay", "options": ["lowerdir=/x"]}
    fake.answer(method_path("snapshots", "Prepare"), {"mounts": [mount]})

    async def run() -> None:
        await unpack(make(fake), await find_image(make(fake), "app"), "overlayfs")

    asyncio.run(run())
    (prepared,) = fake.requests(method_path("snapshots", "Prepare"))
    (applied,) = fake.requests(method_path("diff", "Apply"))
    (committed,) = fake.requests(method_path("snapshots", "Commit"))
    assert prepared.parent == CHAINS[0]
    assert (applied.diff.digest, applied.diff.size, applied.mounts[0].source) == ("sha256:l2", 200, "overlay")
    assert (committed.key, committed.name) == (prepared.key, CHAINS[1])


@pytest.mark.parametrize(("code", "fails"), [(Code.ALREADY_EXISTS, False), (Code.DATA_LOSS, True)])
def test_layer_that_cannot_be_committed_is_cleaned_up(fake: FakeContainerd, code: Code, fails: bool) -> None:
    """Somebody else may have unpacked the same layer meanwhile."""
    fake.answer(STAT, {}, MISSING)
    fake.answer(method_path("snapshots", "Commit"), RpcError(code, "x"))

    async def run() -> None:
        await unpack(make(fake), await find_image(make(fake), "app"), "overlayfs")

    if fails:
        with pytest.raises(RpcError):
            asyncio.run(run())
    else:
        asyncio.run(run())
    (prepared,) = fake.requests(method_path("snapshots", "Prepare"))
    (removed,) = fake.requests(method_path("snapshots", "Remove"))
    assert removed.key == prepared.key


class Receiver:
    """containerd's side of an import: takes an archive through its stream and says what it saved."""

    def __init__(self, fake: FakeContainerd, window: int, names: list[str]) -> None:
        self.fake, self.window, self.names = fake, window, names
        self.pieces: list[int] = []
        self.data = b""
        self.enough = 0
        fake.answer(TRANSFER, self.transfer)

    def stream(self, id: str) -> Any:
        return self.fake.streams[id]

    def pack(self, packed: Any) -> bytes:
        return bytes(message("google.protobuf.Any")(**pack(packed)).SerializeToString())

    async def transfer(self, request: Any) -> dict[str, Any]:
        self.request = request
        source = message("containerd.types.transfer.ImageImportStream").FromString(request.source.value)
        await self.fake.until(lambda: {source.stream, request.options.progress_stream} <= set(self.fake.streams))
        stream = self.stream(source.stream)
        update = message("containerd.types.transfer.WindowUpdate")(update=self.window)
        owed = 0
        while not self.enough or len(self.data) < self.enough:
            if owed <= 0:
                stream.to_client.put_nowait(self.pack(update))
                owed += self.window
            data = await stream.to_server.get()
            if data is None:
                break
            piece = message("containerd.types.transfer.Data").FromString(
                message("google.protobuf.Any").FromString(data).value
            )
            assert len(piece.data) <= owed
            owed -= len(piece.data)
            self.pieces.append(len(piece.data))
            self.data += piece.data
        progress = self.stream(request.options.progress_stream)
        for name in self.names:
            event = message("containerd.types.transfer.Progress")(event="saved", name=name)
            progress.to_client.put_nowait(self.pack(event))
        progress.to_client.put_nowait(None)
        return {}


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("window", [10, 1000, 65536])
def test_import_sends_no_more_than_it_may(fake: FakeContainerd, window: int) -> None:
    archive = bytes(range(256)) * 20

    async def run() -> tuple[list[str], Receiver]:
        receiver = Receiver(fake, window, ["b", "a", "b"])
        return await import_archive(make(fake), chunks(archive[:1000], b"", archive[1000:])), receiver

    names, receiver = asyncio.run(run())
    assert names == ["b", "a"]
    assert receiver.data == archive
    assert max(receiver.pieces) <= window


def test_import_says_how_to_name_and_unpack(fake: FakeContainerd) -> None:
    async def run() -> Any:
        receiver = Receiver(fake, 100, ["a"])
        await import_archive(make(fake), chunks(b"x"))
        return receiver.request

    request = asyncio.run(run())
    assert request.source.type_url == "containerd.types.transfer.ImageImportStream"
    store = message("containerd.types.transfer.ImageStore").FromString(request.destination.value)
    (reference,) = store.extra_references
    assert (reference.name, reference.is_prefix, reference.allow_overwrite) == (images.IMPORTED, True, True)
    (target,) = store.unpacks
    assert (target.snapshotter, target.platform.os, target.platform.architecture) == ("overlayfs", "linux", "amd64")


def test_import_ends_with_the_transfer_although_more_could_be_sent(fake: FakeContainerd) -> None:
    """The end of an archive may be padded with what its reader does not want."""

    async def run() -> list[str]:
        receiver = Receiver(fake, 100, ["a"])
        receiver.enough = 100
        return await asyncio.wait_for(import_archive(make(fake), chunks(b"x" * 1000)), 5)

    assert asyncio.run(run()) == ["a"]


def test_archive_that_breaks_off_ends_the_import(fake: FakeContainerd) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise RpcError(Code.CANCELLED, "the caller is gone")

    async def run() -> None:
        Receiver(fake, 100, [])
        await asyncio.wait_for(import_archive(make(fake), broken()), 5)

    with pytest.raises(RpcError, match="caller is gone"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "text"),
    [(RpcError(Code.INVALID_ARGUMENT, "unrecognized image format"), "unrecognized image"), (None, "holds no image")],
)
def test_archive_that_is_none(fake: FakeContainerd, answer: RpcError | None, text: str) -> None:
    async def run() -> None:
        Receiver(fake, 100, [])
        if answer is not None:
            fake.answer(TRANSFER, answer)
        await asyncio.wait_for(import_archive(make(fake), chunks(b"x")), 5)

    with pytest.raises(RpcError, match=text):
        asyncio.run(run())
