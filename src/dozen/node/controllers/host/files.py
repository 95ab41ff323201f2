"""Files of the configuration: ``machine.files``, EtcFileConfig, and the bundle of authorities with TrustedRootsConfig.

What is taken out of the configuration is restored below /etc, and stays below /var, where it may be somebody's data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dozen.machinery.config.host import SECCOMP
from dozen.machinery.effects.files import RemoveFile
from dozen.machinery.effects.hostfiles import PlacedFile, PlaceFiles
from dozen.machinery.effects.services import RefreshService
from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resource import Resource
from dozen.machinery.resources import block, config
from dozen.machinery.resources.files import (
    ETC_FILE_SPEC,
    ETC_FILE_STATUS,
    HOST_FILE,
    HOST_FILE_STATUS,
    EtcFileSpec,
    EtcFileStatusSpec,
    HostFileSpec,
)
from dozen.node.configuration import parse

ETC = "/etc/"
EPHEMERAL = "EPHEMERAL"


class HostFileController:
    """MachineConfig → HostFile; EtcFileSpec for those in /etc that are given whole."""

    name = "host-files"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (HOST_FILE, Shared(ETC_FILE_SPEC))

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config import host

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        for file in host.host_files(parse(active.spec.text)):
            spec = HostFileSpec(operation=file.operation, contents=file.content, mode=file.mode)
            yield Put(HOST_FILE, file.path, spec)
            if file.path.startswith(ETC) and file.operation != host.APPEND:
                etc = EtcFileSpec(contents=file.content, mode=file.mode)
                yield Put(ETC_FILE_SPEC, file.path.removeprefix(ETC), etc)


class PlacingController:
    """HostFile → the file → HostFileStatus, EtcFileStatus. Files below /var wait for their volume."""

    name = "host-files-placing"
    outputs = (HOST_FILE_STATUS, Shared(ETC_FILE_STATUS))

    def __init__(self, managed: bool = True) -> None:
        self._managed = managed
        self.inputs = (
            Input(HOST_FILE),
            Input(ETC_FILE_SPEC),
            *((Input(block.VOLUME_STATUS, EPHEMERAL),) if managed else ()),
        )

    def plan(self, view: View) -> Iterable[Step]:
        wanted = [each for each in view.list(HOST_FILE) if self._has_place(view, each.id)]
        done = {each.id: each.spec.spec_version for each in view.list(HOST_FILE_STATUS)}
        changed = [each for each in wanted if done.get(each.id) != _version(each)]
        present = {each.id for each in view.list(HOST_FILE)}
        gone = tuple(id for id in done if id not in present and id.startswith(ETC))
        # Profiles are the configuration's alone: a pod that names one which is no longer there is to be told.
        yield from (RemoveFile(id) for id in done if id not in present and id.startswith(SECCOMP))
        # Some of them may fail: what was begun is known by its status, and given back when it is no longer wanted.
        yield from (Put(HOST_FILE_STATUS, each.id, EtcFileStatusSpec()) for each in changed if each.id not in done)
        if changed or gone:
            yield PlaceFiles(tuple(_placed(each) for each in changed), gone)
        for each in wanted:
            yield Put(HOST_FILE_STATUS, each.id, EtcFileStatusSpec(spec_version=_version(each)))
        yield from _tell_etc(view, wanted)
        if any(_is_trust(path) for path in (*(each.id for each in changed), *gone)):
            # Read once, when it starts.
            yield RefreshService("containerd", "trusted authorities changed")

    def _has_place(self, view: View, path: str) -> bool:
        if path.startswith(ETC) or not self._managed:
            return True
        volume = view.get(block.VOLUME_STATUS, EPHEMERAL)
        return volume is not None and volume.spec.phase == "ready"


def _tell_etc(view: View, wanted: list[Resource[HostFileSpec]]) -> Iterator[Step]:
    """The status of each EtcFileSpec that is written here; the others are written elsewhere."""
    for each in wanted:
        spec = view.get(ETC_FILE_SPEC, each.id.removeprefix(ETC))
        if each.id.startswith(ETC) and spec is not None:
            yield Put(ETC_FILE_STATUS, spec.id, EtcFileStatusSpec(spec_version=str(spec.metadata.version)))


def _placed(each: Resource[HostFileSpec]) -> PlacedFile:
    return PlacedFile(each.id, each.spec.contents, each.spec.mode, each.spec.operation)


def _version(each: Resource[HostFileSpec]) -> str:
    return str(each.metadata.version)


def _is_trust(path: str) -> bool:
    from dozen.machinery.config.host import TRUST_BUNDLE

    return path == TRUST_BUNDLE
