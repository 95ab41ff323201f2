"""Which proxy a request goes through, as the usual variables say: ``http_proxy``, ``https_proxy``, ``no_proxy``.

There is no standard for them. What holds here is what the programs of a cluster do (the documentation of Go's package
golang.org/x/net/http/httpproxy): names may be in capitals, those in small letters come first; ``no_proxy`` is a list
of ``*``, addresses, networks, and names, each with a port or without; a name stands for those below it too, and with a
dot in front for these alone; loopback addresses are never asked by way of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """Who passes requests on; ``authorization`` is the value of Proxy-Authorization, empty without credentials."""

    host: str
    port: int
    authorization: str = ""


def choose_proxy(url: str, variables: Mapping[str, str]) -> Proxy | None:
    """The proxy for a URL, None when it is asked directly. Raises ValueError for a proxy that cannot be used."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    said = _read(variables, f"{parts.scheme}_proxy") if parts.scheme in PORTS else ""
    if not said or not host or _is_excepted(host, port, _read(variables, "no_proxy")):
        return None
    proxy = urlsplit(said if "://" in said else f"http://{said}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise ValueError(
            f"{parts.scheme}_proxy: a proxy is spoken to by plain http, not as in {said.partition('@')[2] or said}"
        )
    return Proxy(proxy.hostname, proxy.port or 80, _authorization(proxy.username, proxy.password))


def _read(variables: Mapping[str, str], name: str) -> str:
    return (variables.get(name) or variables.get(name.upper()) or "").strip()


def _authorization(name: str | None, password: str | None) -> str:
    if not name:
        return ""
    import base64

    text = f"{unquote(name)}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    from dozen.machinery.config.scalars import address_bytes

    address = address_bytes(host)
    if host == "localhost" or (address is not None and _is_loopback(address)):
        return True
    return any(_fits(each.strip().lower(), host.lower(), port, address) for each in no_proxy.split(",") if each.strip())


def _is_loopback(address: bytes) -> bool:
    return address[0] == 127 if len(address) == 4 else address == b"\0" * 15 + b"\1"


def _fits(rule: str, host: str, port: int, address: bytes | None) -> bool:
    from dozen.machinery.config.scalars import address_bytes, network_bounds

    if rule == "*":
        return True
    if (bounds := network_bounds(rule)) is not None:
        number = int.from_bytes(address or b"", "big")
        return address is not None and len(address) == bounds[2] and bounds[0] <= number <= bounds[1]
    name, colon, wanted = rule.rpartition(":")
    if address_bytes(rule) is not None or not colon or not wanted.isdigit():
        name, wanted = rule, ""
    if wanted and int(wanted) != port:
        return False
    name = name.strip("[]")
    if address is not None:
        return address_bytes(name) == address
    name = name.removeprefix("*") if name.startswith("*.") else name
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")
