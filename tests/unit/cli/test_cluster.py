"""`dozenctl cluster` as a person runs it: the machines are a stand-in, what is kept of them and printed is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click.testing
import pytest

from dozen.machinery import kubeconfig, talosconfig
from dozen.machinery.config.generating import generate
from dozen.machinery.messages import message
from dozen.provider import cluster as clusters
from dozen.provider import layout, readiness
from dozen.provider.machines import Machine, Report, reported
from dozen.provider.network import Place, Router, State
from dozen.provider.readiness import Bringing
from dozen.rpc.client import Channel
from dozen.testing.fakenode import FakeNode

BUNDLE = generate("mine", "https://10.0.2.15:6443")
THEIRS = generate("theirs", "https://10.9.9.9:6443")
MEMBER = layout.Member("mine-controlplane-1", "controlplane")
PLACE = Place(MEMBER.name, "10.0.2.15", 41000, 41001, 41002)
Run = Callable[..., click.testing.Result]
Failing = Callable[[Path, Report], Any]


class Clusters(clusters.Clusters):
    """Keeps what a cluster's making keeps, without a machine."""

    profile = ""
    made: list[clusters.Options]
    failing: Failing | None = None

    async def create(
        self, name: str, image: Path, report: Report, options: clusters.Options | None = None
    ) -> clusters.Cluster:
        type(self).made.append(options or clusters.Options())
        folder = self.folder / name
        (folder / "network").mkdir(parents=True, exist_ok=True)
        with reported("network", report) as step:
            Router(folder / "network")._write(State([PLACE]))
            layout.write_plan(layout.Plan((MEMBER,), profile=self.profile), folder)
            (folder / "talosconfig").write_text(BUNDLE.talosconfig)
            step.result("10.0.2.15 and up")
        if self.failing is not None:
            await self.failing(folder, report)
        (folder / "kubeconfig").write_text(admin(BUNDLE, "mine"))
        made = self.show(name)
        assert made
        return clusters.Cluster(name, folder, made.nodes, "v1.2.3", True, made.profile)


def admin(bundle: Any, name: str) -> str:
    pair = bundle.secrets.kubernetes
    return kubeconfig.render_kubeconfig(name, "https://127.0.0.1:1", pair.crt, "admin", crt=pair.crt, key=pair.key)


@pytest.fixture(autouse=True)
def stand_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> type[Clusters]:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "KUBECONFIG", "DOZEN_ACCELERATOR"):
        monkeypatch.delenv(name, raising=False)
    fresh = type("Fresh", (Clusters,), {"made": []})
    monkeypatch.setattr(clusters, "Clusters", fresh)
    return fresh


@pytest.fixture
def kube(home: Path) -> Path:
    """A person's kubeconfig, which knows another cluster."""
    path = home / ".kube" / "config"
    path.parent.mkdir()
    path.write_text(admin(THEIRS, "theirs"))
    return path


def contexts(path: Path) -> tuple[list[str], str]:
    known = kubeconfig.parse(path.read_text(), str(path))
    return [each["name"] for each in known["contexts"]], str(known.get("current-context", ""))


def test_a_cluster_is_put_into_the_person_s_files_and_taken_out_again(run: Run, kube: Path, home: Path) -> None:
    theirs, before = contexts(kube)
    made = run("cluster", "create", "--name", "mine", "--workers", "2")
    assert made.exit_code == 0, made.output
    assert "mine runs v1.2.3; its context is selected in" in made.stdout
    all, selected = contexts(kube)
    assert (len(all), selected in all, selected in theirs) == (2, True, False)
    assert f"Kubernetes: context {selected} is selected in {kube}" in made.stdout
    client = talosconfig.parse((home / ".talos/config").read_text())
    assert (client.context, set(client.contexts)) == ("mine", {"one", "mine"})

    # Once more changes nothing, and doubles nothing.
    assert run("cluster", "create", "--name", "mine").exit_code == 0
    assert contexts(kube) == (all, selected)

    gone = run("cluster", "destroy", "--name", "mine")
    assert gone.exit_code == 0, gone.output
    assert "mine is gone, with its disks and its keys" in gone.stderr
    assert contexts(kube)[0] == theirs
    assert before in theirs
    assert set(talosconfig.parse((home / ".talos/config").read_text()).contexts) == {"one"}
    assert "there is no cluster mine" in run("cluster", "destroy", "--name", "mine").stdout


def test_a_kubeconfig_that_nobody_understands_is_left_alone(run: Run, kube: Path) -> None:
    assert run("cluster", "create", "--name", "mine").exit_code == 0
    kube.write_text("contexts: 7\n")
    assert run("cluster", "destroy", "--name", "mine").exit_code == 0
    assert kube.read_text() == "contexts: 7\n"


def test_options_arrive(run: Run, stand_in: type[Clusters], tmp_path: Path) -> None:
    (tmp_path / "patch.yaml").write_text("machine: {}\n")
    words = "--controlplanes 3 --workers 2 --cpus 1 --memory 4096 --disk 0 --kubernetes-version v1.35.0 --no-kubernetes"
    done = run("cluster", "create", *words.split(), "--config-patch", "@patch.yaml", "--kernel-argument", "a=b")
    assert done.exit_code == 0, done.output
    assert stand_in.made == [
        clusters.Options(3, 2, 1, 4096, 0, ("a=b",), ("machine: {}\n",), "v1.35.0", kubernetes=False)
    ]


def test_steps_are_told_with_their_times(run: Run) -> None:
    told = run("cluster", "create", "--name", "mine").stderr.splitlines()
    assert len(told) == 1
    mark, seconds, unit, *rest = told[0].split()
    assert (mark, float(seconds) < 60, unit, " ".join(rest)) == ("ok", True, "s", "network: 10.0.2.15 and up")


def test_what_there_is_is_shown(run: Run) -> None:
    assert 'there is no cluster "mine"' in run("cluster", "show", "--name", "mine").stderr
    run("cluster", "create", "--name", "mine")
    shown = run("cluster", "show").stdout
    words = shown.splitlines()[1].split()
    assert words == ["mine", MEMBER.name, "controlplane", "incomplete", "10.0.2.15", "127.0.0.1:41000"]
    assert "profile" not in shown


def test_a_profile_in_force_is_told_each_time(run: Run, stand_in: type[Clusters]) -> None:
    stand_in.profile = "emulated"
    said = "mine has the profile `emulated`: longer limits for machines without hardware virtualization"
    for words in (["create", "--name", "mine"], ["create", "--name", "mine"], ["show"], ["show", "--name", "mine"]):
        assert said in run("cluster", *words).stdout


def waiting(id: str, state: str, said: str) -> dict[str, Any]:
    return {"id": id, "state": state, "events": {"events": [{"msg": said}]}, "health": {"unknown": True}}


def test_a_failure_tells_what_the_nodes_wait_for(
    run: Run, fake: FakeNode, stand_in: type[Clusters], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node answers; it is etcd that never comes. Whoever is told finds the cluster's context selected."""
    found = [waiting("etcd", "Waiting", "for `bootstrap`"), waiting("apid", "Running", "")]
    fake.replies["ServiceList"] = message("machine.ServiceListResponse")(messages=[{"services": found}])
    texts = {
        "Diagnostics": "message: the volume of /var has 0 MiB left\n",
        "MachineStatuses": "status: {unmetConditions: [{name: services, reason: etcd is not running}]}\n",
    }
    reply = message("cosi.resource.ListResponse")
    fake.replies["List"] = lambda request: [
        reply(resource={"spec": {"yaml_spec": texts[request.type.partition(".")[0]]}})
    ]

    @asynccontextmanager
    async def open_channel(address: str, context: object) -> AsyncIterator[Channel]:
        channel = Channel(fake.address)
        try:
            yield channel
        finally:
            await channel.close()

    async def etcd(folder: Path, report: Report) -> None:
        machine = Machine(MEMBER.name, folder, "127.0.0.1:41000", "", 1)
        await Bringing(talosconfig.parse(BUNDLE.talosconfig).select(), [machine], report).etcd()

    monkeypatch.setattr(readiness, "open_channel", open_channel)
    monkeypatch.setattr(readiness, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(readiness, "ASK_EVERY", 0.01)
    monkeypatch.setattr(stand_in, "failing", staticmethod(etcd))
    done = run("cluster", "create", "--name", "mine")
    assert done.exit_code == 1
    assert "failed" in done.stderr
    for said in (
        "etcd: not ready within 0 s (etcd is Waiting: for `bootstrap`)",
        "mine-controlplane-1: etcd is Waiting: for `bootstrap`",
        "mine-controlplane-1: the volume of /var has 0 MiB left",
        "mine-controlplane-1: unmet: services: etcd is not running",
        "running the command again goes on from here",
    ):
        assert said in done.stderr
    assert "apid" not in done.stderr
    assert talosconfig.parse((home / ".talos/config").read_text()).context == "mine"


def test_a_node_that_does_not_answer_shows_the_end_of_its_console(tmp_path: Path) -> None:
    machine = Machine("m", tmp_path, "127.0.0.1:1", "", None)
    machine.console.write_text("Kernel panic\n")
    context = talosconfig.parse(BUNDLE.talosconfig).select()
    told = asyncio.run(readiness.ask_waiting(machine, context))
    assert "m: does not answer: " in told
    assert "Kernel panic" in told
