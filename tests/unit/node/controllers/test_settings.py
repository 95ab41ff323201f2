"""The configuration in short answers, and the platform's where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.config import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import config, settings
from dozen.node.controllers.settings import SettingsController
from dozen.testing.controllers import PlainView

TEXT = generate("c", "https://10.0.0.1:6443").worker
PLATFORM = settings.NetworkSettings(
    links=(settings.LinkSettings(name="eth0", dhcp=True),), name_servers=("10.0.0.53",), fallback_hostname="n1"
)


def plan(documents: str | None, platform: settings.NetworkSettings | None = None) -> dict[str, Any]:
    view = PlainView()
    if documents is not None:
        text = TEXT + "".join(f"---\napiVersion: v1alpha1\n{each}" for each in documents.split("---\n") if each)
        view.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
    if platform is not None:
        view.add(settings.PLATFORM_NETWORK, settings.NETWORK, platform)
    return {step.kind.display: step.spec for step in SettingsController().plan(view) if isinstance(step, Put)}


def test_the_type_of_a_machine_is_known_with_its_configuration() -> None:
    assert plan("")["MachineType"].type == "worker"
    assert "MachineType" not in plan(None)


@pytest.mark.parametrize("documents", [None, ""])
def test_the_platform_says_what_the_configuration_does_not(documents: str | None) -> None:
    found = plan(documents, PLATFORM)["NetworkSettings"]
    assert (found.links, found.name_servers, found.fallback_hostname) == (PLATFORM.links, ("10.0.0.53",), "n1")


def test_the_configuration_comes_first() -> None:
    found = plan(
        "kind: ResolverConfig\nnameservers: [{address: 10.9.9.9}]\n---\nkind: DHCPv4Config\nname: eth1\n", PLATFORM
    )
    network = found["NetworkSettings"]
    assert network.name_servers == ("10.9.9.9",)
    assert [link.name for link in network.links] == ["eth1", "eth0"]


def test_documents_about_links() -> None:
    link = (
        "kind: LinkConfig\nname: eth0\nmtu: 1400\naddresses: [{address: 10.0.0.5/24}]\n"
        "routes: [{destination: 10.9.0.0/16, gateway: 10.0.0.1, metric: 5}]\n"
    )
    lease = "kind: DHCPv4Config\nname: eth0\nrouteMetric: 77\n"
    (found,) = plan(f"{link}---\n{lease}")["NetworkSettings"].links
    assert found == settings.LinkSettings(
        name="eth0",
        addresses=("10.0.0.5/24",),
        routes=(settings.RouteSettings(network="10.9.0.0/16", gateway="10.0.0.1", metric=5),),
        dhcp=True,
        dhcp_metric=77,
        mtu=1400,
    )
