"""What the network amounts to."""

import pytest

from dozen.machinery.plan import Put
from dozen.machinery.resources.files import ETC_FILE_SPEC, ETC_FILE_STATUS, EtcFileSpec, EtcFileStatusSpec
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.network import (
    ADDRESS_STATUS,
    HARDWARE_ADDRESS,
    HOSTNAME_STATUS,
    NETWORK_STATUS,
    NODE_ADDRESS,
    NODE_ADDRESS_SORT_ALGORITHM,
    ROUTE_STATUS,
    AddressStatusSpec,
    HardwareAddressSpec,
    HostnameStatusSpec,
    NetworkStatusSpec,
    NodeAddressSortAlgorithmSpec,
    NodeAddressSpec,
    RouteStatusSpec,
)
from dozen.machinery.resources.operator import DHCP_LEASE, DHCPLease, LeasedAddress
from dozen.machinery.resources.routing import NODE_ADDRESS_FILTER, NodeAddressFilterSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, NetworkSettings
from dozen.node.controllers.network.summary import (
    HardwareAddressController,
    NetworkStatusController,
    NodeAddressController,
)
from dozen.testing.controllers import PlainView


def link(kind: str = "", flags: str = "UP", **fields: str) -> LinkStatusSpec:
    return LinkStatusSpec(type="ether", kind=kind, flags=flags, **fields)  # type: ignore[arg-type]


def network(*addresses: tuple[str, str], flags: str = "permanent", scope: str = "global") -> PlainView:
    view = PlainView(
        (LINK_STATUS, "lo", LinkStatusSpec(type="loopback", flags="UP")),
        (LINK_STATUS, "cni0", link("bridge")),
        (LINK_STATUS, "eth0", link()),
        (LINK_STATUS, "eth1", link(flags="BROADCAST")),
    )
    for name, address in addresses:
        spec = AddressStatusSpec(address=address, link_name=name, flags=flags, scope=scope)
        view.add(ADDRESS_STATUS, f"{name}/{address}", spec)
    return view


def node_addresses(view: PlainView) -> dict[str, tuple[str, ...]]:
    steps = NodeAddressController().plan(view)
    return {step.id: step.spec.addresses for step in steps if step.kind is NODE_ADDRESS}  # type: ignore[union-attr]


def test_filters_choose_addresses() -> None:
    view = network(("cni0", "10.1.0.1/24"), ("eth0", "10.0.2.15/24"))
    pods = ("10.1.0.0/16", "fd00:10::/56")
    view.add(NODE_ADDRESS_FILTER, "no-k8s", NodeAddressFilterSpec(exclude_subnets=pods))
    view.add(NODE_ADDRESS_FILTER, "only-k8s", NodeAddressFilterSpec(include_subnets=pods))
    found = node_addresses(view)
    assert found["current"] == found["routed"] == ("10.0.2.15/24", "10.1.0.1/24")
    for id in ("current", "routed", "accumulative"):
        assert found[f"{id}-no-k8s"] == ("10.0.2.15/24",)
        assert found[f"{id}-only-k8s"] == ("10.1.0.1/24",)


def test_addresses_of_physical_links_come_first() -> None:
    view = network(("cni0", "10.1.0.1/24"), ("eth0", "10.0.2.15/24"), ("eth0", "10.0.2.9/32"), ("eth0", "fd00::1/64"))
    assert node_addresses(view) == {
        "default": ("10.0.2.9/32",),
        "current": ("10.0.2.9/32", "10.0.2.15/24", "fd00::1/64", "10.1.0.1/24"),
        "routed": ("10.0.2.15/24", "fd00::1/64", "10.1.0.1/24"),
        "accumulative": ("10.0.2.9/32", "10.0.2.15/24", "10.1.0.1/24", "fd00::1/64"),
    }


def test_single_hosts_that_dhcp_gave_are_routed() -> None:
    view = network(("eth0", "10.0.2.9/32"), ("eth0", "10.0.2.10/32"), ("eth0", "fd00::1/128"), ("eth0", "fd00::2/128"))
    view.add(DHCP_LEASE, "eth0", DHCPLease(link_name="eth0", address="10.0.2.9/32"))
    leased = (LeasedAddress(address="fd00::1/128"), LeasedAddress(address="fd00::2/128"))
    view.add(DHCP_LEASE, "eth0/dhcp6", DHCPLease(link_name="eth0", address="fd00::1/128", addresses=leased))
    assert node_addresses(view)["routed"] == ("10.0.2.9/32", "fd00::1/128", "fd00::2/128")


def test_longer_prefixes_come_first_where_that_is_asked_for() -> None:
    view = network(("eth0", "10.0.2.15/24"), ("eth0", "10.0.9.1/32"), ("eth0", "fd00::1/64"), ("eth0", "fd00::2/128"))
    view.add(NETWORK_SETTINGS, NETWORK, NetworkSettings(sort_algorithm="v2"))
    steps = {step.id: step.spec for step in NodeAddressController().plan(view) if step.kind is NODE_ADDRESS}  # type: ignore[union-attr]
    wanted = ("10.0.9.1/32", "10.0.2.15/24", "fd00::2/128", "fd00::1/64")
    assert steps["current"] == steps["accumulative"] == NodeAddressSpec(addresses=wanted, sort_algorithm="v2")
    algorithm = Put(NODE_ADDRESS_SORT_ALGORITHM, "default", NodeAddressSortAlgorithmSpec(algorithm="v2"))
    assert algorithm in NodeAddressController().plan(view)


@pytest.mark.parametrize(
    "view",
    [
        network(("lo", "10.0.0.1/32")),
        network(("eth1", "10.0.0.1/24")),
        network(("eth0", "169.254.0.1/16"), scope="link"),
        network(("eth0", "fd00::1/64"), flags="tentative"),
        network(("eth0", "fd00::1/64"), flags="temporary,deprecated"),
        network(("eth0", "fd00::1/64"), flags="permanent,dadfailed"),
    ],
    ids=["loopback", "link down", "link-local", "not yet checked", "short-lived", "somebody else's"],
)
def test_addresses_that_are_not_to_be_told(view: PlainView) -> None:
    assert node_addresses(view) == {"current": (), "routed": (), "accumulative": ()}


def test_the_default_address_stays_while_it_is_there() -> None:
    view = network(("eth0", "10.0.2.9/24"), ("eth0", "10.0.2.15/24"))
    view.add(NODE_ADDRESS, "default", NodeAddressSpec(addresses=("10.0.2.15/24",)))
    assert node_addresses(view)["default"] == ("10.0.2.15/24",)
    view.add(NODE_ADDRESS, "default", NodeAddressSpec(addresses=("10.0.2.77/24",)))
    assert node_addresses(view)["default"] == ("10.0.2.9/24",)


def test_addresses_that_were_are_remembered() -> None:
    view = network(("eth0", "10.0.2.15/24"))
    view.add(NODE_ADDRESS, "accumulative", NodeAddressSpec(addresses=("10.0.2.7/24",)))
    assert node_addresses(view)["accumulative"] == ("10.0.2.7/24", "10.0.2.15/24")


def test_the_first_physical_link_identifies_the_node() -> None:
    view = PlainView(
        (LINK_STATUS, "aaa", link("bridge", hardware_addr="02:00:00:00:00:01")),
        (LINK_STATUS, "eth0", link(hardware_addr="02:00:00:00:00:02", permanent_addr="02:00:00:00:00:03")),
        (LINK_STATUS, "eth1", link(hardware_addr="02:00:00:00:00:04")),
    )
    assert list(HardwareAddressController().plan(view)) == [
        Put(HARDWARE_ADDRESS, "first", HardwareAddressSpec(name="eth0", hardware_addr="02:00:00:00:00:03"))
    ]
    assert list(HardwareAddressController().plan(PlainView())) == []


def status(view: PlainView, managed: bool = True) -> NetworkStatusSpec:
    (step,) = NetworkStatusController(managed).plan(view)
    assert isinstance(step, Put)
    assert (step.kind, step.id) == (NETWORK_STATUS, "status")
    return step.spec  # type: ignore[return-value]


def test_readiness_one_after_the_other() -> None:
    view = PlainView()
    seen = [status(view)]
    view.add(NODE_ADDRESS, "current", NodeAddressSpec(addresses=("10.0.2.15/24",)))
    seen.append(status(view))
    view.add(ROUTE_STATUS, "other", RouteStatusSpec(dst="10.0.2.0/24"))
    view.add(ROUTE_STATUS, "default", RouteStatusSpec(gateway="10.0.2.2"))
    seen.append(status(view))
    view.add(HOSTNAME_STATUS, "hostname", HostnameStatusSpec(hostname="a"))
    seen.append(status(view))
    for name in ("hosts", "resolv.conf"):
        view.add(ETC_FILE_SPEC, name, EtcFileSpec(contents="text"))
        view.add(ETC_FILE_STATUS, name, EtcFileStatusSpec(spec_version="1" if name == "hosts" else "0"))
    seen.append(status(view))
    view.add(ETC_FILE_STATUS, "resolv.conf", EtcFileStatusSpec(spec_version="1"))
    seen.append(status(view))
    assert [(s.address_ready, s.connectivity_ready, s.hostname_ready, s.etc_files_ready) for s in seen] == [
        (False, False, False, False),
        (True, False, False, False),
        (True, True, False, False),
        (True, True, True, False),
        (True, True, True, False),
        (True, True, True, True),
    ]


def test_a_network_that_is_the_hosts_is_ready_as_it_is() -> None:
    spec = status(PlainView(), managed=False)
    assert (spec.address_ready, spec.connectivity_ready, spec.hostname_ready) == (True, True, False)
