"""Images from a registry: the image's own containerd pulls them as the machine configuration says."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from dozen.machinery import pki
from dozen.machinery.config.generating import generate
from dozen.machinery.effects.files import WriteFile
from dozen.machinery.messages import method_types
from dozen.machinery.registries import render_credentials
from dozen.machinery.resources import config, cri
from dozen.node import containers
from dozen.node.api import build_router
from dozen.node.containers import CRI_NAMESPACE, Containerd
from dozen.node.controllers.containers.registries import RegistriesController, RegistryFilesController
from dozen.node.images import unpack
from dozen.node.pulling import ensure_image
from dozen.provider.machines import BootImage
from dozen.rpc.status import RpcError
from dozen.testing.archives import make_archive
from dozen.testing.calls import FakeCall
from dozen.testing.controllers import PlainView
from dozen.testing.machine import FakeMachine
from dozen.testing.nativeruntime import NativeRuntime
from dozen.testing.registry import Registry
from native.privileges import needs_root

pytestmark = needs_root

CONFIG = generate("pulling", "https://127.0.0.1:6443").worker
ARCHIVE = make_archive("app", {"bin/app": b"x" * 100_000}, links={}, folders=(), config={"Cmd": ["/bin/app"]})


@pytest.fixture
def runtime(image: BootImage) -> Iterator[NativeRuntime]:
    assert image.tree
    with NativeRuntime(image.tree, "/system/etc/containerd/config.toml") as runtime:
        yield runtime


def configure(runtime: NativeRuntime, registries: str) -> None:
    """Write what the controllers want for a configuration, and start containerd on it."""
    text = CONFIG.replace("machine:\n", f"machine:\n    registries:\n{indent(registries, '    ')}", 1)
    active = config.MachineConfigSpec(text=text)
    said = next(iter(RegistriesController().plan(PlainView((config.MACHINE_CONFIG, config.ACTIVE, active)))))
    view = PlainView((cri.REGISTRIES_CONFIG, cri.REGISTRIES, said.spec))  # type: ignore[union-attr]
    written = [each for each in RegistryFilesController().plan(view) if isinstance(each, WriteFile)]
    for file in written:
        path = runtime.folder / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    base = Path(__file__).parents[2] / "recipes/containerd/config.toml"
    credentials = render_credentials(said.spec)  # type: ignore[union-attr]
    (runtime.etc / "containerd").mkdir(exist_ok=True)
    (runtime.etc / "containerd/config.toml").write_text(base.read_text() + credentials)
    runtime.start()


async def names_of(node: Containerd) -> set[str]:
    return {image.name for image in await node.list_images()}


def pull(runtime: NativeRuntime, name: str) -> None:
    """Ensure the image in the node's own namespace, and that it can be run from there."""

    async def scenario() -> None:
        node = runtime.connect()
        image = await ensure_image(node, name)
        assert image.config.command == ("/bin/app",)
        async with node.leased() as held:
            assert await unpack(held, image, await node.choose_snapshotter())
        assert await names_of(node) == {image.name}
        assert not any(each.startswith(image.name) for each in await names_of(node.within(CRI_NAMESPACE)))
        await node.channel.close()

    asyncio.run(scenario())


def test_a_mirror_with_its_own_authority_and_a_password(runtime: NativeRuntime, tmp_path: Path) -> None:
    ca = pki.new_ca()
    identity = pki.server_certificate(ca, ["127.0.0.1"], [])
    with Registry(identity=identity, folder=tmp_path, scheme="basic", user="ann", password='p"w') as registry:
        registry.push(ARCHIVE, "library/app", "1")
        configure(
            runtime,
            f"    mirrors:\n      docker.io:\n        endpoints: [{registry.url}]\n        skipFallback: true\n"
            f"    config:\n      {registry.host}:\n        auth: {{username: ann, password: 'p\"w'}}\n"
            f"        tls:\n          ca: {base64.b64encode(ca.crt.encode()).decode()}\n",
        )
        pull(runtime, "app:1")
        assert "/v2/library/app/manifests/1" in registry.asked
        before = len(registry.asked)
        asyncio.run(ensure_image(runtime.connect(), "app:1"))
        assert len(registry.asked) == before


def test_a_registry_that_gives_tokens_behind_a_mirror_that_lacks_the_image(runtime: NativeRuntime) -> None:
    with (
        Registry() as empty,
        Registry(scheme="bearer", user="bob", password="secret") as registry,
    ):
        registry.push(ARCHIVE, "team/app", "v2")
        configure(
            runtime,
            f"    mirrors:\n      '*':\n        endpoints: [{empty.url}, {registry.url}]\n"
            f"    config:\n      {registry.host}:\n        auth: {{auth: Ym9iOnNlY3JldA==}}\n",
        )
        pull(runtime, "example.test/team/app:v2")
        assert "/v2/team/app/manifests/v2" in empty.asked
        assert "/token" in registry.asked


def test_a_mirror_below_a_path_of_its_own(runtime: NativeRuntime) -> None:
    with Registry(prefix="/proxies/hub") as registry:
        registry.push(ARCHIVE, "team/app", "1")
        configure(
            runtime,
            f"    mirrors:\n      example.test:\n        endpoints: ['{registry.url}/proxies/hub']\n"
            "        overridePath: true\n        skipFallback: true\n",
        )
        pull(runtime, "example.test/team/app:1")


@pytest.mark.parametrize(
    ("name", "text"), [("app:none", "not found"), ("app:1", "401"), ("localhost/made/here:1", "import it first")]
)
def test_what_cannot_be_pulled_is_said_in_one_sentence(runtime: NativeRuntime, name: str, text: str) -> None:
    with Registry(scheme="" if name == "app:none" else "basic", user="ann", password="right") as registry:
        configure(
            runtime,
            f"    mirrors:\n      docker.io:\n        endpoints: [{registry.url}]\n        skipFallback: true\n"
            f"    config:\n      {registry.host}:\n        auth: {{username: ann, password: wrong}}\n",
        )
        with pytest.raises(RpcError, match=text) as caught:
            asyncio.run(ensure_image(runtime.connect(), name))
        assert caught.value.message.count("app") <= 2


def test_the_api_pulls_and_says_how_far_it_is(runtime: NativeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the method that tells of progress and the older one that does not."""

    async def ask(path: str, **fields: Any) -> list[Any]:
        call = FakeCall(path, [method_types(path).request(**fields)])
        await build_router(FakeMachine())(call)  # type: ignore[arg-type]
        return call.replies

    async def scenario() -> None:
        monkeypatch.setattr(containers, "_shared", runtime.connect())
        instance = {"driver": "CONTAINERD", "namespace": "NS_SYSTEM"}
        replies = await ask("/machine.ImageService/Pull", containerd=instance, image_ref="example.test/team/app:1")
        name = replies[-1].name
        assert re.fullmatch(r"example\.test/team/app:1@sha256:[0-9a-f]{64}", name)
        assert all(each.WhichOneof("response") == "pull_progress" for each in replies[:-1])
        listed = await ask("/machine.ImageService/List", containerd=instance)
        assert [f"{each.name}@{each.digest}" for each in listed] == [name]
        (older,) = await ask(
            "/machine.MachineService/ImagePull", namespace="NS_CRI", reference="example.test/team/app:1"
        )
        assert len(older.messages) == 1
        listed = await ask("/machine.MachineService/ImageList", namespace="NS_CRI")
        assert "example.test/team/app:1" in {each.name for each in listed}
        await ask("/machine.ImageService/Remove", containerd=instance, image_ref="example.test/team/app:1")
        assert await ask("/machine.ImageService/List", containerd=instance) == []
        with pytest.raises(RpcError, match="not found"):
            await ask("/machine.ImageService/Pull", containerd=instance, image_ref="example.test/team/app:none")

    with Registry() as registry:
        registry.push(ARCHIVE, "team/app", "1")
        configure(
            runtime,
            f"    mirrors:\n      example.test:\n        endpoints: ['{registry.url}']\n        skipFallback: true\n",
        )
        asyncio.run(scenario())
