"""The network of a node: what is observed, what is wanted, and the plans that bring the two together.

From the bottom up: `observe` publishes what the kernel has; `links` brings links up, and makes those that are made of
software (`logical`, `tunnels`); `operators`, `dhcp` and `dhcp6` obtain leases; `addresses` and `routes` merge
configuration and leases and make the kernel agree; `names` does the same for the host's name and resolvers; `summary`
says what it amounts to.

A machine that is a container has its links, addresses and routes from its host: there everything is published, and
names are set, but nothing else is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.engine.store import Store
    from dozen.machinery.plan import Controller


def network_controllers(managed: bool = True) -> Iterator[Controller]:
    """Everything that plans; ``managed`` is False where the host does the network."""
    from dozen.node.controllers.network import addresses, links, names, operators, routes, summary, timeservers

    if managed:
        yield links.LinkSpecController()
        yield links.LinkController()
        yield operators.OperatorController()
        yield addresses.AddressSpecController()
        yield addresses.AddressController()
        yield routes.RouteSpecController()
        yield routes.RouteController()
    yield names.HostnameSpecController()
    yield names.HostnameController()
    yield names.ResolverController()
    yield names.NameFilesController()
    yield names.EtcFileController()
    yield timeservers.TimeServerController()
    yield summary.NodeAddressController()
    yield summary.HardwareAddressController()
    yield summary.NetworkStatusController(managed)


def later_controllers() -> Iterator[Controller]:
    """What plans too, and may wait until the node answers."""
    from dozen.node.controllers.network import aliases, ethernet, firewall, rules, tunnels

    yield tunnels.TunnelController()
    yield rules.RoutingRuleSpecController()
    yield rules.RoutingRuleController()
    yield firewall.FirewallChainController()
    yield firewall.FirewallController()
    yield aliases.LinkAliasSpecController()
    yield aliases.LinkAliasController()
    yield ethernet.EthernetSpecController()
    yield ethernet.EthernetController()


def network_watchers(store: Store, log: logging.Logger, managed: bool = True) -> Iterator[Watcher]:
    """Everything that observes."""
    from dozen.node.controllers.network import observe

    yield observe.NetworkWatcher()
    if managed:
        from dozen.node.controllers.network import dhcp

        yield dhcp.DHCPOperator(store, log)
