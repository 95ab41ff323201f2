"""Rules about Kubernetes: what its programs would refuse hours later is refused here, with a path and a line.

A configuration without a Kubernetes authority is one of a machine that is not to run Kubernetes (yet); with one,
everything that the machine's part in the cluster needs has to be there. Syntax of names, labels and taints is that of
Kubernetes' documentation ("Object Names and IDs", "Labels and Selectors", "Taints and Tolerations").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dozen.machinery.config.cluster import Cluster
    from dozen.machinery.config.loading import Config

Complaint = tuple[str, str]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
NAME_LENGTH, PREFIX_LENGTH = 63, 253


def check_cluster(config: Config) -> Iterator[Complaint]:
    """Rules of the v1alpha1 document."""
    assert config.cluster is not None
    assert config.machine is not None
    yield from _authorities(config, config.cluster)
    yield from _families(config.cluster)
    yield from _manifests(config.cluster)
    yield from _volumes(config.cluster)
    yield from _access(config)
    for field, values in (
        ("nodeLabels", config.machine.node_labels),
        ("nodeAnnotations", config.machine.node_annotations),
    ):
        for key, value in values.items():
            complaint = check_key(key) or ("" if field == "nodeAnnotations" else check_value(value))
            if complaint:
                yield f'machine.{field}["{key}"]', complaint
    for key, value in config.machine.node_taints.items():
        if complaint := check_key(key) or check_taint(value):
            yield f'machine.nodeTaints["{key}"]', complaint


def check_node_document(model: object) -> Iterator[Complaint]:
    """Rules of KubeNodeConfig."""
    said: Any = model
    for field, values, check in (
        ("labels", said.labels, check_value),
        ("annotations", said.annotations, lambda _: ""),
        ("taints", said.taints, check_taint),
    ):
        for key, value in values.items():
            if complaint := check_key(key) or check(value):
                yield f'{field}["{key}"]', complaint


def check_network_document(model: object) -> Iterator[Complaint]:
    """Rules of KubeNetworkConfig."""
    said: Any = model
    for field, words in _of_families(said.pod_subnets, said.service_subnets):
        yield {"pods": "podSubnets", "services": "serviceSubnets"}[field], words


def check_access_document(model: object) -> Iterator[Complaint]:
    """Rules of KubeTalosAPIAccessConfig."""
    said: Any = model
    yield from _roles("allowedRoles", said.allowed_roles)


def _access(config: Config) -> Iterator[Complaint]:
    """Who of the cluster's workloads may use the machine API."""
    assert config.machine is not None
    said = config.machine.features.kubernetes_talos_api_access
    if said is None or not said.enabled:
        return
    path = "machine.features.kubernetesTalosAPIAccess"
    if config.machine_type == "worker":
        yield f"{path}.enabled", "only a control plane can give access to the machine API; leave it out on workers"
    yield from _roles(f"{path}.allowedRoles", said.allowed_roles)


def _roles(path: str, roles: Iterable[str]) -> Iterator[Complaint]:
    from dozen.machinery.roles import Role

    # whoever may speak for others may be anybody: that is for apid alone
    known = [role.value for role in Role if role is not Role.IMPERSONATOR]
    for at, role in enumerate(roles):
        if role not in known:
            yield f"{path}[{at}]", f'expected one of {", ".join(known)}, found "{role}"'


def _authorities(config: Config, cluster: Cluster) -> Iterator[Complaint]:
    """A control plane signs for the cluster; a worker must not be able to."""
    if not cluster.ca.crt:
        return
    if not cluster.token:
        yield "cluster.token", "is required with cluster.ca: kubelets of new machines ask for certificates with it"
    if config.machine_type == "worker":
        if cluster.ca.key:
            yield "cluster.ca.key", "does not belong on a worker: whoever has it can become anybody in the cluster"
        return
    yield from _signing(cluster, {part.kind for part in config.parts})


def _signing(cluster: Cluster, kinds: set[str]) -> Iterator[Complaint]:
    """What a control plane needs to sign; a document of its own may hold each."""
    pairs = (
        ("cluster.ca", cluster.ca, "KubeAPIServerCAConfig"),
        ("cluster.aggregatorCA", cluster.aggregator_ca, "KubeAggregatorCAConfig"),
        ("cluster.etcd.ca", cluster.etcd.ca, ""),
    )
    needed = [
        (f"{path}.{name}", value)
        for path, pair, document in pairs
        for name, value in (("crt", pair.crt), ("key", pair.key))
        if document not in kinds
    ]
    if "KubeServiceAccountConfig" not in kinds:
        needed.append(("cluster.serviceAccount.key", cluster.service_account.key))
    for path, value in needed:
        if not value:
            yield path, "is required on a control plane with cluster.ca"
    for path, pair, _ in pairs:
        yield from _certificate(f"{path}.crt", pair.crt)
    for at, accepted in enumerate(cluster.accepted_cas):
        yield from _certificate(f"cluster.acceptedCAs[{at}].crt", accepted.crt)


def _certificate(path: str, pem: str) -> Iterator[Complaint]:
    from dozen.machinery.pki import PkiError, certificate

    if not pem:
        return
    try:
        if not certificate(pem).is_ca:
            yield path, "is not a CA certificate"
    except PkiError as error:
        yield path, str(error)


def _families(cluster: Cluster) -> Iterator[Complaint]:
    network = cluster.network
    names = {"pods": "cluster.network.podSubnets", "services": "cluster.network.serviceSubnets"}
    for field, words in _of_families(network.pod_subnets, network.service_subnets):
        yield names[field], words


def _of_families(pods: Iterable[str], services: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Kubernetes takes one subnet, or one of each family, and both lists in the same order."""
    families = {name: [":" in each for each in subnets] for name, subnets in (("pods", pods), ("services", services))}
    for name, found in families.items():
        if len(found) > len(set(found)):
            yield name, "may hold one IPv4 and one IPv6 subnet, not two of a kind"
            return
    if all(families.values()) and families["pods"] != families["services"]:
        yield "services", "needs the same IP families in the same order as the subnets of pods"


def _manifests(cluster: Cluster) -> Iterator[Complaint]:
    seen = Counter(each.name for each in cluster.inline_manifests)
    for at, each in enumerate(cluster.inline_manifests):
        if seen[each.name] > 1:
            yield f"cluster.inlineManifests[{at}].name", f'"{each.name}" is there more than once'
    plugins = Counter(each.name for each in cluster.api_server.admission_control)
    for at, plugin in enumerate(cluster.api_server.admission_control):
        if plugins[plugin.name] > 1:
            yield f"cluster.apiServer.admissionControl[{at}].name", f'"{plugin.name}" is there more than once'


def _volumes(cluster: Cluster) -> Iterator[Complaint]:
    for name, part in (
        ("apiServer", cluster.api_server),
        ("controllerManager", cluster.controller_manager),
        ("scheduler", cluster.scheduler),
    ):
        for at, volume in enumerate(part.extra_volumes):
            for field, path in (("hostPath", volume.host_path), ("mountPath", volume.mount_path)):
                if not path.startswith("/"):
                    yield f"cluster.{name}.extraVolumes[{at}].{field}", f'expected an absolute path, found "{path}"'


def check_key(key: str) -> str:
    """A key of a label, an annotation or a taint: a name, before it perhaps a DNS name and a slash."""
    from dozen.machinery.config.scalars import check_hostname

    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > PREFIX_LENGTH or check_hostname(prefix) is not None):
        return f'expected a DNS name before the slash, found "{prefix}"'
    if not name or not _is_name(name):
        return f'expected a key of at most {NAME_LENGTH} letters, digits, "-", "_" and ".", found "{name}"'
    return ""


def check_value(value: str) -> str:
    if value and not _is_name(value):
        return f'expected at most {NAME_LENGTH} letters, digits, "-", "_" and ".", found "{value}"'
    return ""


def check_taint(text: str) -> str:
    """``value:Effect``, ``:Effect`` or ``Effect``."""
    value, _, effect = text.rpartition(":")
    if effect not in EFFECTS:
        return f'expected one of {", ".join(EFFECTS)}, perhaps behind a value and a colon, found "{text}"'
    return check_value(value)


def _is_name(text: str) -> bool:
    inner = text.replace("-", "a").replace("_", "a").replace(".", "a")
    return len(text) <= NAME_LENGTH and LETTERS.issuperset(inner) and text[0] in LETTERS and text[-1] in LETTERS
