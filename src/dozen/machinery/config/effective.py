"""What a configuration means for one subject, whichever of its forms said it.

Much can be said in two places: in the v1alpha1 document, as files have done for years, or in a document of its own.
What asks for sysctls or name servers should not care. These functions answer; where both forms add up (maps, lists)
the document wins over the older field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dozen.machinery.config.loading import Config
from dozen.machinery.config.scalars import Duration

if TYPE_CHECKING:
    from dozen.machinery.pki import Keypair


Modules = tuple[tuple[str, tuple[str, ...]], ...]
"""Kernel modules to load: name and parameters."""


class TimeSync(msgspec.Struct, frozen=True, array_like=True):
    """Whether and with whom to keep time; no servers means the default ones."""

    enabled: bool = True
    servers: tuple[str, ...] = ()
    boot_timeout: Duration | None = None


def hostname(config: Config) -> str:
    """The static host name, empty when it is to come from elsewhere."""
    document = find_document(config, "HostnameConfig")
    said: str = document.hostname if document else ""
    return said or (config.machine.network.hostname if config.machine else "")


def waits_for_hostname(config: Config) -> bool:
    """Whether the node is to make up no name for itself where nobody gives it one."""
    document = find_document(config, "HostnameConfig")
    return bool(document and document.auto == "off")


def sysctls(config: Config) -> dict[str, str]:
    document = find_document(config, "SysctlConfig")
    return {**(config.machine.sysctls if config.machine else {}), **(document.params if document else {})}


def sysfs(config: Config) -> dict[str, str]:
    document = find_document(config, "SysfsConfig")
    return {**(config.machine.sysfs if config.machine else {}), **(document.params if document else {})}


def environment(config: Config) -> dict[str, str]:
    document = find_document(config, "EnvironmentConfig")
    return {**(config.machine.env if config.machine else {}), **(document.variables if document else {})}


def kernel_modules(config: Config) -> Modules:
    found = {each.name: each.parameters for each in (config.machine.kernel.modules if config.machine else ())}
    for part in config.parts:
        if part.kind == "KernelModuleConfig":
            found[part.name] = getattr(part.model, "parameters", ())
    return tuple(found.items())


def udev_rules(config: Config) -> tuple[str, ...]:
    document = find_document(config, "UdevRulesConfig")
    return (*(config.machine.udev.rules if config.machine else ()), *(document.rules if document else ()))


def nameservers(config: Config) -> tuple[str, ...]:
    document = find_document(config, "ResolverConfig")
    if document and document.nameservers:
        return tuple(each.address for each in document.nameservers)
    return config.machine.network.nameservers if config.machine else ()


def search_domains(config: Config) -> tuple[str, ...]:
    document = find_document(config, "ResolverConfig")
    if document and document.search_domains:
        domains: tuple[str, ...] = document.search_domains.domains
        return domains
    return config.machine.network.search_domains if config.machine else ()


def searches_none(config: Config) -> bool:
    """Whether no domain is to be searched that nobody named: from DHCP, or the host's own."""
    document = find_document(config, "ResolverConfig")
    if document and document.search_domains:
        return bool(document.search_domains.disable_default)
    return bool(config.machine and config.machine.network.disable_search_domain)


def extra_hosts(config: Config) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(address, names) pairs for the hosts file."""
    entries = config.machine.network.extra_host_entries if config.machine else ()
    documents = [
        (part.name, getattr(part.model, "hostnames", ())) for part in config.parts if part.kind == "StaticHostConfig"
    ]
    return (*((entry.ip, entry.aliases) for entry in entries), *documents)


def time_sync(config: Config) -> TimeSync:
    document = find_document(config, "TimeSyncConfig")
    if document:
        servers = document.ntp.servers if document.ntp else ()
        return TimeSync(document.enabled is not False, servers, document.boot_timeout)
    if not config.machine:
        return TimeSync()
    said = config.machine.time
    return TimeSync(not said.disabled, said.servers, said.boot_timeout)


def issuing_ca(config: Config) -> Keypair | None:
    """The OS authority with its key: there on a control plane only."""
    from dozen.machinery.pki import Keypair

    ca = config.machine.ca if config.machine else None
    return Keypair(ca.crt, ca.key.reveal()) if ca and ca.crt and ca.key else None


def accepted_cas(config: Config) -> tuple[str, ...]:
    """PEM of every OS authority whose certificates are accepted."""
    if not config.machine:
        return ()
    found = (config.machine.ca.crt, *(each.crt for each in config.machine.accepted_cas))
    return tuple(dict.fromkeys(pem for pem in found if pem))


def cluster_name(config: Config) -> str:
    document = find_document(config, "KubeClusterConfig")
    return (document.cluster_name if document else "") or (config.cluster.cluster_name if config.cluster else "")


def cluster_endpoint(config: Config) -> str:
    document = find_document(config, "KubeClusterConfig")
    return (document.endpoint if document else "") or (config.cluster.control_plane.endpoint if config.cluster else "")


def find_document(config: Config, kind: str) -> Any:
    """The document of a kind, found without importing its model when it is not there."""
    return next((part.model for part in config.parts if part.kind == kind), None)


def find_documents(config: Config, kind: str) -> list[Any]:
    """All documents of a kind that may be there more than once."""
    return [part.model for part in config.parts if part.kind == kind]
