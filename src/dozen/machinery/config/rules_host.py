"""Rules about files, variables and authorities of the host (see `rules`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dozen.machinery.config import host
from dozen.machinery.config.scalars import host_of

if TYPE_CHECKING:
    from dozen.machinery.config.documents.block import ZswapConfig
    from dozen.machinery.config.documents.network import HTTPProbeConfig, TCPProbeConfig
    from dozen.machinery.config.documents.runtime import (
        EnvironmentConfig,
        EtcFileConfig,
        EventSinkConfig,
        WatchdogTimerConfig,
    )
    from dozen.machinery.config.loading import Config

# A busy node must have time to feed it, seconds.
SHORTEST_WATCH = 10.0
Complaint = tuple[str, str]


def check_host(config: Config) -> Iterator[Complaint]:
    """Complaints about the ``machine`` part."""
    assert config.machine is not None
    yield from _files(config)
    yield from _variables("machine.env", config.machine.env)
    for at, profile in enumerate(config.machine.seccomp_profiles):
        if not profile.name or "/" in profile.name or profile.name.startswith("."):
            yield f"machine.seccompProfiles[{at}].name", f'expected the name of a file, found "{profile.name}"'
    for at, each in enumerate(config.machine.logging.destinations):
        yield from _receiver(f"machine.logging.destinations[{at}].endpoint", each.endpoint)


def _files(config: Config) -> Iterator[Complaint]:
    assert config.machine is not None
    files = config.machine.files
    seen = Counter(file.path for file in files if file.op != host.APPEND)
    for at, file in enumerate(files):
        path = f"machine.files[{at}].path"
        if seen[file.path] > 1 and file.op != host.APPEND:
            yield path, f"{file.path} is written more than once"
        if file.path.startswith(host.RUNTIME_PARTS):
            yield from _part(f"machine.files[{at}].content", file.content)
        if reason := host.reason_against(file.path):
            yield path, f"{file.path} {reason}"
        elif file.op == host.CREATE and not file.path.startswith(("/var/", host.RUNTIME_PARTS)):
            yield path, f'{file.path} is not under /var, the only place with op "create"; there is EtcFileConfig'


def _variables(path: str, values: Mapping[str, str]) -> Iterator[Complaint]:
    for name, value in values.items():
        if not host.is_variable_name(name):
            yield path, f'"{name}" is not a name of a variable: letters, digits and _, and no digit in front'
        elif "\0" in value:
            yield f'{path}["{name}"]', "has a zero byte"


def check_host_document(model: object) -> Iterator[Complaint]:
    """Complaints about a document of its own, with paths in it."""
    yield from _DOCUMENTS[type(model).__name__](model)


def check_ethernet_document(model: object) -> Iterator[Complaint]:
    """Rules of EthernetConfig: what drivers are told are numbers of 32 bits."""
    said: Any = model
    for part in ("rings", "channels"):
        settings = getattr(said, part)
        for field in settings.__struct_fields__ if settings is not None else ():
            value = getattr(settings, field)
            if value is not None and not 0 <= value < 1 << 32:
                yield f"{part}.{field.replace('_', '-')}", f"expected a number from 0 to {(1 << 32) - 1}, found {value}"


def _environment(model: EnvironmentConfig) -> Iterator[Complaint]:
    yield from _variables("variables", model.variables)


def _etc_file(model: EtcFileConfig) -> Iterator[Complaint]:
    name = model.name
    if not name or name.startswith("/") or {".", "..", ""} & set(name.split("/")):
        yield "name", f'expected a path below /etc like "iscsi/iscsid.conf", found "{name}"'
    elif reason := host.reason_against(f"/etc/{name}"):
        yield "name", f"/etc/{name} {reason}"


def _place(model: EventSinkConfig | TCPProbeConfig) -> Iterator[Complaint]:
    if not _is_place(model.endpoint):
        yield "endpoint", f'expected a host and a port like 10.0.0.2:8080, found "{model.endpoint}"'


def _watchdog(model: WatchdogTimerConfig) -> Iterator[Complaint]:
    if not model.device:
        yield "device", "is required: the path of a watchdog's device, /dev/watchdog0 most often"
    if model.timeout is not None and model.timeout < SHORTEST_WATCH:
        yield "timeout", f"expected at least {SHORTEST_WATCH:g} s, found {model.timeout:g} s"


def _tcp_probe(model: TCPProbeConfig) -> Iterator[Complaint]:
    yield from _place(model)
    yield from _times(model)


def _http_probe(model: HTTPProbeConfig) -> Iterator[Complaint]:
    if urlsplit(model.url).scheme not in ("http", "https"):
        yield "url", f'expected a URL that begins with http:// or https://, found "{model.url}"'
    yield from _times(model)


def _times(model: HTTPProbeConfig | TCPProbeConfig) -> Iterator[Complaint]:
    for name, value in (("interval", model.interval), ("timeout", model.timeout)):
        if value is not None and value <= 0:
            yield name, f"expected more than no time, found {value:g} s"


def _part(path: str, text: str) -> Iterator[Complaint]:
    from dozen.machinery.runtimeconfig import BadPart, read_part

    try:
        read_part(text)
    except BadPart as error:
        yield path, str(error)


def _receiver(path: str, url: str) -> Iterator[Complaint]:
    parts = urlsplit(url)
    if parts.scheme not in ("tcp", "udp") or not parts.port or parts.path.strip("/"):
        yield path, f'expected a URL like tcp://10.0.0.2:5140 or udp://10.0.0.2:5140, found "{url}"'


def _is_place(text: str) -> bool:
    """Whether a text is a host and a port."""
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536 and host_of(f"tcp://{text}") != ""


def _authorities(text: str) -> Iterator[Complaint]:
    from dozen.machinery.pki import PkiError, certificates

    try:
        certificates(text)
    except PkiError as error:
        yield "certificates", str(error)


def _zswap(model: ZswapConfig) -> Iterator[Complaint]:
    if not 0 <= model.max_pool_percent <= 100:
        yield "maxPoolPercent", f"expected a part of the memory from 0 to 100 percent, found {model.max_pool_percent}"


_DOCUMENTS: dict[str, Callable[[Any], Iterator[Complaint]]] = {
    "CRICustomizationConfig": lambda model: _part("content", model.content),
    "EnvironmentConfig": _environment,
    "EtcFileConfig": _etc_file,
    "EventSinkConfig": _place,
    "HTTPProbeConfig": _http_probe,
    "KmsgLogConfig": lambda model: _receiver("url", model.url),
    "TCPProbeConfig": _tcp_probe,
    "TrustedRootsConfig": lambda model: _authorities(model.certificates),
    "WatchdogTimerConfig": _watchdog,
    "ZswapConfig": _zswap,
}
