"""Machine configuration: what is accepted, what is refused and with which words, and what is generated."""

from __future__ import annotations

import base64
import ipaddress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import pki, talosconfig, yaml
from dozen.machinery.config import ConfigError, Problem, effective, generate, load, new_secrets, secrets
from dozen.machinery.config.decode import fields_of, shape_of
from dozen.machinery.config.documents import KINDS, model_of
from dozen.machinery.config.scalars import Duration, Secret, check_ip, host_of, network_bounds, parse_duration

CASES = Path(__file__).parents[2] / "cases" / "config"


def cases(name: str) -> list[Any]:
    found = yaml.load((CASES / name).read_text(), name)
    return [pytest.param(case, id=case["name"]) for case in found]


@cache
def stand_ins() -> dict[str, str]:
    ca = pki.new_ca()
    node = pki.server_certificate(ca, ["10.0.0.1"])
    texts = {"@CA@": ca.crt, "@KEY@": ca.key, "@NODE@": node.crt}
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def filled(text: str) -> str:
    for name, value in stand_ins().items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("case", cases("refused.yaml"))
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(filled(case["text"]), "f.yaml")
    found = [str(problem) for problem in caught.value.problems]
    assert found == case["problems"]


@pytest.mark.parametrize("case", cases("accepted.yaml"))
def test_accepted(case: dict[str, Any]) -> None:
    config = load(filled(case["text"]))
    for subject, expected in case["effective"].items():
        found = getattr(effective, subject)(config)
        assert msgspec.json.decode(msgspec.json.encode(found, enc_hook=float)) == expected, subject


def test_older_names_of_types_mean_the_present_ones() -> None:
    assert load(filled(cases("accepted.yaml")[0].values[0]["text"])).machine_type == "controlplane"


def test_no_secret_in_repr() -> None:
    bundle = generate("c", "https://10.0.0.1:6443")
    config = load(bundle.controlplane)
    shown = repr(config) + repr(config.machine) + repr(config.cluster) + repr(bundle) + repr(bundle.secrets)
    assert "PRIVATE KEY" not in shown
    assert bundle.secrets.machine_token not in shown
    assert bundle.secrets.bootstrap_token not in shown
    assert config.machine is not None
    assert config.machine.token.reveal() == bundle.secrets.machine_token


@pytest.fixture(scope="module")
def generated() -> Any:
    return generate("c1", "https://10.5.0.2:6443", sans=["node.example"], install_disk="/dev/vda")


def test_generated_files_load(generated: Any) -> None:
    leader, worker = load(generated.controlplane), load(generated.worker)
    assert (leader.machine_type, worker.machine_type) == ("controlplane", "worker")
    assert effective.issuing_ca(leader) == generated.secrets.os
    assert effective.issuing_ca(worker) is None
    assert effective.accepted_cas(worker) == (generated.secrets.os.crt,)
    assert leader.machine is not None
    assert leader.machine.cert_sans == ("node.example", "127.0.0.1", "10.5.0.2")
    assert leader.machine.install is not None
    assert leader.machine.install.disk == "/dev/vda"


def test_a_workers_file_holds_no_authority_key(generated: Any) -> None:
    text = generated.worker
    for key in (generated.secrets.os.key, generated.secrets.kubernetes.key, generated.secrets.etcd.key):
        assert secrets.encode_pem(key) not in text


def test_generated_client_configuration_is_an_administrators(generated: Any) -> None:
    context = talosconfig.parse(generated.talosconfig).select()
    assert context.endpoints == ("10.5.0.2",)
    assert pki.certificate(context.crt).subject.organizations == ("os:admin",)
    assert context.ca == generated.secrets.os.crt


def test_generate_refuses_an_endpoint_that_is_no_url() -> None:
    with pytest.raises(ConfigError, match="expected a URL"):
        generate("c", "10.0.0.1")


def test_secrets_survive_their_file() -> None:
    bundle = new_secrets()
    assert secrets.parse(secrets.render(bundle)) == bundle
    with pytest.raises(secrets.SecretsError, match=r"certs\.os\.crt is missing"):
        secrets.parse(secrets.render(bundle).replace("    os:", "    oss:"))


def test_kubernetes_authorities_are_p256() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import load_pem_x509_certificate

    certificate = load_pem_x509_certificate(new_secrets().kubernetes.crt.encode())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    certificate.verify_directly_issued_by(certificate)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_read(kind: str) -> None:
    """Each model exists under its kind's name, and each of its fields has a type that can be read."""
    for field in fields_of(model_of(kind)).values():
        shape_of(field.annotation)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("10s", 10), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("-2m", -120), ("+1us", 1e-6)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "1h 30m", "1d", "..s", "-", "1.2.3s", "10 s"])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.ip_addresses().map(str) | st.text("0123456789abcdef.:", max_size=20))
def test_addresses_are_those_that_the_library_knows(text: str) -> None:
    try:
        ipaddress.ip_address(text)
        known = True
    except ValueError:
        known = False
    assert (check_ip(text) is None) == known


@given(st.ip_addresses(), st.integers(0, 140))
def test_networks_are_those_that_the_library_knows(address: ipaddress.IPv4Address, length: int) -> None:
    try:
        network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        assert network_bounds(f"{address}/{length}") is None
        return
    bounds = network_bounds(f"{address}/{length}")
    assert bounds == (int(network[0]), int(network[-1]), network.max_prefixlen // 8)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://10.0.0.1:6443", "10.0.0.1"),
        ("https://[2001:db8::1]:6443/path", "2001:db8::1"),
        ("http://user:word@host.example?x=a@b", "host.example"),
        ("tcp://host", "host"),
        ("git+https://host#x", "host"),
        ("10.0.0.1:6443", ""),
        ("https://", ""),
        ("https://:443", ""),
        ("https://host:0", ""),
        ("https://host:70000", ""),
        ("https://host:x", ""),
        ("https://2001:db8::1", ""),
        ("https://[nonsense]", ""),
        ("https://a b", ""),
        ("1https://host", ""),
    ],
)
def test_hosts_of_urls(url: str, host: str) -> None:
    assert host_of(url) == host


def test_secrets_compare_but_do_not_show() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert "hidden" not in f"{Secret('hidden')!r} {Secret('hidden')}"
    assert repr(Duration(90)) == "Duration(90s)"


def problems_of(text: str) -> tuple[Problem, ...] | None:
    try:
        load(text)
    except ConfigError as error:
        return error.problems
    return None


@given(st.text(max_size=200))
def test_no_text_breaks_the_loader(text: str) -> None:
    problems = problems_of(text)
    assert problems is None or problems


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
MACHINE_FIELDS = sorted(fields_of(type(load(generate("c", "https://a:1").worker).machine)))  # type: ignore[arg-type]


@given(st.dictionaries(st.sampled_from(MACHINE_FIELDS), VALUES, max_size=4))
def test_no_value_breaks_the_decoder(machine: dict[str, Any]) -> None:
    problems = problems_of(yaml.dump({"version": "v1alpha1", "machine": machine}))
    assert problems
    assert all(problem.line > 0 for problem in problems)
