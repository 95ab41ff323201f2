"""What a configuration says of the host around Kubernetes: variables of services, files, and whom to trust.

Much of it can be said in two ways (see `effective`); these functions answer for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dozen.machinery.config.effective import find_document, find_documents

if TYPE_CHECKING:
    from dozen.machinery.config.loading import Config

CREATE, OVERWRITE, APPEND = "create", "overwrite", "append"
# Where OpenSSL and Go look for authorities (`recipes/ca-certificates`).
TRUST_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# A part of containerd's configuration, which files in the field have here.
RUNTIME_PARTS = "/etc/cri/conf.d/"
LEGACY_PART = "20-customization.part"
# Where the kubelet looks for profiles that pods name (its own folder, and ``seccomp`` in it).
SECCOMP = "/var/lib/kubelet/seccomp/profiles/"
# Files and folders below /etc that are not the configuration's to write, and what to do instead.
OWN_FILES = {
    "hosts": "is written by the node: say it with StaticHostConfig",
    "resolv.conf": "is written by the node: say it with ResolverConfig",
    "machine-id": "is the machine's identity",
    "mtab": "is a view of the kernel's",
    "os-release": "says what this system is",
    "passwd": "is the image's: the node has no users",
    "group": "is the image's: the node has no users",
    "nsswitch.conf": "is the image's: nothing else is loaded for looking up names",
    "ld.so.preload": "would load foreign code into the node's own programs",
    "ld.so.conf": "would load foreign code into the node's own programs",
    "ld.so.conf.d": "would load foreign code into the node's own programs",
    "ld.so.cache": "would load foreign code into the node's own programs",
    "cni": "is a place of the data volume: the cluster's network writes it",
    "kubernetes": "is a place that the node writes",
    "containerd": "is written by the node: say it with CRICustomizationConfig",
    "ssl/certs/ca-certificates.crt": "is written by the node: say it with TrustedRootsConfig",
}


class HostFile(NamedTuple):
    """A file that is to be there. ``operation``: a file to be overwritten or appended to has to be there."""

    path: str
    content: str
    mode: int
    operation: str


class HostDns(NamedTuple):
    """Whether the node answers questions for names itself, and for whom."""

    enabled: bool = False
    forward_kube_dns: bool = False
    resolve_members: bool = False


def is_variable_name(name: str) -> bool:
    return bool(name) and name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()


def is_own_variable(name: str) -> bool:
    """Whether the node decides about a variable: where programs are, and what is loaded into them (ld.so(8))."""
    return name in ("PATH", "GLIBC_TUNABLES") or name.startswith(("LD_", "PYTHON"))


def variables(config: Config) -> dict[str, str]:
    """Variables for the environment of services; what the node decides about is left out."""
    from dozen.machinery.config.effective import environment

    return {name: value for name, value in environment(config).items() if not is_own_variable(name)}


def trusted_roots(config: Config) -> str:
    """PEM of the authorities that are trusted beside the image's, empty without any."""
    texts = [each.certificates.strip() for each in find_documents(config, "TrustedRootsConfig")]
    return "".join(f"{text}\n" for text in texts if text)


def host_files(config: Config) -> tuple[HostFile, ...]:
    """Files to be written, one for each path: what is to be appended to another one of these is joined to it."""
    said = [
        HostFile(each.path, each.content, int(each.permissions), each.op)
        for each in (config.machine.files if config.machine else ())
    ]
    said += [
        HostFile(f"/etc/{each.name}", each.contents, int(each.mode), CREATE)
        for each in find_documents(config, "EtcFileConfig")
    ]
    found: dict[str, HostFile] = {}
    for file in said:
        before = found.get(file.path)
        if before is not None and file.operation == APPEND:
            file = before._replace(content=before.content + file.content)
        found[file.path] = file
    for name, profile in seccomp_profiles(config).items():
        import msgspec

        text = msgspec.json.encode(profile).decode()
        found[f"{SECCOMP}{name}"] = HostFile(f"{SECCOMP}{name}", text, 0o644, CREATE)
    if roots := trusted_roots(config):
        found[TRUST_BUNDLE] = HostFile(TRUST_BUNDLE, roots, 0o644, APPEND)
    return tuple(found.values())


def reason_against(path: str) -> str:
    """Why a file is not the configuration's to write, empty when it is."""
    if path.startswith("/var/"):
        return ""
    if not path.startswith("/etc/"):
        return "is neither below /var nor below /etc: all else is the image's, or the kernel's"
    name = path.removeprefix("/etc/")
    while name:
        if name in OWN_FILES:
            return OWN_FILES[name]
        name = name.rpartition("/")[0]
    return ""


def runtime_parts(config: Config) -> dict[str, str]:
    """Parts of containerd's configuration (TOML) by name, in the order in which they are laid over the node's own."""
    parts = {
        file.path.removeprefix(RUNTIME_PARTS): file.content
        for file in (config.machine.files if config.machine else ())
        if file.path.startswith(RUNTIME_PARTS)
    }
    # The name that files in the field have here goes with the documents' names.
    if LEGACY_PART in parts:
        parts["customization"] = parts.pop(LEGACY_PART)
    parts |= {each.name: each.content for each in find_documents(config, "CRICustomizationConfig")}
    return dict(sorted(parts.items()))


def base_runtime_spec(config: Config) -> dict[str, Any]:
    """What containers of pods are to be given otherwise than containerd would."""
    document = find_document(config, "CRIBaseRuntimeSpecConfig")
    said = document.overrides if document else (config.machine.base_runtime_spec_overrides if config.machine else None)
    return dict(said) if isinstance(said, Mapping) else {}


def seccomp_profiles(config: Config) -> dict[str, dict[str, Any]]:
    """Profiles by name."""
    profiles = config.machine.seccomp_profiles if config.machine else ()
    return {each.name: dict(each.value) if isinstance(each.value, Mapping) else {} for each in profiles}


def host_dns(config: Config) -> HostDns:
    document = find_document(config, "ResolverConfig")
    said = (document.host_dns if document else None) or (config.machine.features.host_dns if config.machine else None)
    if said is None or not said.enabled:
        return HostDns()
    return HostDns(True, bool(said.forward_kube_dns_to_host), bool(said.resolve_member_names))
