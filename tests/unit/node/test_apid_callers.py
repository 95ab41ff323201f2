"""Who calls, from certificates."""

from __future__ import annotations

import pytest

from dozen.machinery import pki
from dozen.node.apid_callers import effective_roles, read_roles
from dozen.rpc.status import Code, RpcError

CA = pki.new_ca()


def chain(*pairs: pki.Keypair) -> tuple[bytes, ...]:
    return tuple(der for pair in pairs for der in pki.certificates(pair.crt))


@pytest.mark.parametrize("roles", [["os:admin"], ["os:reader", "os:etcd:backup"], ["unknown"]])
def test_organizations_are_roles(roles: list[str]) -> None:
    assert read_roles(chain(pki.client_certificate(CA, roles), CA)) == tuple(roles)


def test_empty_and_repeated_organizations_do_not_count() -> None:
    assert read_roles(chain(pki.client_certificate(CA, ["", "os:reader", "os:reader"]), CA)) == ("os:reader",)
    assert read_roles(chain(pki.client_certificate(CA, [""]), CA)) == ()


@pytest.mark.parametrize(
    ("certificates", "text"),
    [
        ((), "required"),
        (chain(CA), "authority"),
        (chain(pki.server_certificate(CA, ["10.0.0.1"]), CA), "client authentication alone"),
        ((b"\x30\x03\x02\x01",), "not readable"),
        ((b"",), "not readable"),
        (chain(pki.client_certificate(CA, ["os:admin"]), pki.server_certificate(CA, ["10.0.0.1"]), CA), "alone"),
    ],
    ids=["none", "authority", "server", "garbage", "empty", "server's in between"],
)
def test_other_chains_are_refused(certificates: tuple[bytes, ...], text: str) -> None:
    with pytest.raises(RpcError, match=text) as caught:
        read_roles(certificates)
    assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("own", "told", "expected"),
    [
        (("os:reader",), ["os:admin"], ("os:reader",)),
        (("os:impersonator",), ["os:reader"], ("os:reader",)),
        (("os:impersonator",), ["os:reader", "os:operator"], ("os:reader", "os:operator")),
        (("os:impersonator",), ["os:reader, os:operator"], ("os:reader", "os:operator")),
        (("os:impersonator",), [], ("os:impersonator",)),
        (("os:impersonator",), [" "], ("os:impersonator",)),
        (("os:impersonator", "os:admin"), ["os:reader"], ("os:reader",)),
        ((), ["os:admin"], ()),
    ],
)
def test_only_an_impersonator_speaks_for_others(
    own: tuple[str, ...], told: list[str], expected: tuple[str, ...]
) -> None:
    assert effective_roles(own, told) == expected
