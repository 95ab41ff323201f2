"""Which links get other names."""

from __future__ import annotations

import pytest

from dozen.machinery.effects.links import SetAlias
from dozen.machinery.effects.network import Each
from dozen.machinery.plan import Put
from dozen.machinery.resources import runtime
from dozen.machinery.resources.link import LINK_ALIAS_SPEC, LINK_STATUS, LinkAliasSpec, LinkStatusSpec
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    AliasSettings,
    LinkSettings,
    NetworkSettings,
)
from dozen.node.controllers.network.aliases import LinkAliasController, LinkAliasSpecController, choose, scope_of
from dozen.node.controllers.network.matching import settings_by_link
from dozen.testing.controllers import PlainView

LINKS = (
    (LINK_STATUS, "lo", LinkStatusSpec(type="loopback")),
    (LINK_STATUS, "eth0", LinkStatusSpec(hardware_addr="02:00:00:00:00:09", driver="virtio_net", mtu=1500)),
    (LINK_STATUS, "eth1", LinkStatusSpec(hardware_addr="02:00:00:00:00:01", driver="e1000", mtu=9000)),
    (LINK_STATUS, "br0", LinkStatusSpec(hardware_addr="02:00:00:00:00:00", kind="bridge")),
)


def view(*aliases: tuple[str, str], **more: LinkSettings) -> PlainView:
    entries = tuple(AliasSettings(name=name, match=match) for name, match in aliases)
    settings = NetworkSettings(aliases=entries, links=tuple(more.values()))
    return PlainView(*LINKS, (NETWORK_SETTINGS, NETWORK, settings))


@pytest.mark.parametrize(
    ("aliases", "names"),
    [
        ([("up", 'link.driver == "virtio_net"')], {"eth0": "up"}),
        ([("up", "link.mtu > 1500")], {"eth1": "up"}),
        ([("net%d", "true")], {"eth1": "net0", "eth0": "net1"}),
        ([("up", "link.mtu > 1500"), ("net%d", "true")], {"eth1": "up", "eth0": "net0"}),
        ([("up", "link.mtu > 1500"), ("other", "link.mtu > 1500")], {"eth1": "up"}),
        ([("up", "false")], {}),
        ([("up", "link.type == 1 && link.index == 0 && link.pciid == '' && link.mtu == 9000")], {"eth1": "up"}),
    ],
)
def test_who_is_called_what(aliases: list[tuple[str, str]], names: dict[str, str]) -> None:
    steps = list(LinkAliasSpecController().plan(view(*aliases)))
    assert steps == [Put(LINK_ALIAS_SPEC, link, LinkAliasSpec(alias=alias)) for link, alias in names.items()]


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("true", "LinkAliasConfig up: its expression is true of eth1, eth0; it has to choose one of them"),
        ("link.mtu", "LinkAliasConfig up: link.mtu: expected true or false, found the number 9000"),
        ("link.no", "there is no field no"),
    ],
)
def test_a_name_that_goes_to_nobody_is_told(match: str, words: str) -> None:
    (step,) = LinkAliasSpecController().plan(view(("up", match)))
    assert isinstance(step, Put)
    assert (step.kind, step.id) == (runtime.DIAGNOSTIC, "link-alias-up")
    assert words in step.spec.message  # type: ignore[attr-defined]


def test_the_configuration_finds_a_link_by_its_name_at_once() -> None:
    settings = view(("up", "link.mtu > 1500"), first=LinkSettings(name="up", mtu=1400)).get(NETWORK_SETTINGS, NETWORK)
    assert settings is not None
    found = settings_by_link(settings.spec, view().list(LINK_STATUS))
    assert {name: entry.mtu for name, entry in found.items()} == {"eth1": 1400}


def test_names_that_are_no_longer_wanted_go_first() -> None:
    given = PlainView(
        (LINK_STATUS, "eth0", LinkStatusSpec(flags="UP", alias="a", alt_names=("a", "udev"))),
        (LINK_STATUS, "eth1", LinkStatusSpec(flags="UP", alias="b", alt_names=("b",))),
        (LINK_STATUS, "eth2", LinkStatusSpec(flags="UP")),
        (LINK_STATUS, "down", LinkStatusSpec()),
        (LINK_ALIAS_SPEC, "down", LinkAliasSpec(alias="d")),
        (LINK_ALIAS_SPEC, "eth0", LinkAliasSpec(alias="new")),
        (LINK_ALIAS_SPEC, "eth1", LinkAliasSpec(alias="b")),
        (LINK_ALIAS_SPEC, "gone", LinkAliasSpec(alias="c")),
    )
    given.add(LINK_ALIAS_SPEC, "eth2", LinkAliasSpec(alias="a"))
    assert list(LinkAliasController().plan(given)) == [
        Each((SetAlias("eth0", "", before="a"), SetAlias("eth0", "new"), SetAlias("eth2", "a")))
    ]


def test_expressions_see_the_wire_s_names_and_numbers() -> None:
    link = scope_of(LinkStatusSpec(type="loopback", flags="UP,LOOPBACK", pci_id="1AF4:1000", speed_mbit=10))["link"]
    assert (link["type"], link["flags"], link["pciid"], link["speed_megabits"]) == (772, 9, "1AF4:1000", 10)


def test_without_names_nothing_is_looked_at() -> None:
    assert choose((), ()) == ({}, {})
