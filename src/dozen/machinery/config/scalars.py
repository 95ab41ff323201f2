"""The scalar types of machine configuration, and the checks that a scalar's text must pass.

Each type here is an annotation for a model's field: ``Annotated[str, check]`` carries a function that says what is
wrong with a text (or None). `Secret` and `Duration` are types of their own, because a secret must not be printed by
accident and a duration is worked with in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

Check = Callable[[str], str | None]


class Secret:
    """A text that no log, error or repr shows. ``reveal()`` gives it to who needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "<secret>" if self._text else "<no secret>"


class Duration(float):
    """A length of time in seconds, written as Go writes it: ``1h30m``, ``250ms``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Duration({float(self):g}s)"


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> Duration:
    """Seconds of a Go duration: a sign, then numbers with units, or just 0. Raises ValueError."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    total, complaint = 0.0, ValueError(f'expected a duration like "1h30m" or "10s", found "{text}"')
    while rest:
        size = next((at for at, char in enumerate(rest) if char not in "0123456789."), len(rest))
        number, rest = rest[:size], rest[size:]
        size = next((at for at, char in enumerate(rest) if char in "0123456789."), len(rest))
        unit, rest = rest[:size], rest[size:]
        if unit not in _UNITS or number.count(".") > 1 or not number.strip("."):
            raise complaint
        total += float(number) * _UNITS[unit]
    if not text.strip("+-"):
        raise complaint
    return Duration(-total if text[0] == "-" else total)


def address_bytes(text: str) -> bytes | None:
    """The 4 or 16 bytes of an IP address, None when it is none. The C library reads it: no module to import."""
    from _socket import AF_INET, AF_INET6, inet_pton

    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return None


def network_bounds(text: str) -> tuple[int, int, int] | None:
    """First and last address of a network as numbers, and the addresses' size in bytes; None when it is no network."""
    address, slash, length = text.partition("/")
    raw = address_bytes(address)
    if raw is None or not slash or not (length.isascii() and length.isdigit()) or int(length) > 8 * len(raw):
        return None
    host = (1 << (8 * len(raw) - int(length))) - 1
    number = int.from_bytes(raw, "big")
    return number & ~host, number | host, len(raw)


def check_ip(text: str) -> str | None:
    address, percent, zone = text.partition("%")
    if address_bytes(address) is None or (percent and (not zone or ":" not in address)):
        return f'expected an IP address, found "{text}"'
    return None


def check_network(text: str) -> str | None:
    """An address with a prefix length. Host bits may be set: interfaces are configured that way."""
    if network_bounds(text) is not None:
        return None
    if address_bytes(text) is not None:
        return f'expected a prefix length behind "{text}", like {text}/{128 if ":" in text else 24}'
    return f'expected an address with a prefix length like 10.0.0.5/24, found "{text}"'


def check_network_or_not(text: str) -> str | None:
    return check_network(text.removeprefix("!"))


def check_address(text: str) -> str | None:
    """An address with or without a prefix length."""
    return check_network(text) if "/" in text else check_ip(text)


def check_mac(text: str) -> str | None:
    parts = text.split(":")
    if len(parts) == 6 and all(len(part) == 2 and not part.strip("0123456789abcdefABCDEF") for part in parts):
        return None
    return f'expected a hardware address like 02:00:00:00:00:01, found "{text}"'


def check_duid(text: str) -> str | None:
    """By what DHCP servers know a host: 3 to 130 bytes (RFC 8415, 11.1), with colons between them or without."""
    digits = text.replace(":", "")
    if len(digits) % 2 == 0 and 6 <= len(digits) <= 260 and not digits.strip("0123456789abcdefABCDEF"):
        return None
    return f'expected 3 to 130 bytes in hexadecimal like 00030001020000000001, found "{text}"'


def check_hostname(text: str) -> str | None:
    """RFC 1123: labels of letters, digits and inner hyphens, up to 63 bytes each, 253 together."""
    labels = text.split(".")
    if len(text) <= 253 and all(map(_is_label, labels)):
        return None
    return f'expected a host name of letters, digits, dots and inner hyphens, found "{text}"'


def _is_label(label: str) -> bool:
    letters = label.replace("-", "a")
    return 0 < len(label) < 64 and letters.isascii() and letters.isalnum() and label[0] != "-" and label[-1] != "-"


def check_san(text: str) -> str | None:
    name = text.removeprefix("*.")
    if check_ip(text) is None or check_hostname(name) is None:
        return None
    return f'expected an IP address or a DNS name, found "{text}"'


def check_url(text: str) -> str | None:
    if host_of(text):
        return None
    return f'expected a URL like https://10.0.0.2:6443, found "{text}"'


def host_of(url: str) -> str:
    """The host in a URL, empty when the text is not a URL with one (RFC 3986, 3)."""
    scheme, found, rest = url.partition("://")
    if not found or not (scheme.isascii() and scheme[:1].isalpha() and scheme.strip("+-.").replace("+", "").isalnum()):
        return ""
    end = min([len(rest), *(at for sign in "/?#" if (at := rest.find(sign)) >= 0)])
    place = rest[:end].rpartition("@")[2]
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not colon:
        host, port = place, "1"
    if host.startswith("["):
        host = host[1:-1] if host.endswith("]") and address_bytes(host[1:-1]) else ""
    elif ":" in host:
        host = ""
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536) or any(char.isspace() for char in url):
        return ""
    return host


def check_path(text: str) -> str | None:
    if text.startswith("/") and ".." not in text.split("/"):
        return None
    return f'expected an absolute path, found "{text}"'


def check_size(text: str) -> str | None:
    number = text.rstrip("%kKMGTPEiBb ")
    try:
        float(number)
    except ValueError:
        return f'expected a size like 10GiB, found "{text}"'
    return None if text[len(number) :].strip().lower() in _SIZES else f'expected a size like 10GiB, found "{text}"'


_SIZES = frozenset(["", "b", "%", *(f"{prefix}{suffix}" for prefix in "kmgtpe" for suffix in ("", "b", "i", "ib"))])


def check_link_name(text: str) -> str | None:
    """The kernel's rule for an interface's name: 1 to 15 bytes, no slash, no white space."""
    if 0 < len(text.encode()) < 16 and "/" not in text and not any(char.isspace() for char in text):
        return None
    return f'expected an interface name of at most 15 characters, found "{text}"'


def check_token(text: str) -> str | None:
    """A join token: six and sixteen lower-case letters or digits with a dot between."""
    head, dot, tail = text.partition(".")
    if dot and len(head) == 6 and len(tail) == 16 and (head + tail).isalnum() and text == text.lower():
        return None
    return "expected a token of the form abcdef.0123456789abcdef (lower-case letters and digits)"


def read_mode(text: str) -> int:
    """File permissions: octal, with ``0o`` or ``0`` before or without. Raises ValueError."""
    digits = text.removeprefix("0o").removeprefix("0O")
    if digits and not digits.strip("01234567") and int(digits, 8) <= 0o7777:
        return int(digits, 8)
    raise ValueError(f'expected permissions in octal like 0o644, found "{text}"')


class FileMode(int):
    """Permission bits."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"0o{int(self):o}"


class Pem:
    """Marks a text that is PEM in base64; the decoded PEM text is the value."""


IpAddress = Annotated[str, check_ip]
Network = Annotated[str, check_network]
NetworkOrNot = Annotated[str, check_network_or_not]
Address = Annotated[str, check_address]
Hostname = Annotated[str, check_hostname]
Mac = Annotated[str, check_mac]
Duid = Annotated[str, check_duid]
San = Annotated[str, check_san]
Url = Annotated[str, check_url]
AbsolutePath = Annotated[str, check_path]
Size = Annotated[str, check_size]
LinkName = Annotated[str, check_link_name]
PemText = Annotated[str, Pem]
SecretPem = Annotated[Secret, Pem]
Token = Annotated[Secret, check_token]
