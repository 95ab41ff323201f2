"""Under which name and which addresses the node is in its cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dozen.machinery.addresses import address_of, contains
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, kubernetes, network
from dozen.machinery.resources.routing import NODE_ADDRESS_FILTER, NodeAddressFilterSpec
from dozen.node.configuration import complete

NODENAME, KUBELET = "nodename", "kubelet"
_ACTIVE = Input(config.MACHINE_CONFIG, config.ACTIVE)


class NodenameController:
    """Host name, configuration → Nodename."""

    name = "nodename"
    inputs = (_ACTIVE, Input(network.HOSTNAME_STATUS))
    outputs = (kubernetes.NODENAME,)

    def plan(self, view: View) -> Iterable[Step]:
        given, host = complete(view), view.get(network.HOSTNAME_STATUS, "hostname")
        if given is None or host is None or not host.spec.hostname:
            return
        from dozen.machinery.config import kubernetes_node

        node = kubernetes_node.node(given)
        said = kubernetes_node.kubelet(given).extra_args.get("hostname-override", ())
        name = host.spec.fqdn if node.register_with_fqdn else host.spec.hostname
        spec = kubernetes.NodenameSpec(
            # Names of nodes are in lower case (RFC 1123, as Kubernetes checks it).
            nodename=(said[-1] if said else name).lower(),
            hostname_version=str(host.metadata.version),
            skip_node_registration=node.skip_registration,
        )
        yield Put(kubernetes.NODENAME, NODENAME, spec)


class NodeIPController:
    """The machine's addresses, configuration → NodeIPConfig, NodeIP: one address for each of the cluster's families."""

    name = "node-ip"
    inputs = (_ACTIVE, Input(network.NODE_ADDRESS))
    outputs = (kubernetes.NODE_IP, kubernetes.NODE_IP_CONFIG)

    def plan(self, view: View) -> Iterable[Step]:
        given, current = complete(view), view.get(network.NODE_ADDRESS, "routed")
        if given is None:
            return
        from dozen.machinery.config import kubernetes as said
        from dozen.machinery.config import kubernetes_node

        nets, valid = said.network(given), kubernetes_node.node(given).valid_subnets
        settings = kubernetes.NodeIPConfigSpec(valid_subnets=tuple(valid), exclude_subnets=nets.inside)
        yield Put(kubernetes.NODE_IP_CONFIG, KUBELET, settings)
        fit = choose_addresses(current.spec.addresses if current is not None else (), valid, nets.inside)
        before = view.get(kubernetes.NODE_IP, KUBELET)
        had = before.spec.addresses if before is not None else ()
        # A network that is away for a moment must not take down what was built on the node's addresses.
        kept = [each for each in had if each in fit] if fit else list(had)
        families = list(dict.fromkeys(":" in subnet for subnet in nets.service_subnets))
        chosen = [next((each for each in (*kept, *fit) if (":" in each) is family), "") for family in families]
        if any(chosen):
            yield Put(kubernetes.NODE_IP, KUBELET, kubernetes.NodeIPSpec(addresses=tuple(filter(None, chosen))))


class NodeAddressFilterController:
    """Configuration → NodeAddressFilter: what is of the cluster's networks, and what is not."""

    name = "node-address-filters"
    inputs = (_ACTIVE,)
    outputs = (NODE_ADDRESS_FILTER,)

    def plan(self, view: View) -> Iterable[Step]:
        given = complete(view)
        if given is None:
            return
        from dozen.machinery.config import kubernetes as said

        subnets = said.network(given).inside
        yield Put(NODE_ADDRESS_FILTER, "no-k8s", NodeAddressFilterSpec(exclude_subnets=subnets))
        yield Put(NODE_ADDRESS_FILTER, "only-k8s", NodeAddressFilterSpec(include_subnets=subnets))


def choose_addresses(prefixes: Iterable[str], valid: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Bare addresses within one of ``valid`` (``!`` excludes; none means all) and within none of ``exclude``."""
    wanted = [each for each in valid if not each.startswith("!")]
    unwanted = [*exclude, *(each[1:] for each in valid if each.startswith("!"))]
    found = []
    for address in map(address_of, prefixes):
        if wanted and not any(contains(each, address) for each in wanted):
            continue
        if not any(contains(each, address) for each in unwanted) and address not in found:
            found.append(address)
    return found
