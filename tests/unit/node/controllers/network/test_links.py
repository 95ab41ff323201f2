"""Which links are brought up, and on which of them DHCP runs."""

import pytest

from dozen.machinery.effects.network import AcceptRouters, Each, SetLink
from dozen.machinery.plan import Put
from dozen.machinery.resources.link import LINK_SPEC, LINK_STATUS, LinkSpec, LinkStatusSpec
from dozen.machinery.resources.operator import (
    DHCP_LEASE,
    OPERATOR_SPEC,
    ClientIdentifier,
    DHCP4Operator,
    DHCP6Operator,
    DHCPLease,
    OperatorSpec,
)
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    DHCP6Settings,
    LinkSelector,
    LinkSettings,
    NetworkSettings,
)
from dozen.node.controllers.network.links import LinkController, LinkSpecController
from dozen.node.controllers.network.matching import selects
from dozen.node.controllers.network.operators import OperatorController
from dozen.testing.controllers import PlainView

LO = LinkStatusSpec(type="loopback", flags="LOOPBACK", mtu=65536)
DOWN = LinkStatusSpec(type="ether", flags="BROADCAST,MULTICAST", mtu=1500, hardware_addr="52:54:00:12:34:56")
UP = LinkStatusSpec(type="ether", flags="UP,BROADCAST,RUNNING,MULTICAST", mtu=1500, link_state=True)
VETH = LinkStatusSpec(type="ether", kind="veth", flags="BROADCAST", mtu=1500)


def view(*links: LinkSettings, **statuses: LinkStatusSpec) -> PlainView:
    found = PlainView((NETWORK_SETTINGS, NETWORK, NetworkSettings(links=links)))
    for name, status in statuses.items():
        found.add(LINK_STATUS, name, status)
    return found


def wished(view: PlainView) -> PlainView:
    """The view with the specs that the settings lead to."""
    for step in list(LinkSpecController().plan(view)):
        assert isinstance(step, Put)
        view.add(step.kind, step.id, step.spec)
    return view


def effects(view: PlainView) -> list[object]:
    return [effect for step in LinkController().plan(wished(view)) for effect in step.effects]  # type: ignore[union-attr]


def operators(view: PlainView) -> list[str]:
    return [step.id for step in OperatorController().plan(view) if isinstance(step, Put)]


def test_a_first_boot() -> None:
    seen = view(lo=LO, eth0=DOWN, veth0=VETH)
    assert list(LinkSpecController().plan(seen)) == [
        Put(LINK_SPEC, "lo", LinkSpec(name="lo", up=True, type="loopback", layer="default")),
        Put(LINK_SPEC, "eth0", LinkSpec(name="eth0", up=True, type="ether", layer="default")),
    ]
    assert list(LinkController().plan(wished(seen))) == [Each((AcceptRouters("eth0"), SetLink("eth0"), SetLink("lo")))]


def test_before_the_configuration_is_known_only_loopback_comes_up() -> None:
    unknown = PlainView((LINK_STATUS, "eth0", DOWN), (LINK_STATUS, "lo", LO))
    assert effects(unknown) == [SetLink("lo")]
    assert operators(unknown) == []


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert effects(view(eth0=UP)) == []


@pytest.mark.parametrize(
    ("mtu", "leased", "effect"),
    [
        (0, 0, []),
        (1500, 0, []),
        (1400, 0, [SetLink("eth0", mtu=1400)]),
        (0, 1300, [SetLink("eth0", mtu=1300)]),
        (1400, 1300, [SetLink("eth0", mtu=1400)]),
    ],
)
def test_the_mtu_is_the_configurations_then_the_leases(mtu: int, leased: int, effect: list[object]) -> None:
    seen = view(LinkSettings(name="eth0", mtu=mtu, dhcp=True), eth0=UP)
    seen.add(DHCP_LEASE, "eth0", DHCPLease(mtu=leased))
    assert effects(seen) == effect


@pytest.mark.parametrize(
    ("entry", "brought_up", "dhcp"),
    [
        (None, True, True),
        (LinkSettings(name="eth0", ignore=True), False, False),
        (LinkSettings(name="eth0", ignore=True, dhcp=True), False, False),
        (LinkSettings(name="eth0", addresses=("10.0.0.1/24",)), True, False),
        (LinkSettings(name="eth0", dhcp=True), True, True),
        (LinkSettings(name="eth1", dhcp=True), True, True),
        (LinkSettings(selector=LinkSelector(hardware_addr="52:54:00:*")), True, False),
        (LinkSettings(selector=LinkSelector(physical=True), ignore=True), False, False),
    ],
    ids=["unmentioned", "ignored", "ignored with dhcp", "static", "dhcp", "another link", "by address", "all physical"],
)
def test_what_the_configuration_says(entry: LinkSettings | None, brought_up: bool, dhcp: bool) -> None:
    seen = view(*([entry] if entry else []), eth0=DOWN)
    assert (SetLink("eth0") in effects(seen)) is brought_up
    assert operators(seen) == (["dhcp4/eth0"] if dhcp else [])


def test_links_made_of_software_are_only_touched_when_configured() -> None:
    assert effects(view(veth0=VETH)) == operators(view(veth0=VETH)) == []
    assert operators(view(LinkSettings(name="veth0", dhcp=True), veth0=VETH)) == ["dhcp4/veth0"]
    assert operators(view(LinkSettings(name="lo", dhcp=True), lo=LO)) == []


@pytest.mark.parametrize(
    ("said", "options"),
    [
        (DHCP6Settings(), DHCP6Operator(route_metric=1024)),
        (
            DHCP6Settings(metric=50, identifier="duid", duid="00:02:AA", ignore_hostname=True),
            DHCP6Operator(
                route_metric=50,
                skip_hostname_request=True,
                client_identifier=ClientIdentifier(client_identifier="duid", duid_raw_hex="0002aa"),
            ),
        ),
        (
            DHCP6Settings(identifier="none"),
            DHCP6Operator(route_metric=1024, client_identifier=ClientIdentifier(client_identifier="none")),
        ),
    ],
)
def test_the_operator_of_dhcpv6(said: DHCP6Settings, options: DHCP6Operator) -> None:
    """It comes by itself, or beside that of DHCPv4."""
    spec = OperatorSpec(operator="dhcp6", link_name="eth0", dhcp6=options, layer="configuration")
    seen = view(LinkSettings(name="eth0", dhcp6=said), eth0=UP)
    assert list(OperatorController().plan(seen)) == [Put(OPERATOR_SPEC, "dhcp6/eth0", spec)]
    assert operators(view(LinkSettings(name="eth0", dhcp=True, dhcp6=said), eth0=UP)) == ["dhcp4/eth0", "dhcp6/eth0"]
    assert operators(view(LinkSettings(name="eth0", dhcp6=said, ignore=True), eth0=UP)) == []


@pytest.mark.parametrize(("metric", "expected"), [(0, 1024), (50, 50)])
def test_the_operator(metric: int, expected: int) -> None:
    assert list(OperatorController().plan(view(LinkSettings(name="eth0", dhcp=True, dhcp_metric=metric), eth0=UP))) == [
        Put(
            OPERATOR_SPEC,
            "dhcp4/eth0",
            OperatorSpec(link_name="eth0", dhcp4=DHCP4Operator(route_metric=expected), layer="configuration"),
        )
    ]


NIC = LinkStatusSpec(
    type="ether",
    hardware_addr="52:54:00:12:34:56",
    permanent_addr="52:54:00:12:34:57",
    bus_path="0000:00:02.0",
    driver="virtio_net",
    pci_id="1AF4:1000",
)


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (LinkSelector(), False),
        (LinkSelector(hardware_addr="52:54:00:12:34:56"), True),
        (LinkSelector(hardware_addr="52:54:00:12:34:5F"), False),
        (LinkSelector(hardware_addr="52:54:*"), True),
        (LinkSelector(permanent_addr="*:57"), True),
        (LinkSelector(bus_path="0000:00:*"), True),
        (LinkSelector(pci_id="1af4:1000"), True),
        (LinkSelector(driver="virtio_net", bus_path="0000:01:*"), False),
        (LinkSelector(driver="virtio*", physical=True), True),
    ],
)
def test_selectors(selector: LinkSelector, fits: bool) -> None:
    assert selects(selector, NIC) is fits


def test_physical_means_physical() -> None:
    assert not selects(LinkSelector(physical=True), VETH)
    assert selects(LinkSelector(physical=True), NIC)
