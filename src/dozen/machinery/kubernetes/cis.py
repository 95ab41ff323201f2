"""The CIS Kubernetes Benchmark as data: what it asks of a node, and what counts as evidence that it is so.

Numbers are those of the benchmark's recommendations (version 1.10), the words are ours. A rule looks at one piece of
evidence that was read from the running node: a program's command line, a configuration file, modes and owners, or what
it listens on. Rules that somebody has to judge (policies, networks, tenants) are listed with what to look at
(`dozen.machinery.kubernetes.cis_manual`). Left out are those about files that this system does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from dozen.machinery.kubernetes import paths
from dozen.machinery.kubernetes.cis_manual import ENDED_PODS, EXTERNAL_IPS, MANUAL, OWN_CERTIFICATE
from dozen.machinery.kubernetes.files import OPEN_PATHS

ETCD, KUBELET, PROXY = "etcd", "kubelet", "kube-proxy"
# Where kube-proxy serves its metrics, which nobody is asked for an identity for.
PROXY_METRICS_PORT = 10249
LOOPBACK = frozenset(("127.0.0.1", "::1"))
# What the benchmark takes for encryption, and secretbox, which Kubernetes names beside them.
STRONG_PROVIDERS = frozenset(("aescbc", "aesgcm", "kms", "secretbox"))
ETCD_DATA, ETCD_SECRETS = "/var/lib/etcd", "/system/secrets/etcd"
NODE_FILES = "/system/etc/kubernetes"
KUBELET_FILE = paths.on_node(paths.KUBELET_CONFIG)


class Outcome(StrEnum):
    """What a rule comes to. A program that does not run on the node makes its rules not applicable; what no evidence
    settles is for a person to judge."""

    PASS = "PASS"
    FAIL = "FAIL"
    NOT_APPLICABLE = "N/A"
    MANUAL = "MANUAL"


class File(NamedTuple):
    """Mode bits and owner of a file of the node."""

    path: str
    mode: int
    uid: int
    gid: int


class Evidence(NamedTuple):
    """What was read from a node: flags of each program that runs; by path, configuration files as data and modes; by
    port, addresses that something listens on."""

    flags: Mapping[str, Mapping[str, tuple[str, ...]]]
    documents: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, File]
    listening: Mapping[int, tuple[str, ...]] = {}


class Finding(NamedTuple):
    """The outcome of a rule, and the evidence in a few words."""

    id: str
    title: str
    outcome: Outcome
    evidence: str


Answer = tuple[Outcome, str]


class Rule(NamedTuple):
    """``judge`` looks at the evidence."""

    id: str
    title: str
    judge: Callable[[Evidence], Answer]


def audit(evidence: Evidence) -> Iterator[Finding]:
    """Every rule's finding, in the benchmark's order."""
    manual = [Finding(id, title, Outcome.MANUAL, look) for id, title, look in MANUAL]
    judged = [Finding(rule.id, rule.title, *rule.judge(evidence)) for rule in RULES]
    yield from sorted(judged + manual, key=lambda each: [int(part) for part in each.id.split(".")])


def read_flags(command_line: str) -> dict[str, tuple[str, ...]]:
    """The flags of a program's command line; one without a value is ``true``."""
    found: dict[str, tuple[str, ...]] = {}
    for word in command_line.split()[1:]:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[name] = (*found.get(name, ()), value if equals else "true")
    return found


# -- Kinds of rules.


def _judged(good: bool, words: str) -> Answer:
    return (Outcome.PASS if good else Outcome.FAIL), words


def _flag(program: str, name: str, good: Callable[[str | None], bool]) -> Callable[[Evidence], Answer]:
    """Looks at a flag's value; None when it is not given."""

    def judge(evidence: Evidence) -> Answer:
        flags = evidence.flags.get(program)
        if flags is None:
            return Outcome.NOT_APPLICABLE, f"{program} does not run here"
        values = flags.get(name)
        value = ",".join(values) if values is not None else None
        return _judged(good(value), f"{program} --{name}={value}" if value is not None else f"{program}: no --{name}")

    return judge


def _if_not(judge: Callable[[Evidence], Answer], look: str) -> Callable[[Evidence], Answer]:
    """What is good when it is so, and otherwise for a person to judge, who is told what to think of."""

    def ask(evidence: Evidence) -> Answer:
        outcome, words = judge(evidence)
        return (Outcome.MANUAL, f"{words}: {look}") if outcome is Outcome.FAIL else (outcome, words)

    return ask


def _is(value: str) -> Callable[[str | None], bool]:
    return lambda given: given == value


def _absent_or(value: str) -> Callable[[str | None], bool]:
    return lambda given: given in (None, value)


def _present(given: str | None) -> bool:
    return bool(given)


def _absent(given: str | None) -> bool:
    return given is None


def _has(*words: str) -> Callable[[str | None], bool]:
    return lambda given: given is not None and set(words) <= set(given.split(","))


def _lacks(*words: str) -> Callable[[str | None], bool]:
    return lambda given: given is None or set(words).isdisjoint(given.split(","))


def _at_least(number: int) -> Callable[[str | None], bool]:
    return lambda given: given is not None and given.isdigit() and int(given) >= number


def _strong_ciphers(given: str | None) -> bool:
    return given is not None and all("_GCM_" in each or "CHACHA20" in each for each in given.split(","))


def _setting(path: str, good: Callable[[Any], bool]) -> Callable[[Evidence], Answer]:
    """Looks at a value of the kubelet's file."""

    def judge(evidence: Evidence) -> Answer:
        if KUBELET_FILE not in evidence.documents:
            return Outcome.NOT_APPLICABLE, "the kubelet has no configuration here"
        value: Any = evidence.documents[KUBELET_FILE]
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return _judged(good(value), f"kubelet.yaml {path}: {value}")

    return judge


def _files(chosen: Callable[[str], bool], most: int, owners: Iterable[int] = (0,)) -> Callable[[Evidence], Answer]:
    """Files whose mode has no bit beyond ``most`` and whose owner is one of these."""
    allowed = frozenset(owners)

    def judge(evidence: Evidence) -> Answer:
        found = [file for path, file in sorted(evidence.files.items()) if chosen(path)]
        if not found:
            return Outcome.NOT_APPLICABLE, "there are no such files here"
        bad = [file for file in found if file.mode & ~most or file.uid not in allowed]
        shown = bad or found
        words = ", ".join(f"{file.path} {file.mode:03o} uid {file.uid}" for file in shown[:3])
        return _judged(not bad, words + (f" and {len(shown) - 3} more" if len(shown) > 3 else ""))

    return judge


def _below(*folders: str, ending: str = "") -> Callable[[str], bool]:
    return lambda path: any(path.startswith(f"{folder}/") for folder in folders) and path.endswith(ending)


def _named(*names: str) -> Callable[[str], bool]:
    return lambda path: path in names


def _nobody_unknown(evidence: Evidence) -> Answer:
    """Without an identity nothing can be asked but whether the server is alive."""
    found = evidence.documents.get(paths.AUTHENTICATION)
    if found is None:
        return Outcome.NOT_APPLICABLE, f"{paths.APISERVER} does not run here"
    anonymous = found.get("anonymous") or {}
    allowed = [str(each.get("path")) for each in anonymous.get("conditions") or ()]
    good = anonymous.get("enabled") is False or (bool(allowed) and set(allowed) <= set(OPEN_PATHS))
    shown = ", ".join(allowed) or ("everything" if anonymous.get("enabled", True) else "nothing")
    return _judged(good, f"open without an identity: {shown}")


def _authorizer(*types: str, without: str = "") -> Callable[[Evidence], Answer]:
    """The API server's authorizers have these among them, and not ``without``."""

    def judge(evidence: Evidence) -> Answer:
        found = evidence.documents.get(paths.AUTHORIZATION)
        if found is None:
            return Outcome.NOT_APPLICABLE, f"{paths.APISERVER} does not run here"
        there = [str(each.get("type")) for each in found.get("authorizers") or ()]
        good = bool(there) and set(types) <= set(there) and without not in there
        return _judged(good, f"authorizers: {', '.join(there)}")

    return judge


def _first_providers(evidence: Evidence) -> Answer:
    """What secrets are written with; only names of providers are looked at, the keys beside them are not."""
    found = evidence.documents.get(paths.ENCRYPTION)
    if found is None:
        return Outcome.NOT_APPLICABLE, f"{paths.APISERVER} has no encryption configuration here"
    about = [each for each in found.get("resources") or () if "secrets" in each.get("resources", ())]
    first = [next(iter(provider), "") for each in about for provider in (each.get("providers") or ())[:1]]
    return _judged(
        bool(first) and set(first) <= STRONG_PROVIDERS, f"secrets are written with {', '.join(first) or '-'}"
    )


def _listens(program: str, port: int) -> Callable[[Evidence], Answer]:
    """What the program serves on this port is for the node itself only."""

    def judge(evidence: Evidence) -> Answer:
        if program not in evidence.flags:
            return Outcome.NOT_APPLICABLE, f"{program} does not run here"
        found = evidence.listening.get(port, ())
        return _judged(set(found) <= LOOPBACK, f"port {port}: {', '.join(found) or 'nobody listens'}")

    return judge


_API, _CM, _SCHEDULER = paths.APISERVER, paths.CONTROLLER_MANAGER, paths.SCHEDULER
_ALL_SECRETS = (paths.SECRETS, ETCD_SECRETS)

RULES = (
    Rule("1.1.1", "Static pods' files are closed to others", _files(_below(f"{NODE_FILES}/manifests"), 0o600)),
    Rule("1.1.11", "etcd's data is closed to others, and etcd's own", _files(_named(ETCD_DATA), 0o700, (60,))),
    Rule(
        "1.1.15",
        "kubeconfigs of the control plane are closed to others",
        _files(_below(*_ALL_SECRETS, ending="kubeconfig"), 0o640),
    ),
    Rule(
        "1.1.20",
        "Certificates of the control plane can be changed by nobody but root",
        _files(_below(*_ALL_SECRETS, ending=".crt"), 0o644),
    ),
    Rule(
        "1.1.21", "Keys of the control plane are closed to others", _files(_below(*_ALL_SECRETS, ending=".key"), 0o640)
    ),
    Rule("1.2.1", "Nobody may ask for more than liveness without an identity", _nobody_unknown),
    Rule("1.2.2", "No tokens from a file", _flag(_API, "token-auth-file", _absent)),
    Rule(
        "1.2.3",
        "Services cannot claim addresses outside the cluster",
        _if_not(_flag(_API, "enable-admission-plugins", _has("DenyServiceExternalIPs")), EXTERNAL_IPS),
    ),
    Rule("1.2.4", "Kubelets are asked with a client certificate", _flag(_API, "kubelet-client-certificate", _present)),
    Rule("1.2.5", "Kubelets' certificates are verified", _flag(_API, "kubelet-certificate-authority", _present)),
    Rule("1.2.6", "Not everything is allowed", _authorizer(without="AlwaysAllow")),
    Rule("1.2.7", "Nodes are held to what is theirs", _authorizer("Node")),
    Rule("1.2.8", "Rights are given by roles", _authorizer("RBAC")),
    Rule("1.2.10", "The plug-in AlwaysAdmit is off", _flag(_API, "enable-admission-plugins", _lacks("AlwaysAdmit"))),
    Rule(
        "1.2.12", "The plug-in ServiceAccount is on", _flag(_API, "disable-admission-plugins", _lacks("ServiceAccount"))
    ),
    Rule(
        "1.2.13",
        "The plug-in NamespaceLifecycle is on",
        _flag(_API, "disable-admission-plugins", _lacks("NamespaceLifecycle")),
    ),
    Rule(
        "1.2.14", "The plug-in NodeRestriction is on", _flag(_API, "enable-admission-plugins", _has("NodeRestriction"))
    ),
    Rule("1.2.15", "Profiling is off", _flag(_API, "profiling", _is("false"))),
    Rule("1.2.16", "Requests are recorded", _flag(_API, "audit-log-path", _present)),
    Rule("1.2.17", "Records are kept for thirty days", _flag(_API, "audit-log-maxage", _at_least(30))),
    Rule("1.2.18", "Ten files of records are kept", _flag(_API, "audit-log-maxbackup", _at_least(10))),
    Rule("1.2.19", "A file of records may grow to 100 MB", _flag(_API, "audit-log-maxsize", _at_least(100))),
    Rule(
        "1.2.21",
        "Tokens of deleted service accounts are refused",
        _flag(_API, "service-account-lookup", _absent_or("true")),
    ),
    Rule("1.2.22", "Service accounts have a key of their own", _flag(_API, "service-account-key-file", _present)),
    Rule("1.2.23", "etcd is spoken to with a client certificate", _flag(_API, "etcd-certfile", _present)),
    Rule("1.2.24", "The API is served by TLS", _flag(_API, "tls-cert-file", _present)),
    Rule("1.2.25", "Clients are verified by the cluster's authority", _flag(_API, "client-ca-file", _present)),
    Rule("1.2.26", "etcd is verified by its authority", _flag(_API, "etcd-cafile", _present)),
    Rule("1.2.27", "Secrets are encrypted at rest", _flag(_API, "encryption-provider-config", _present)),
    Rule("1.2.28", "Secrets are encrypted by a provider that is strong", _first_providers),
    Rule("1.2.29", "Only strong ciphers are offered", _flag(_API, "tls-cipher-suites", _strong_ciphers)),
    Rule(
        "1.3.1",
        "Pods that have ended are removed in time",
        _if_not(_flag(_CM, "terminated-pod-gc-threshold", _present), ENDED_PODS),
    ),
    Rule("1.3.2", "Profiling is off", _flag(_CM, "profiling", _is("false"))),
    Rule("1.3.3", "Controllers have an identity each", _flag(_CM, "use-service-account-credentials", _is("true"))),
    Rule("1.3.4", "Service accounts' key is given", _flag(_CM, "service-account-private-key-file", _present)),
    Rule("1.3.5", "Pods are told whom to trust", _flag(_CM, "root-ca-file", _present)),
    Rule(
        "1.3.6",
        "Kubelets' serving certificates are renewed",
        _flag(_CM, "feature-gates", _lacks("RotateKubeletServerCertificate=false")),
    ),
    Rule("1.3.7", "Listens on the node itself only", _flag(_CM, "bind-address", _is("127.0.0.1"))),
    Rule("1.4.1", "Profiling is off", _flag(_SCHEDULER, "profiling", _is("false"))),
    Rule("1.4.2", "Listens on the node itself only", _flag(_SCHEDULER, "bind-address", _is("127.0.0.1"))),
    Rule("2.1", "etcd serves with a certificate", _flag(ETCD, "cert-file", _present)),
    Rule("2.2", "etcd's clients need a certificate", _flag(ETCD, "client-cert-auth", _is("true"))),
    Rule("2.3", "etcd trusts no certificate that it made itself", _flag(ETCD, "auto-tls", _absent_or("false"))),
    Rule("2.4", "etcd's members serve each other with a certificate", _flag(ETCD, "peer-cert-file", _present)),
    Rule("2.5", "etcd's members need a certificate for each other", _flag(ETCD, "peer-client-cert-auth", _is("true"))),
    Rule("2.6", "etcd's members make none themselves", _flag(ETCD, "peer-auto-tls", _absent_or("false"))),
    Rule(
        "2.7",
        "etcd has an authority of its own",
        _flag(ETCD, "trusted-ca-file", lambda given: bool(given) and str(given).startswith(ETCD_SECRETS)),
    ),
    Rule("3.2.1", "There is an audit policy", _flag(_API, "audit-policy-file", _present)),
    Rule(
        "4.1.5",
        "The kubelet's kubeconfig is closed to others",
        _files(_named(f"{NODE_FILES}/kubeconfig-kubelet", paths.KUBELET_KUBECONFIG), 0o600),
    ),
    Rule(
        "4.1.7",
        "The cluster's authority can be changed by nobody but root",
        _files(_named(f"{NODE_FILES}/pki/ca.crt"), 0o644),
    ),
    Rule("4.1.9", "The kubelet's configuration is closed to others", _files(_named(KUBELET_FILE), 0o600)),
    Rule(
        "4.2.1",
        "The kubelet lets nobody in without an identity",
        _setting("authentication.anonymous.enabled", lambda value: value is False),
    ),
    Rule(
        "4.2.2",
        "The kubelet asks whether a request is allowed",
        _setting("authorization.mode", lambda value: value == "Webhook"),
    ),
    Rule("4.2.3", "The kubelet verifies clients", _setting("authentication.x509.clientCAFile", bool)),
    Rule("4.2.4", "The kubelet has no port without authentication", _setting("readOnlyPort", lambda value: value == 0)),
    Rule(
        "4.2.5",
        "Idle streams end",
        _setting("streamingConnectionIdleTimeout", lambda value: value not in ("0", "0s", 0)),
    ),
    Rule(
        "4.2.6",
        "iptables chains are the kubelet's",
        _setting("makeIPTablesUtilChains", lambda value: value is not False),
    ),
    Rule("4.2.8", "Events are recorded", _setting("eventRecordQPS", lambda value: value is None or value >= 0)),
    Rule(
        "4.2.9",
        "The kubelet serves with a certificate that it was given",
        _if_not(_setting("serverTLSBootstrap", lambda value: value is True), OWN_CERTIFICATE),
    ),
    Rule("4.2.10", "Client certificates are renewed", _setting("rotateCertificates", lambda value: value is not False)),
    Rule(
        "4.2.11",
        "The kubelet serves with a certificate of the cluster",
        _setting("serverTLSBootstrap", lambda value: value is True),
    ),
    Rule(
        "4.2.12",
        "Only strong ciphers are offered",
        _setting("tlsCipherSuites", lambda value: bool(value) and _strong_ciphers(",".join(value))),
    ),
    Rule(
        "4.2.13",
        "A pod's processes are limited",
        _setting("podPidsLimit", lambda value: isinstance(value, int) and value > 0),
    ),
    Rule(
        "4.2.14", "Pods' system calls are filtered by default", _setting("seccompDefault", lambda value: value is True)
    ),
    Rule("4.3.1", "kube-proxy tells its metrics to the node only", _listens(PROXY, PROXY_METRICS_PORT)),
)
