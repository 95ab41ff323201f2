"""What people write, and what cloud providers and clusters hand out: YAML and what is made of it."""

from __future__ import annotations

import base64

from dozen.machinery import cel, cloudinit, kubeconfig, talosconfig, yaml
from dozen.machinery.addresses import canonical_address, canonical_prefix, network_of
from dozen.machinery.config import Config, ConfigError, load
from dozen.machinery.config import secrets as secret_files
from dozen.machinery.config.kubernetes import network
from dozen.machinery.config.patches import patch, read_patch
from dozen.machinery.config.support import warnings
from dozen.machinery.kubernetes import accounts
from dozen.machinery.kubernetes.objects import in_order, parse_manifest
from fuzz import identity
from fuzz.target import CASES, Target

MACHINE = f"""version: v1alpha1
machine:
  type: worker
  token: 0289k7.b28rnd2k9b5sn7sm
  ca: {{crt: {identity.CERTIFICATE_BASE64}}}
  network: {{interfaces: [{{interface: eth0, addresses: [10.0.0.1/24]}}], nameservers: [1.1.1.1]}}
  sysctls: {{a.b: "1"}}
cluster:
  controlPlane: {{endpoint: "https://10.0.0.1:6443"}}
"""
OTHERS = "---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: n1\n"


def documents(data: bytes) -> None:
    """What was read is written and read again the same."""
    for node in yaml.load_documents(data.decode(errors="replace")):
        value = yaml.plain(node)
        assert yaml.load(yaml.dump(value)) == value or value != value or "nan" in repr(value)


def configuration(data: bytes) -> None:
    config = load(data.decode(errors="replace"))
    ask(config)


def ask(config: Config) -> None:
    warnings(config), network(config)


def patched(data: bytes) -> None:
    ask(load(patch(MACHINE, [read_patch(data.decode(errors="replace"))])))


def secrets(data: bytes) -> None:
    secret_files.parse(data.decode(errors="replace"))


def client(data: bytes) -> None:
    found = talosconfig.parse(data.decode(errors="replace"))
    assert talosconfig.parse(talosconfig.render(found)) == found
    talosconfig.merge(found, found)


def expression(data: bytes) -> None:
    """An expression of a configuration, over a link, a duration and optional values."""
    link = {"driver": "virtio_net", "mtu": 1500, "alt_names": ("a", "b"), "up": True}
    scope = {"link": link, "past": cel.Duration(2.0), "known": cel.Maybe(5), "missing": cel.Maybe()}
    cel.parse(data.decode(errors="replace"), scope)(scope)


def account(data: bytes) -> None:
    """A Secret of a workload's account, which whoever may write Secrets has written."""
    secret = {"data": {accounts.FILE: base64.b64encode(data).decode()}}
    accounts.is_current(secret, ("os:reader",), identity.CERTIFICATE_PEM, 1_800_000_000)


def access(data: bytes) -> None:
    """All that is done with a person's file, and with the one that a node gives out."""
    found = kubeconfig.parse(data.decode(errors="replace"))
    kubeconfig.render(kubeconfig.with_server(found, "https://10.0.0.2:6443"))
    kubeconfig.merge(kubeconfig.forget(found, b"a"), found)
    kubeconfig.selected(found, lambda path: path.encode())


def seed(data: bytes) -> None:
    meta_data, _, network_config = data.decode(errors="replace").partition("\0")
    cloudinit.read(meta_data, network_config)


def manifest(data: bytes) -> None:
    in_order(parse_manifest(data.decode(errors="replace"), "a manifest"))


def address(data: bytes) -> None:
    said = data.decode(errors="replace")
    for read in (canonical_address, canonical_prefix, network_of):
        try:
            again = read(said)
        except ValueError:
            continue
        assert read(again) == again


KUBECONFIG = b"""apiVersion: v1
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: YQ==}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
users: [{name: u, user: {client-certificate-data: YQ==, client-key-data: YQ==, token: a}}]
"""
ACCOUNT = f"""context: a
contexts:
  a: {{endpoints: [talos.default], ca: {identity.CERTIFICATE_BASE64}, crt: {identity.CERTIFICATE_BASE64}, key: YQ==}}
""".encode()
SEED = b"""local-hostname: n1
\0version: 2
ethernets:
  a: {match: {macaddress: "52:54:00:12:34:56"}, addresses: [10.0.0.2/24], gateway4: 10.0.0.1, dhcp4: true, mtu: 1400,
      nameservers: {addresses: [1.1.1.1], search: [a.b]}, routes: [{to: default, via: 10.0.0.1, metric: 5}]}
"""
OLD_SEED = b"""\0version: 1
config:
  - {type: physical, name: eth0, mac_address: "52:54:00:12:34:56", mtu: 1400,
     subnets: [{type: static, address: 10.0.0.2/24, gateway: 10.0.0.1, dns_nameservers: [1.1.1.1]}, {type: dhcp}]}
  - {type: nameserver, address: [1.1.1.1], search: [a.b]}
"""

# Keys are PEM in base64; nobody looks into them here.
SECRETS = b"""cluster: {id: aaaa, secret: bbbb}
secrets: {bootstraptoken: aaaaaa.bbbbbbbbbbbbbbbb, secretboxencryptionsecret: cccc}
trustdinfo: {token: aaaaaa.bbbbbbbbbbbbbbbb}
certs:
  etcd: &pair {crt: YQ==, key: YQ==}
  k8s: *pair
  k8saggregator: *pair
  k8sserviceaccount: {key: YQ==}
  os: *pair
"""

TARGETS = (
    Target(
        "yaml",
        documents,
        (yaml.YamlError,),
        [
            (CASES / "yaml" / "texts.txt").read_bytes()[:2000],
            b"a: &x {b: [1, 0x1F, 1.5, ~, yes]}\nc: *x\nd: |+\n  text\n\ne: >-\n  folded\n  text\n",
            b"'f': \"\\u00e4\\n\"\n? g\n: h\n",
            b"%YAML 1.2\n--- !!str a\n...\n---\n- - a\n  - b: c\n    d: e # comment\n",
        ],
    ),
    Target("configuration", configuration, (ConfigError,), [(MACHINE + OTHERS).encode()]),
    Target(
        "patch",
        patched,
        (ConfigError, ValueError),
        [
            b"machine: {network: {hostname: n2, interfaces: [{interface: eth0, $patch: delete}]}, sysctls: {a: b}}\n",
            b"- {op: add, path: /machine/sysctls, value: {a~b: '1'}}\n- {op: test, path: /version, value: v1alpha1}\n",
            OTHERS.encode(),
        ],
    ),
    Target("secrets", secrets, (secret_files.SecretsError,), [SECRETS]),
    Target(
        "talosconfig",
        client,
        (talosconfig.TalosconfigError,),
        [b"context: a\ncontexts:\n  a: {endpoints: [10.0.0.1], nodes: [n1], ca: YQ==, key: YQ==, more: 1}\n"],
    ),
    Target(
        "expression",
        expression,
        (cel.CelError,),
        [each["text"].encode() for each in yaml.load((CASES / "cel" / "expressions.yaml").read_text()) if "is" in each]
        + [b'link.alt_names.exists(a, a == "b" || has(link.up)) ? past : {1: known.orValue(2u)}[1]'],
    ),
    Target("account", account, (), [ACCOUNT]),
    Target("kubeconfig", access, (kubeconfig.KubeconfigError,), [KUBECONFIG]),
    Target("cloud-init", seed, (cloudinit.SeedError,), [SEED, OLD_SEED]),
    Target(
        "manifest",
        manifest,
        (ValueError,),
        [b"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}]\n"],
    ),
    Target("addresses", address, (), [b"10.0.2.15/24", b"fe80::1/64", b"::ffff:10.0.0.1"]),
)  # fmt: skip
