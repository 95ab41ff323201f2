"""Which member this node is: its name, where others reach it, where it listens."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, etcd, network
from dozen.machinery.subnets import choose
from dozen.node.configuration import control_plane

LOOPBACK = "127.0.0.1"


class EtcdConfigController:
    """MachineConfig → EtcdConfig, on a control plane."""

    name = "etcd-config"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (etcd.ETCD_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        given = control_plane(view)
        if given is None:
            return
        from dozen.machinery.config import kubernetes, kubernetes_node

        wanted, inside = kubernetes_node.etcd(given), kubernetes.network(given).inside
        yield Put(
            etcd.ETCD_CONFIG,
            etcd.ID,
            etcd.EtcdConfigSpec(
                advertise_valid_subnets=wanted.advertised_subnets,
                advertise_exclude_subnets=inside,
                listen_valid_subnets=wanted.listen_subnets,
                listen_exclude_subnets=inside,
                image=wanted.image,
                extra_args={name: etcd.ArgumentValues(values=values) for name, values in wanted.extra_args.items()},
            ),
        )


class EtcdSpecController:
    """EtcdConfig, hostname, addresses → EtcdSpec.

    Without subnets in the configuration one address is advertised, the node's default one, which stays the same for
    as long as the node has it: members are known by their addresses.
    """

    name = "etcd-spec"
    inputs = (
        Input(etcd.ETCD_CONFIG, etcd.ID),
        Input(network.HOSTNAME_STATUS, "hostname"),
        Input(network.NODE_ADDRESS),
    )
    outputs = (etcd.ETCD_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        wanted = view.get(etcd.ETCD_CONFIG, etcd.ID)
        hostname = view.get(network.HOSTNAME_STATUS, "hostname")
        routed = view.get(network.NODE_ADDRESS, "routed")
        if wanted is None or hostname is None or routed is None:
            return
        spec = wanted.spec
        default = view.get(network.NODE_ADDRESS, "default")
        addresses = (*(default.spec.addresses if default else ()), *routed.spec.addresses)
        advertised = choose(addresses, spec.advertise_valid_subnets, spec.advertise_exclude_subnets)
        if not spec.advertise_valid_subnets:
            advertised = advertised[:1]
        if not advertised:
            return
        peers, clients = _listen(spec, addresses)
        yield Put(
            etcd.ETCD_SPEC,
            etcd.ID,
            etcd.EtcdSpec(
                name=hostname.spec.hostname,
                advertised_addresses=advertised,
                listen_peer_addresses=peers,
                listen_client_addresses=clients,
                image=spec.image,
                extra_args=spec.extra_args,
            ),
        )


def _listen(spec: etcd.EtcdConfigSpec, addresses: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where to listen for members and for clients: on all addresses unless the configuration chooses some.

    The API server of this node always finds etcd on the loopback.
    """
    if not spec.listen_valid_subnets:
        everywhere = ("::",) if any(":" in address for address in addresses) else ("0.0.0.0",)
        return everywhere, everywhere
    chosen = choose(addresses, spec.listen_valid_subnets, spec.listen_exclude_subnets)
    return chosen, tuple(dict.fromkeys((*chosen, LOOPBACK)))
