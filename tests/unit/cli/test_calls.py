"""Each command makes the calls that clients of this API make, and ends well: the table is in tests/cases/cli."""

from __future__ import annotations

import asyncio
import io
import shlex
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from dozen import __version__
from dozen.cli.commands import apply
from dozen.client import conformance, tracker
from dozen.client.kubernetes import Kubernetes, KubernetesError
from dozen.machinery import yaml
from dozen.machinery.config.generating import generate
from dozen.machinery.health.checks import CONTROL_PLANE_PODS
from dozen.machinery.kubeconfig import render_kubeconfig
from dozen.machinery.messages import message, method_types
from dozen.node.kubernetes import drain
from dozen.node.kubernetes.client import Client
from dozen.rpc.status import Code, RpcError
from dozen.testing.fakenode import Asked, FakeNode

CASES = yaml.load((Path(__file__).parents[2] / "cases" / "cli" / "calls.yaml").read_text())
SERVICES = {
    "M": "machine.MachineService",
    "C": "cosi.resource.State",
    "D": "storage.StorageService",
    "H": "cluster.ClusterService",
    "I": "machine.ImageService",
    "L": "machine.LifecycleService",
    "S": "machine.StorageService",
    "T": "time.TimeService",
    "V": "machine.LVMService",
    "X": "inspect.InspectService",
}
LETTERS = {service: letter for letter, service in SERVICES.items()}
BUNDLE = generate("calls", "https://10.0.0.1:6443")
CONFIG = BUNDLE.controlplane
# What ends a boot; behind it the node comes back as another boot.
ENDINGS = ("Reboot", "Reset", "Shutdown", "Upgrade")
TYPES = {
    "LinkStatuses.net.talos.dev": ("network", ["link", "links"]),
    "MachineConfigs.config.talos.dev": ("config", ["mc"]),
}
LISTED = {
    "MountStatuses.block.talos.dev": ["source: /dev/vdb3\ntarget: /var\n"],
    "Members.cluster.talos.dev": ["addresses: [10.0.0.1]\nmachineType: controlplane\n"],
    "Disks.block.talos.dev": ["size: 8589934592\n"],
}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
# What the cluster has, by the path of a list; it has no kube-proxy and no CoreDNS.
OBJECTS = {
    "/api/v1/nodes": [
        {
            "metadata": {"name": "one"},
            "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}], **READY},
        }
    ],
    "/api/v1/namespaces/kube-system/pods": [
        {"metadata": {"name": f"{program}-one"}, "status": {"phase": "Running", **READY}}
        for program in CONTROL_PLANE_PODS
    ],
}


def brief(asked: Asked) -> str:
    """A call as the table has it, with the type and the id of resources."""
    _, service, method = asked.path.split("/")
    words = [f"{LETTERS[service]}/{method}"]
    if service == SERVICES["C"]:
        words += [asked.request.type, *([asked.request.id] if method != "List" and asked.request.id else [])]
    return " ".join(words)


class Node:
    """Answers everything: with something empty, or with what a command needs to go on."""

    def __init__(self, fake: FakeNode) -> None:
        self.told = asyncio.Event()
        self.boot_id, self.listeners = b"old\n", 0
        for service in SERVICES.values():
            for path in paths_of(service):
                fake.replies[path] = empty_reply(path)
        fake.replies |= {
            f"/{SERVICES['M']}/Version": message("machine.VersionResponse")(
                messages=[{"version": {"tag": f"v{__version__}"}}]
            ),
            f"/{SERVICES['M']}/Read": lambda _: [message("common.Data")(bytes=self.boot_id)],
            f"/{SERVICES['M']}/Events": self.events,
            f"/{SERVICES['M']}/Copy": [message("common.Data")(bytes=packed({"cgroup.procs": b""}))],
            f"/{SERVICES['M']}/Kubeconfig": [message("common.Data")(bytes=packed({"kubeconfig": kubeconfig()}))],
            f"/{SERVICES['M']}/ServiceList": message("machine.ServiceListResponse")(
                messages=[
                    {
                        "services": [
                            {"id": id, "state": "Running", "health": {"healthy": True}}
                            for id in ("apid", "etcd", "kubelet")
                        ]
                    }
                ]
            ),
            f"/{SERVICES['M']}/EtcdMemberList": message("machine.EtcdMemberListResponse")(
                messages=[{"members": [{"id": 1, "peer_urls": ["https://10.0.0.1:2380"]}]}]
            ),
            f"/{SERVICES['M']}/Memory": message("machine.MemoryResponse")(
                messages=[{"meminfo": {"memtotal": 4 << 20}}]
            ),
            f"/{SERVICES['C']}/List": self.list,
            f"/{SERVICES['C']}/Get": self.get,
            f"/{SERVICES['C']}/Watch": self.watch,
            f"/{SERVICES['L']}/Upgrade": [
                message("machine.LifecycleServiceUpgradeResponse")(progress={"message": "writing"}),
                message("machine.LifecycleServiceUpgradeResponse")(progress={"exit_code": 0}),
            ],
        }
        for name in ENDINGS:
            fake.replies[f"/{SERVICES['M']}/{name}"] = self.ending(name)

    def ending(self, name: str) -> Any:
        def end(request: Any) -> Any:
            self.told.set()
            return message(f"machine.{name}Response")(messages=[{"actor_id": "a1"}])

        return end

    async def go_down(self) -> None:
        await self.told.wait()
        # What the node says now arrives behind its answer to the call.
        await asyncio.sleep(0.05)

    def events(self, request: Any) -> list[Any]:
        if request.tail_events == 0 and not self.told.is_set() and self.listeners == 0 and self.waits:
            self.listeners += 1
            return [message("machine.Event")(id="0", data={}), self.go_down(), RpcError(Code.UNAVAILABLE, "gone")]
        if self.told.is_set():
            self.boot_id = b"new\n"
        running = message("machine.Event")(id="1", data={"type_url": "talos/runtime/machine.MachineStatusEvent"})
        running.data.value = message("machine.MachineStatusEvent")(
            stage="RUNNING", status={"ready": True}
        ).SerializeToString()
        return [message("machine.Event")(id="0", data={}), running]

    waits = False

    def get(self, request: Any) -> Any:
        spec = "nodename: one\n" if request.id == "nodename" else CONFIG
        return message("cosi.resource.GetResponse")(
            resource={"metadata": {"id": request.id}, "spec": {"yaml_spec": spec}}
        )

    def list(self, request: Any) -> list[Any]:
        made = message("cosi.resource.ListResponse")
        if request.type == "ResourceDefinitions.meta.cosi.dev":
            return [
                made(
                    resource={
                        "metadata": {"id": type.lower()},
                        "spec": {"yaml_spec": yaml.dump({"type": type, "defaultNamespace": space, "aliases": aliases})},
                    }
                )
                for type, (space, aliases) in TYPES.items()
            ]
        return [
            made(resource={"metadata": {"id": "one"}, "spec": {"yaml_spec": spec}})
            for spec in LISTED.get(request.type, ())
        ]

    def watch(self, request: Any) -> list[Any]:
        made = message("cosi.resource.WatchResponse")
        if request.type != "MachineStatuses.runtime.talos.dev":
            return []
        return [made(), made(event=[{"resource": {"spec": {"yaml_spec": "stage: running\n"}}}])]


def paths_of(service: str) -> Iterator[str]:
    from dozen.cli.api_reference import services

    return (f"/{service}/{method}" for method in services()[service])


def empty_reply(path: str) -> Any:
    types = method_types(path)
    if types.server_streaming:
        return []
    answered = "messages" in types.response.DESCRIPTOR.fields_by_name
    return types.response(messages=[{}]) if answered else types.response()


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def kubeconfig() -> bytes:
    pair = BUNDLE.secrets.kubernetes
    return render_kubeconfig("calls", "https://10.0.0.1:6443", pair.crt, "admin", crt=pair.crt, key=pair.key).encode()


@pytest.mark.parametrize("case", [pytest.param(case, id=case["command"]) for case in CASES])
def test_calls(case: dict[str, Any], fake: FakeNode, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(apply, "run_editor", lambda text, _: text.replace("10.0.0.1:6443", "10.0.0.2:6443"))
    for owner, name in ((conformance, "run"), (drain, "cordon"), (drain, "drain"), (Client, "patch")):
        monkeypatch.setattr(owner, name, say_done)
    monkeypatch.setattr(Kubernetes, "items", lambda _, path: OBJECTS[path])
    monkeypatch.setattr(Kubernetes, "get", find_nothing)
    (tmp_path / "config.yaml").write_text(CONFIG)
    node = Node(fake)
    arguments = [
        word.replace("FOLDER", str(tmp_path)).replace("CONFIG", str(tmp_path / "config.yaml"))
        for word in shlex.split(case["command"])
    ]
    node.waits = arguments[0] != "events"
    for refused in case.get("refuses", ()):
        letter, _, method = refused.partition("/")
        fake.replies[f"/{SERVICES[letter]}/{method}"] = RpcError(Code.UNIMPLEMENTED, "older")
    result = ask(*arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    assert told_apart([brief(call) for call in fake.asked], case["calls"]) == case["calls"]


async def say_done(*_: object, **__: object) -> str:
    """Where a cluster's API would be spoken to."""
    return "done"


def find_nothing(_: Kubernetes, path: str) -> Any:
    raise KubernetesError(404, "NotFound", f"{path} is not there")


def told_apart(made: list[str], wanted: list[Any]) -> list[Any]:
    """The calls in the form of the table: repeated ones once, those in any order as they stand there."""
    rest = [call for call, _ in groupby(made)]
    found: list[Any] = []
    for each in wanted:
        if isinstance(each, str):
            found += rest[:1]
            rest = rest[1:]
            continue
        count = next((at for at, call in enumerate(rest) if call not in each), len(rest))
        found.append(each if set(rest[:count]) == set(each) else rest[:count])
        rest = rest[count:]
    return found + rest
