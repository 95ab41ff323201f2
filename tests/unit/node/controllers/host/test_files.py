"""Files of the configuration: planned one by one, written where their place is, given back below /etc."""

from __future__ import annotations

import asyncio

from dozen.machinery import pki, yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.config.host import TRUST_BUNDLE
from dozen.machinery.effects.hostfiles import PlacedFile, PlaceFiles
from dozen.machinery.effects.services import RefreshService
from dozen.machinery.plan import Put
from dozen.machinery.resources import block, config
from dozen.machinery.resources.files import (
    ETC_FILE_SPEC,
    ETC_FILE_STATUS,
    HOST_FILE,
    HOST_FILE_STATUS,
    EtcFileSpec,
    HostFileSpec,
)
from dozen.machinery.resources.runtime import ENVIRONMENT, EnvironmentSpec
from dozen.node.controllers.host.environment import EnvironmentController
from dozen.node.controllers.host.files import EPHEMERAL, HostFileController, PlacingController
from dozen.testing.controllers import Bench, PlainView

WORKER = generate("c", "https://127.0.0.1:6443").worker


def active(documents: str = "", **machine: object) -> PlainView:
    data = yaml.load(WORKER)
    data["machine"] |= machine
    return PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=yaml.dump(data) + documents)))


def test_one_file_for_each_path() -> None:
    view = active(
        "---\napiVersion: v1alpha1\nkind: EtcFileConfig\nname: a/b\ncontents: c\n",
        files=[
            {"path": "/var/x", "content": "1", "op": "create"},
            {"path": "/var/x", "content": "2", "op": "append"},
            {"path": "/etc/y", "content": "3", "op": "append", "permissions": "0o600"},
        ],
    )
    assert list(HostFileController().plan(view)) == [
        Put(HOST_FILE, "/var/x", HostFileSpec(operation="create", contents="12", mode=0o644)),
        Put(HOST_FILE, "/etc/y", HostFileSpec(operation="append", contents="3", mode=0o600)),
        Put(HOST_FILE, "/etc/a/b", HostFileSpec(operation="create", contents="c", mode=0o644)),
        Put(ETC_FILE_SPEC, "a/b", EtcFileSpec(contents="c", mode=0o644)),
    ]


def test_authorities_are_appended_to_the_image_s() -> None:
    root = pki.new_ca().crt
    indented = "".join(f"  {line}\n" for line in root.splitlines())
    text = f"---\napiVersion: v1alpha1\nkind: TrustedRootsConfig\nname: n\ncertificates: |\n{indented}"
    (put,) = HostFileController().plan(active(text))
    assert put == Put(HOST_FILE, TRUST_BUNDLE, HostFileSpec(operation="append", contents=root, mode=0o644))


def test_variables_of_both_kinds_without_those_of_the_node() -> None:
    (put,) = EnvironmentController().plan(active(env={"A": "1", "PATH": "/x", "LD_AUDIT": "x"}))
    assert put == Put(ENVIRONMENT, "machined", EnvironmentSpec(variables=("A=1",)))


def test_files_wait_for_their_volume_change_and_are_given_back() -> None:
    async def scenario() -> None:
        async with Bench(PlacingController()) as bench:
            bench.put(HOST_FILE, "/var/x", HostFileSpec(operation="create", contents="v", mode=0o644))
            bench.put(HOST_FILE, TRUST_BUNDLE, HostFileSpec(operation="append", contents="r", mode=0o644))
            bench.put(HOST_FILE, "/etc/y", HostFileSpec(operation="create", contents="e", mode=0o600))
            bench.put(ETC_FILE_SPEC, "y", EtcFileSpec(contents="e", mode=0o600))
            await bench.settle()
            trust = PlacedFile(TRUST_BUNDLE, "r", 0o644, "append")
            refresh = RefreshService("containerd", "trusted authorities changed")
            etc = PlacedFile("/etc/y", "e", 0o600, "create")
            placed = [each for effect in bench.effects if isinstance(effect, PlaceFiles) for each in effect.files]
            assert sorted(placed, key=lambda each: each.path) == [trust, etc] or set(placed) == {trust, etc}
            assert refresh in bench.effects
            assert bench.store.get(ETC_FILE_STATUS, "y").spec.spec_version == "1"
            before = len(bench.effects)
            bench.put(block.VOLUME_STATUS, EPHEMERAL, block.VolumeStatusSpec(phase="ready"))
            await bench.settle()
            assert bench.effects[before:] == [PlaceFiles((PlacedFile("/var/x", "v", 0o644, "create"),))]
            before = len(bench.effects)
            for path in ("/etc/y", "/var/x"):
                bench.remove(HOST_FILE, path)
            await bench.settle()
            given_back = [
                path for each in bench.effects[before:] if isinstance(each, PlaceFiles) for path in each.restored
            ]
            assert given_back == ["/etc/y"]
            assert [each.id for each in bench.store.list(HOST_FILE_STATUS)] == [TRUST_BUNDLE]

    asyncio.run(scenario())
