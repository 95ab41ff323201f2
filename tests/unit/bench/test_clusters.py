"""What the benchmark asks both clusters, what it reads of machines, and what its page says of it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from bench import boots, clusters, kubeadm, onenode, page
from bench.boots import Clock

from dozen.machinery import certificates, pki, yaml
from dozen.machinery.config import load
from dozen.machinery.config.secrets import Secrets, new_secrets
from dozen.machinery.kubernetes import versions
from dozen.provider.waiting import NotYetError


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    return new_secrets()


def test_kubeadm_is_told_versions_images_and_subnets_of_ours(secrets: Secrets) -> None:
    init, cluster, proxy = (yaml.load(text) for text in onenode.kubeadm_config("debian").split("---\n"))
    ours = load(onenode.machine_config(secrets)).cluster
    assert init["localAPIEndpoint"]["advertiseAddress"] in ours.control_plane.endpoint
    assert init["nodeRegistration"]["name"] == "debian"
    assert cluster["kubernetesVersion"] == versions.KUBERNETES
    etcd, dns = cluster["etcd"]["local"], cluster["dns"]
    assert f"{etcd['imageRepository']}/etcd:{etcd['imageTag']}" == versions.ETCD_IMAGE
    assert f"{dns['imageRepository']}/coredns:{dns['imageTag']}" == versions.COREDNS_IMAGE
    assert cluster["networking"]["podSubnet"] == ",".join(ours.network.pod_subnets)
    assert cluster["networking"]["serviceSubnet"] == ",".join(ours.network.service_subnets)
    assert proxy["mode"] == "nftables"


def test_both_have_the_same_patience_with_an_emulator(secrets: Secrets) -> None:
    ours = load(onenode.machine_config(secrets)).cluster
    extra = onenode.extra_arguments()
    assert {"name": "leader-elect-lease-duration", "value": "120s"} in extra["scheduler"]
    for component, part in (("controllerManager", ours.controller_manager), ("etcd", ours.etcd)):
        told = {each["name"]: each["value"] for each in extra[component]}
        assert {name: str(part.extra_args[name]) for name in told} == told


def test_kubeadm_finds_the_authorities_of_the_bundle(secrets: Secrets) -> None:
    files = onenode.authority_files(secrets)
    assert set(files) == {
        *("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"),
        *("sa.key", "sa.pub"),
    }
    for name in ("ca", "front-proxy-ca", "etcd/ca"):
        certificates.check_authority(pki.Keypair(files[f"{name}.crt"], files[f"{name}.key"]), name)
    assert files["sa.pub"] == certificates.public_pem(files["sa.key"])


def test_flannel_talks_to_the_api_server_itself(secrets: Secrets) -> None:
    daemon = next(item for item in onenode.pod_network(secrets) if item["kind"] == "DaemonSet")
    env = {each["name"]: each.get("value") for each in daemon["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == (onenode.ADDRESS, "6443")


def test_the_machine_of_kubeadm_is_as_large_as_ours_and_forgets_its_cluster() -> None:
    spec = clusters.kubeadm_spec(Path("vmlinux"), Path("initrd"), Path("disk"))
    assert (spec.cpus, spec.memory_mib, spec.throwaway) == (2, onenode.MEMORY_MIB, True)


def test_every_mark_is_something_that_a_script_says() -> None:
    said = set(re.findall(r"^ *say (\w+)", "\n".join(kubeadm.SCRIPTS.values()), re.MULTILINE))
    lines = [f"BENCH {word}" for word in said]
    told = {name for name, pattern in clusters.KUBEADM_MARKS.items() if any(map(pattern.search, lines))}
    assert told == {"containerd", "begun", "initialized", "applied"}
    assert any(map(clusters.FAILED.search, lines))
    assert any(map(clusters.AGAIN.search, lines))
    # One is the beginning of another.
    assert not clusters.KUBEADM_MARKS["begun"].search("BENCH initialized")


def test_processor_time_is_found_behind_any_name() -> None:
    stat = "7 (qemu) R 1 (2) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 9 10 11"
    assert boots.parse_processor_ticks(stat) == 300


def test_asking_goes_on_until_the_answer_is_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "ASK_EVERY", 0.0)
    answers: list[Exception | None] = [NotYetError("no"), NotYetError("no"), None]

    def ask() -> None:
        if error := answers.pop(0):
            raise error

    clock = Clock("one")
    asyncio.run(clusters.until(clock, ask))
    assert (answers, clock.waiting) == ([], "no")


def test_asking_ends_when_there_is_nothing_to_wait_for() -> None:
    def check() -> None:
        raise RuntimeError("kubeadm failed")

    with pytest.raises(RuntimeError, match="kubeadm failed"):
        asyncio.run(clusters.until(Clock("one"), lambda: None, check))


def test_a_mark_is_noted_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock("one")
    clock.mark("node")
    first = clock.boot.seconds["node"]
    clock.mark("node")
    assert clock.boot.seconds == {"node": first}
    assert capsys.readouterr().err == f"bench: one: node after {first} s\n"


def boot(scale: float) -> dict[str, Any]:
    seconds = {"api server": 100.0, "node": 120.0, "coredns": 200.0}
    return {
        "boots": 3,
        "seconds": {name: value * scale for name, value in seconds.items()},
        "figures": {"memory_mib": 1000 * scale, "idle_processors": scale},
    }


def test_the_page_holds_the_figures_against_the_goals() -> None:
    text = "\n".join(page.clusters({"cluster": boot(0.5), "kubeadm": boot(1.0)}))
    assert "| API server ready, s | 50 | 100 |" in text
    assert text.count("| 0.5 | 0.6 | met |") == 3
    assert "| memory used when idle ÷ kubeadm's | 0.5 | 0.85 | met |" in text
    missed = "\n".join(page.clusters({"cluster": boot(0.9), "kubeadm": boot(1.0)}))
    assert missed.count("missed") == 5


def test_the_page_says_what_was_not_measured() -> None:
    assert page.clusters({}) == ["Not measured: left out of this run."]
    lines = page.clusters({"cluster": boot(1.0), "kubeadm": "ProviderError: kubeadm failed"})
    assert "kubeadm on Debian 13 minimal was not measured: ProviderError: kubeadm failed" in lines
    assert not any("÷" in line for line in lines)
