"""Reading a certificate signing request (PKCS#10, RFC 2986): who asks, and for which names.

Who signs must know every name that would be in the certificate, so a request with a kind of name that is not understood
here is refused instead of read in part. The signature over the request is not verified: that is for whoever signs.
"""

from __future__ import annotations

from typing import NamedTuple

from dozen.machinery import der

_COMMON_NAME, _ORGANIZATION = "2.5.4.3", "2.5.4.10"
_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_ALT_NAMES = "2.5.29.17"
_DNS, _ADDRESS = 0x82, 0x87


class CertificateRequest(NamedTuple):
    """The names of a request; addresses are 4 or 16 raw bytes."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[bytes, ...]


def read_request(data: bytes) -> CertificateRequest:
    """Parse a request in DER. Raises DerError for what is not one, or not understood whole."""
    info, *_ = _inside(der.read_whole(data, der.SEQUENCE))
    fields = list(_inside(der.expect(info, der.SEQUENCE)))
    if len(fields) < 3:
        raise der.DerError("the request lacks fields")
    common, organizations = _read_subject(fields[1])
    dns: list[str] = []
    addresses: list[bytes] = []
    for attributes in fields[3:]:
        for name in _alternative_names(attributes):
            if name.tag == _DNS:
                dns.append(der.read_text(name))
            elif name.tag == _ADDRESS and len(name.content) in (4, 16):
                addresses.append(name.content)
            else:
                raise der.DerError("the request asks for names that are neither DNS names nor addresses")
    return CertificateRequest(common, organizations, tuple(dns), tuple(addresses))


def _read_subject(element: der.Element) -> tuple[str, tuple[str, ...]]:
    common: list[str] = []
    organizations: list[str] = []
    for group in _inside(der.expect(element, der.SEQUENCE)):
        for attribute in _inside(der.expect(group, der.SET)):
            kind, value = _inside(der.expect(attribute, der.SEQUENCE))
            found = {_COMMON_NAME: common, _ORGANIZATION: organizations}.get(der.read_oid(kind))
            if found is None:
                raise der.DerError("the request's subject has more than common name and organizations")
            found.append(der.read_text(value))
    if len(common) > 1:
        raise der.DerError("the request's subject has more than one common name")
    return "".join(common), tuple(organizations)


def _alternative_names(attributes: der.Element) -> list[der.Element]:
    found = []
    for attribute in der.read_all(attributes.content):
        kind, values = _inside(der.expect(attribute, der.SEQUENCE))
        if der.read_oid(kind) != _EXTENSION_REQUEST:
            continue
        for extensions in _inside(der.expect(values, der.SET)):
            for extension in _inside(der.expect(extensions, der.SEQUENCE)):
                number, *_, content = _inside(der.expect(extension, der.SEQUENCE))
                if der.read_oid(number) == _ALT_NAMES:
                    found += _inside(der.read_whole(content.content, der.SEQUENCE))
    return found


def _inside(element: der.Element) -> list[der.Element]:
    return list(der.read_all(element.content))
