"""The text of the files by which the C library finds names: resolv.conf and hosts.

On the node /etc is read-only; ``/etc/resolv.conf`` and ``/etc/hosts`` are links to the files named here.
Formats: resolv.conf(5), hosts(5).
"""

from __future__ import annotations

from collections.abc import Iterable

RESOLV_CONF = "/system/etc/resolv.conf"
# For pods, which cannot ask on the node's loopback; given to the kubelet where the node has a DNS server of its own.
POD_RESOLV_CONF = "/system/etc/resolv-pods.conf"
HOSTS = "/system/etc/hosts"

MAX_SERVERS = 3  # MAXNS of the C library; it ignores more
MAX_SEARCH = 6  # kubelet warns of more, and the C library had this limit before 2.26


def render_resolv_conf(servers: Iterable[str], search: Iterable[str] = ()) -> str:
    """resolv.conf for these servers, in order of preference."""
    lines = [f"nameserver {server}" for server in list(servers)[:MAX_SERVERS]]
    domains = " ".join(list(search)[:MAX_SEARCH])
    if domains:
        lines.append(f"search {domains}")
    return "".join(f"{line}\n" for line in lines)


def render_hosts(
    hostname: str, domain: str = "", address: str = "", extra: Iterable[tuple[str, Iterable[str]]] = ()
) -> str:
    """hosts: this host under its own address if it has one, loopback, and what the configuration adds."""
    names = [f"{hostname}.{domain}", hostname] if domain else [hostname]
    entries: list[tuple[str, list[str]]] = [("127.0.0.1", ["localhost"])]
    if hostname:
        entries.append((address or "127.0.1.1", names))
    entries += [
        ("::1", ["localhost", "ip6-localhost", "ip6-loopback"]),
        ("ff02::1", ["ip6-allnodes"]),
        ("ff02::2", ["ip6-allrouters"]),
    ]
    entries += [(ip, list(aliases)) for ip, aliases in extra]
    return "".join(f"{ip} {' '.join(aliases)}\n" for ip, aliases in entries)
