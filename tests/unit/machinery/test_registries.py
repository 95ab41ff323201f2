"""What containerd is told about registries."""

from __future__ import annotations

import tomllib

import pytest

from dozen.machinery.registries import (
    HOSTS,
    SECRET,
    TLS,
    quote,
    render_credentials,
    render_hosts,
    render_registries,
)
from dozen.machinery.resources.cri import (
    MirrorEndpoint,
    RegistriesConfigSpec,
    RegistryAuth,
    RegistryMirror,
    RegistryTLS,
)
from dozen.machinery.resources.secrets import PemPair

ASK = ["pull", "resolve"]


def mirror(*urls: str, skip: bool = False, whole: bool = False) -> RegistryMirror:
    ends = tuple(MirrorEndpoint(endpoint=url, override_path=whole) for url in urls)
    return RegistryMirror(endpoints=ends, skip_fallback=skip)


@pytest.mark.parametrize(
    ("name", "mirrors", "expected"),
    [
        (
            "docker.io",
            {"docker.io": mirror("http://a:5000", "https://b")},
            {
                "server": "https://registry-1.docker.io",
                "host": {"http://a:5000": {"capabilities": ASK}, "https://b": {"capabilities": ASK}},
            },
        ),
        (
            "ghcr.io",
            {"ghcr.io": mirror("https://b/v2/proxy", skip=True, whole=True)},
            {
                "server": "https://b/v2/proxy",
                "capabilities": ASK,
                "override_path": True,
                "host": {"https://b/v2/proxy": {"capabilities": ASK, "override_path": True}},
            },
        ),
        ("*", {"*": mirror("https://b")}, {"host": {"https://b": {"capabilities": ASK}}}),
        (
            "own.test:5000",
            {},
            {"server": "https://own.test:5000", "host": {"https://own.test:5000": {"capabilities": ASK}}},
        ),
        (
            "own.test",
            {"*": mirror("https://b")},
            {"server": "https://own.test", "host": {"https://b": {"capabilities": ASK}}},
        ),
    ],
)
def test_hosts(name: str, mirrors: dict[str, RegistryMirror], expected: dict[str, object]) -> None:
    assert tomllib.loads(render_hosts(name, RegistriesConfigSpec(mirrors=mirrors))) == expected


def test_trust_goes_to_whom_it_is_for() -> None:
    said = RegistriesConfigSpec(
        mirrors={"docker.io": mirror("https://b:5000")},
        tls={
            "b:5000": RegistryTLS(ca=b"CA", client_identity=PemPair(crt=b"CRT", key=b"KEY")),
            "docker.io": RegistryTLS(insecure_skip_verify=True),
            "lone.test": RegistryTLS(ca=b"LONE"),
        },
    )
    files = {file.path: file for file in render_registries(said)}
    assert set(files) == {
        f"{TLS}/b:5000/ca.crt",
        f"{TLS}/b:5000/client.crt",
        f"{TLS}/b:5000/client.key",
        f"{TLS}/lone.test/ca.crt",
        f"{HOSTS}/docker.io/hosts.toml",
        f"{HOSTS}/lone.test/hosts.toml",
    }
    assert files[f"{TLS}/b:5000/client.key"].mode == SECRET
    hub = tomllib.loads(files[f"{HOSTS}/docker.io/hosts.toml"].content)
    assert hub["skip_verify"] is True
    assert hub["host"]["https://b:5000"]["ca"] == f"{TLS}/b:5000/ca.crt"
    assert hub["host"]["https://b:5000"]["client"] == [[f"{TLS}/b:5000/client.crt", f"{TLS}/b:5000/client.key"]]
    assert "ca" not in hub
    lone = tomllib.loads(files[f"{HOSTS}/lone.test/hosts.toml"].content)
    assert lone["ca"] == lone["host"]["https://lone.test"]["ca"] == f"{TLS}/lone.test/ca.crt"


def test_credentials_follow_the_host_that_is_asked() -> None:
    said = RegistriesConfigSpec(
        auths={
            "docker.io": RegistryAuth(username="ann", password='p"\\w\n\x7f'),
            "b:5000": RegistryAuth(auth="YTpi"),
            "c": RegistryAuth(identity_token="T"),
            "nothing": RegistryAuth(),
        }
    )
    tables = tomllib.loads(render_credentials(said))["plugins"]["io.containerd.grpc.v1.cri"]["registry"]["configs"]
    assert tables == {
        "registry-1.docker.io": {"auth": {"username": "ann", "password": 'p"\\w\n\x7f'}},
        "b:5000": {"auth": {"auth": "YTpi"}},
        "c": {"auth": {"identitytoken": "T"}},
    }
    assert render_registries(said) == []
    assert render_credentials(RegistriesConfigSpec()) == ""


@pytest.mark.parametrize("text", ["", "plain", 'a"b', "a\\b", "ä\u2028", "\x00\x1f\x7f", "line\nline"])
def test_every_text_survives_quoting(text: str) -> None:
    assert tomllib.loads(f"key = {quote(text)}") == {"key": text}
