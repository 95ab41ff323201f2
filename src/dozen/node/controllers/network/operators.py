"""Decides on which links DHCP runs: where the configuration says so, and on physical links that it does not mention.

A member of a bond, bridge or VRF is mentioned. DHCPv6 runs only where it is asked for, as routers give addresses, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.operator import (
    DHCP4,
    DHCP6,
    OPERATOR_SPEC,
    ClientIdentifier,
    DHCP4Operator,
    DHCP6Operator,
    OperatorSpec,
)
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, DHCP6Settings, LinkSettings
from dozen.node.controllers.network.matching import LOOPBACK, called, find_members, is_physical, settings_by_link

ROUTE_METRIC = 1024  # above that of routes given by hand, so that those win


class OperatorController:
    """LinkStatus + NetworkSettings → OperatorSpec."""

    name = "network-operators"
    inputs = (Input(LINK_STATUS), Input(NETWORK_SETTINGS))
    outputs = (OPERATOR_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None:
            return  # not yet known
        links = tuple(called(settings.spec, view.list(LINK_STATUS)))
        entries = settings_by_link(settings.spec, links)
        members = find_members(entries, links)
        for link in links:
            entry = entries.get(link.id)
            if link.id == LOOPBACK or (entry is None and (link.id in members or not is_physical(link.spec))):
                continue
            if entry is not None and entry.ignore:
                continue
            layer = "configuration" if entry else "default"
            if entry is None or entry.dhcp:
                options = _options(entry or LinkSettings())
                spec = OperatorSpec(operator=DHCP4, link_name=link.id, dhcp4=options, layer=layer)
                yield Put(OPERATOR_SPEC, f"{DHCP4}/{link.id}", spec)
            if entry is not None and entry.dhcp6 is not None:
                spec = OperatorSpec(operator=DHCP6, link_name=link.id, dhcp6=_options6(entry.dhcp6), layer=layer)
                yield Put(OPERATOR_SPEC, f"{DHCP6}/{link.id}", spec)


def _options(entry: LinkSettings) -> DHCP4Operator:
    return DHCP4Operator(
        route_metric=entry.dhcp_metric or ROUTE_METRIC,
        skip_hostname_request=entry.dhcp_ignore_hostname,
        client_identifier=_identifier(entry.dhcp_identifier, entry.dhcp_duid),
        skip_routes=entry.dhcp_ignore_routes,
    )


def _options6(said: DHCP6Settings) -> DHCP6Operator:
    return DHCP6Operator(
        route_metric=said.metric or ROUTE_METRIC,
        skip_hostname_request=said.ignore_hostname,
        client_identifier=_identifier(said.identifier, said.duid),
    )


def _identifier(kind: str, duid: str) -> ClientIdentifier | None:
    """None for the default, the hardware address."""
    if kind == "mac":
        return None
    return ClientIdentifier(client_identifier=kind, duid_raw_hex=duid.replace(":", "").lower())
