"""Decides on which links DHCP runs: where the configuration says so, and on physical links that it does not mention.

A member of a bond, bridge or VRF is mentioned.
"""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.operator import DHCP4, OPERATOR_SPEC, ClientIdentifier, DHCP4Operator, OperatorSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, LinkSettings
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
            if entry is not None and (entry.ignore or not entry.dhcp):
                continue
            metric = (entry.dhcp_metric if entry else 0) or ROUTE_METRIC
            yield Put(
                OPERATOR_SPEC,
                f"{DHCP4}/{link.id}",
                OperatorSpec(
                    link_name=link.id,
                    dhcp4=_options(entry or LinkSettings(), metric),
                    layer="configuration" if entry else "default",
                ),
            )


def _options(entry: LinkSettings, metric: int) -> DHCP4Operator:
    identifier = None
    if entry.dhcp_identifier != "mac":
        identifier = ClientIdentifier(
            client_identifier=entry.dhcp_identifier, duid_raw_hex=entry.dhcp_duid.replace(":", "").lower()
        )
    return DHCP4Operator(
        route_metric=metric,
        skip_hostname_request=entry.dhcp_ignore_hostname,
        client_identifier=identifier,
        skip_routes=entry.dhcp_ignore_routes,
    )
