"""Rules about documents of the network above the links (see `rules`)."""

from __future__ import annotations

from collections.abc import Iterator

from dozen.machinery.config.rules import Complaint, is_table


def check_rule_document(model: object) -> Iterator[Complaint]:
    """Rules of RoutingRuleConfig."""
    from dozen.machinery.config.documents.network import RoutingRuleConfig

    assert isinstance(model, RoutingRuleConfig)
    if not (model.name.isdecimal() and 0 < int(model.name) < 32766 and int(model.name) not in (32500, 32501)):
        yield "name", f'expected a priority from 1 to 32765 except 32500 and 32501, found "{model.name}"'
    if not is_table(model.table):
        yield "table", f'expected main, local, default or a number, found "{model.table}"'
    if model.src and model.dst and (":" in model.src) != (":" in model.dst):
        yield "dst", "is of another address family than src"
    if model.action not in (0, 1, 6, 7, 8):
        yield "action", f"expected 1 (look it up), 6 (blackhole), 7 (unreachable) or 8 (prohibit), found {model.action}"


def check_blackhole_document(model: object) -> Iterator[Complaint]:
    """Rules of BlackholeRouteConfig."""
    from dozen.machinery.config.documents.network import BlackholeRouteConfig
    from dozen.machinery.config.scalars import check_network

    assert isinstance(model, BlackholeRouteConfig)
    if words := check_network(model.name):
        yield "name", words


def check_virtual_document(model: object) -> Iterator[Complaint]:
    """Rules of Layer2VIPConfig."""
    from dozen.machinery.config.documents.network import Layer2VIPConfig
    from dozen.machinery.config.scalars import check_ip

    assert isinstance(model, Layer2VIPConfig)
    if words := check_ip(model.name):
        yield "name", words
    if not model.link:
        yield "link", "is required"


def check_lease_document(model: object) -> Iterator[Complaint]:
    """Rules of DHCPv4Config and DHCPv6Config."""
    from dozen.machinery.config.documents.network import DHCPv4Config, DHCPv6Config

    assert isinstance(model, DHCPv4Config | DHCPv6Config)
    digits = model.duid_raw.split(":")
    if model.duid_raw and not all(len(each) == 2 and _is_hexadecimal(each) for each in digits):
        yield "duidRaw", "expected bytes in hexadecimal with colons between them, like 00:03:00:01"
    elif model.duid_raw and not 3 <= len(digits) <= 130:  # RFC 8415, 11.1
        yield "duidRaw", f"expected 3 to 130 bytes, found {len(digits)}"
    elif model.duid_raw and model.client_identifier != "duid":
        yield "duidRaw", "is used only with clientIdentifier duid"


def _is_hexadecimal(text: str) -> bool:
    return not text.strip("0123456789abcdefABCDEF")


def check_firewall_document(model: object) -> Iterator[Complaint]:
    """Rules of NetworkRuleConfig."""
    from dozen.machinery.config.documents.network import NetworkRuleConfig

    assert isinstance(model, NetworkRuleConfig)
    if model.port_selector is None:
        yield "portSelector", "is required: which ports the rule is about"
        return
    for at, port in enumerate(model.port_selector.ports):
        low, dash, high = str(port).partition("-")
        numbers = [low, high] if dash else [low]
        if not all(each.isdecimal() and 0 < int(each) < 65536 for each in numbers) or int(numbers[0]) > int(
            numbers[-1]
        ):
            yield f"portSelector.ports[{at}]", f'expected a port or a range like 1000-2000, found "{port}"'
    if not model.ingress:
        yield "ingress", "is required: from where the ports may be reached"
    for at, each in enumerate(model.ingress):
        if not each.subnet:
            yield f"ingress[{at}].subnet", "is required"
