"""X.509 certificates, written and read without a cryptography library.

The node makes its own server certificate on the way to its first reply, and reads a caller's roles from a certificate
that the TLS library has already verified. Neither needs more than DER and one signature, and importing a library for
it costs more than half a second under emulation. So `build` takes a ``sign`` callable and a raw public key, and
`read` picks out what decisions are made on. Nothing here verifies a chain: that is TLS's work. Keys are Ed25519 unless
said otherwise; `assemble` is `build` for keys and signatures of any kind.

Object identifiers: RFC 5280 (extensions), RFC 8410 (Ed25519: the algorithm has no parameters).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

from dozen.machinery import der

ED25519 = "1.3.101.112"
COMMON_NAME, ORGANIZATION = "2.5.4.3", "2.5.4.10"
SUBJECT_KEY, KEY_USAGE, ALT_NAMES, BASIC, AUTHORITY_KEY, EXTENDED_USAGE = (
    f"2.5.29.{number}" for number in (14, 15, 17, 19, 35, 37)
)
SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
# KeyUsage bits from the left: digitalSignature 0, keyCertSign 5, cRLSign 6 (RFC 5280, 4.2.1.3).
_SIGNATURE_ONLY, _CA_USAGE = (b"\x80", 7), (b"\x86", 1)

Sign = Callable[[bytes], bytes]


# Plain namespaces and not tuples or data classes: this is read on the way to a node's first reply, and each of those
# takes longer to define than a certificate takes to make.


class Name(SimpleNamespace):
    """A subject or issuer: as much of one as is used here."""

    organizations: tuple[str, ...]
    common_name: str

    def __init__(self, organizations: Sequence[str] = (), common_name: str = "") -> None:
        super().__init__(organizations=tuple(organizations), common_name=common_name)


class Request(SimpleNamespace):
    """What a certificate is to say. Times are seconds since the epoch; addresses are 4 or 16 raw bytes.

    ``public_key`` is a raw Ed25519 key, or the DER of a whole SubjectPublicKeyInfo.
    """

    subject: Name
    public_key: bytes
    not_before: int
    not_after: int
    serial: int
    is_ca: bool = False
    usages: tuple[str, ...] = ()
    dns: Sequence[str] = ()
    addresses: Sequence[bytes] = ()


class Certificate(SimpleNamespace):
    """What a certificate says.

    ``usages`` are the OIDs of the extended key usage; ``issuer`` and ``subject`` keep their DER form beside their
    parts, because names are compared by bytes. ``public_key`` is the DER of the key's whole info.
    """

    serial: int
    subject: Name
    issuer: Name
    subject_der: bytes
    issuer_der: bytes
    not_before: int
    not_after: int
    public_key: bytes
    is_ca: bool
    usages: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[bytes, ...]
    subject_key_id: bytes
    authority_key_id: bytes

    @property
    def raw_key(self) -> bytes:
        """The 32 bytes of an Ed25519 key; raises DerError for another algorithm."""
        algorithm, key = _children(self.public_key, 2)
        if algorithm.whole != _algorithm() or len(key.content) != 33:
            raise der.DerError("the certificate's key is not an Ed25519 key")
        return key.content[1:]


def build(request: Request, issuer: bytes, issuer_key: bytes, sign: Sign) -> bytes:
    """A signed certificate in DER. ``issuer`` is the issuer's subject (`name_der`), ``issuer_key`` its raw key."""
    return assemble(request, issuer, key_id(issuer_key), _algorithm(), sign)


def assemble(request: Request, issuer: bytes, issuer_key_id: bytes, algorithm: bytes, sign: Sign) -> bytes:
    """The same for any kind of key: ``algorithm`` is the signature's, in DER; an empty id is left out."""
    body = der.sequence(
        der.context(0, der.integer(2)),
        der.integer(request.serial),
        algorithm,
        issuer,
        der.sequence(der.moment(request.not_before), der.moment(request.not_after)),
        name_der(request.subject),
        key_info(request.public_key),
        der.context(3, der.sequence(*_extensions(request, issuer_key_id))),
    )
    return der.sequence(body, algorithm, der.bit_string(sign(body)))


def name_der(name: Name) -> bytes:
    """Each organization is an attribute of its own, in the given order, then the common name."""
    parts = [der.set_of(der.sequence(der.oid(ORGANIZATION), der.utf8(text))) for text in name.organizations]
    if name.common_name:
        parts.append(der.set_of(der.sequence(der.oid(COMMON_NAME), der.utf8(name.common_name))))
    return der.sequence(*parts)


def key_info(raw: bytes) -> bytes:
    """SubjectPublicKeyInfo of a raw Ed25519 key (RFC 8410, 4); one that is whole already stays as it is."""
    return der.sequence(_algorithm(), der.bit_string(raw)) if len(raw) == 32 else raw


def key_bits(key: bytes) -> bytes:
    """The bits of a public key, raw or whole: what its identifier is made from."""
    return key if len(key) == 32 else _children(key, 2)[1].content[1:]


def private_key(seed: bytes) -> bytes:
    """PKCS#8 form of an Ed25519 private key (RFC 8410, 7): the seed is an octet string within an octet string."""
    return der.sequence(der.integer(0), _algorithm(), der.octet_string(der.octet_string(seed)))


def read_private_key(data: bytes) -> bytes:
    """The 32-byte seed from a PKCS#8 Ed25519 key, with or without trailing attributes."""
    parts = list(der.read_all(der.read_whole(data, der.SEQUENCE).content))
    if len(parts) < 3:
        raise der.DerError("the key lacks fields")
    version, algorithm, key = parts[:3]
    if der.read_integer(version) not in (0, 1) or algorithm.whole != _algorithm():
        raise der.DerError("the key is not an Ed25519 key")
    seed = der.read_whole(der.expect(key, der.OCTET_STRING).content, der.OCTET_STRING).content
    if len(seed) != 32:
        raise der.DerError("an Ed25519 key has 32 bytes")
    return seed


def key_id(raw: bytes) -> bytes:
    """Identifier of a key: the first 20 bytes of the SHA-256 of its bits (RFC 7093, 2, method 1)."""
    import hashlib

    return hashlib.sha256(raw).digest()[:20]


def read(data: bytes) -> Certificate:
    """Parse a DER certificate. Raises DerError; verifies no signature."""
    body, _, _ = _children(data, 3)
    fields = list(der.read_all(der.expect(body, der.SEQUENCE).content))
    if fields and fields[0].tag == 0xA0:
        fields.pop(0)
    if len(fields) < 6:
        raise der.DerError("the certificate lacks fields")
    serial, _, issuer, validity, subject, key = fields[:6]
    start, end = _children(der.expect(validity, der.SEQUENCE).whole, 2)
    found = _read_extensions(fields[6:])
    basic = list(der.read_all(_inside(found, BASIC)))
    return Certificate(
        serial=der.read_integer(serial),
        subject=_read_name(subject),
        issuer=_read_name(issuer),
        subject_der=subject.whole,
        issuer_der=issuer.whole,
        not_before=der.read_moment(start),
        not_after=der.read_moment(end),
        public_key=der.expect(key, der.SEQUENCE).whole,
        is_ca=bool(basic) and basic[0].tag == der.BOOLEAN and basic[0].content == b"\xff",
        usages=tuple(der.read_oid(usage) for usage in der.read_all(_inside(found, EXTENDED_USAGE))),
        dns=tuple(der.read_text(name) for name in der.read_all(_inside(found, ALT_NAMES)) if name.tag == 0x82),
        addresses=tuple(name.content for name in der.read_all(_inside(found, ALT_NAMES)) if name.tag == 0x87),
        subject_key_id=der.read_whole(found[SUBJECT_KEY], der.OCTET_STRING).content if SUBJECT_KEY in found else b"",
        authority_key_id=b"".join(
            part.content for part in der.read_all(_inside(found, AUTHORITY_KEY)) if part.tag == 0x80
        ),
    )


def _algorithm() -> bytes:
    return der.sequence(der.oid(ED25519))


def _extensions(request: Request, issuer_key_id: bytes) -> list[bytes]:
    usage, unused = _CA_USAGE if request.is_ca else _SIGNATURE_ONLY
    extensions = [_extension(KEY_USAGE, der.bit_string(usage, unused), critical=True)]
    if request.usages:
        extensions.append(_extension(EXTENDED_USAGE, der.sequence(*(der.oid(usage) for usage in request.usages))))
    basic = der.sequence(der.boolean(True)) if request.is_ca else der.sequence()
    extensions.append(_extension(BASIC, basic, critical=True))
    extensions.append(_extension(SUBJECT_KEY, der.octet_string(key_id(key_bits(request.public_key)))))
    if issuer_key_id:
        extensions.append(_extension(AUTHORITY_KEY, der.sequence(der.context(0, issuer_key_id, constructed=False))))
    names = [der.context(2, name.encode("ascii"), constructed=False) for name in request.dns]
    names += [der.context(7, address, constructed=False) for address in request.addresses]
    if names:
        extensions.append(_extension(ALT_NAMES, der.sequence(*names)))
    return extensions


def _extension(number: str, content: bytes, *, critical: bool = False) -> bytes:
    parts = [der.oid(number), *([der.boolean(True)] if critical else []), der.octet_string(content)]
    return der.sequence(*parts)


def _children(data: bytes, count: int) -> list[der.Element]:
    children = list(der.read_all(der.read_whole(data, der.SEQUENCE).content))
    if len(children) != count:
        raise der.DerError(f"expected {count} values, found {len(children)}")
    return children


def _read_name(element: der.Element) -> Name:
    organizations, common = [], ""
    for group in der.read_all(der.expect(element, der.SEQUENCE).content):
        for attribute in der.read_all(der.expect(group, der.SET).content):
            kind, value = _children(attribute.whole, 2)
            which = der.read_oid(kind)
            if which == ORGANIZATION:
                organizations.append(der.read_text(value))
            elif which == COMMON_NAME:
                common = der.read_text(value)
    return Name(tuple(organizations), common)


def _read_extensions(fields: list[der.Element]) -> dict[str, bytes]:
    """Extension OID → its content. An extension that is there twice makes the certificate invalid (RFC 5280, 4.2)."""
    found: dict[str, bytes] = {}
    for field in fields:
        if field.tag != 0xA3:
            continue
        for extension in der.read_all(der.read_whole(field.content, der.SEQUENCE).content):
            parts = list(der.read_all(der.expect(extension, der.SEQUENCE).content))
            if len(parts) < 2:
                raise der.DerError("an extension lacks fields")
            name, content = der.read_oid(parts[0]), parts[-1]
            if name in found:
                raise der.DerError(f"extension {name} is there twice")
            found[name] = der.expect(content, der.OCTET_STRING).content
    return found


def _inside(found: dict[str, bytes], number: str) -> bytes:
    return der.read_whole(found[number], der.SEQUENCE).content if number in found else b""
