"""Which time servers to ask: those of the configuration, else those that DHCP names, else the default."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources.network import (
    TIME_SERVER_SPEC,
    TIME_SERVER_STATUS,
    TimeServerSpec,
    TimeServerStatusSpec,
)
from dozen.machinery.resources.operator import DHCP_LEASE
from dozen.machinery.resources.settings import DEFAULT_TIME_SERVERS, TIME, TIME_SETTINGS

TIME_SERVERS = "timeservers"


class TimeServerController:
    """TimeSettings + DHCPLease → TimeServerSpec → TimeServerStatus."""

    name = "network-time-servers"
    inputs = (Input(TIME_SETTINGS), Input(DHCP_LEASE))
    outputs = (TIME_SERVER_SPEC, TIME_SERVER_STATUS)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(TIME_SETTINGS, TIME)
        if settings is None:
            return  # not yet known
        leased = dict.fromkeys(server for lease in view.list(DHCP_LEASE) for server in lease.spec.time_servers)
        if settings.spec.servers:
            servers, layer = settings.spec.servers, "configuration"
        elif leased:
            servers, layer = tuple(leased), "operator"
        else:
            servers, layer = DEFAULT_TIME_SERVERS, "default"
        yield Put(TIME_SERVER_SPEC, TIME_SERVERS, TimeServerSpec(time_servers=servers, layer=layer))
        yield Put(TIME_SERVER_STATUS, TIME_SERVERS, TimeServerStatusSpec(time_servers=servers))
