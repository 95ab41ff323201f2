"""The messages of the API as Python classes, made from one descriptor file when they are first asked for.

Generated code is never committed, and two of the generated modules would be called ``resource`` and ``time`` and hide
the standard library's. So the build compiles ``api/`` into one set of descriptors, ``api.binpb`` beside this module
(`dozen.compose.protos`), and classes are made from it by name::

    reply = message("machine.VersionResponse")()

Nothing of protobuf is imported before the first call. Then only the packages that the asked-for name needs are loaded,
and protobuf's C extension is used directly: going through ``google.protobuf.message_factory`` also imports the pure
Python codec, the text format and pickle, which triples the time (37 against 16 ms natively, ten times that under an
emulator) on the way to a node's first reply. A protobuf without that extension falls back to the public way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DESCRIPTORS = Path(__file__).with_name("api.binpb")

# Field numbers of google.protobuf.FileDescriptorSet and FileDescriptorProto (descriptor.proto).
_SET_FILE = 1
_FILE_NAME, _FILE_PACKAGE, _FILE_DEPENDENCY = 1, 2, 3

_LENGTH_DELIMITED = 2


class DescriptorsMissing(RuntimeError):
    """``api.binpb`` has not been made yet."""


class UnknownName(LookupError):
    """No message, enum or method is called that."""


class MalformedMessage(ValueError):
    """Bytes that are not what they were taken for."""


class MethodTypes(NamedTuple):
    """What a method takes and gives, as message classes."""

    request: Any
    response: Any
    client_streaming: bool
    server_streaming: bool


class _File(NamedTuple):
    name: str
    package: str
    dependencies: tuple[str, ...]
    data: bytes


class _Registry:
    """One descriptor pool and the classes made from it so far."""

    def __init__(self, data: bytes) -> None:
        self._files = {file.name: file for file in _split_set(data)}
        self._loaded: set[str] = set()
        self._packages: dict[str, list[str]] = {}
        for file in self._files.values():
            self._packages.setdefault(file.package, []).append(file.name)
        self._pool, self._make_class = _open_pool()
        self.classes: dict[str, Any] = {}

    def _load(self, name: str) -> None:
        if name in self._loaded:
            return
        self._loaded.add(name)
        file = self._files[name]
        for dependency in file.dependencies:
            self._load(dependency)
        self._pool.AddSerializedFile(file.data)

    def find(self, kind: str, name: str) -> Any:
        """A descriptor; ``kind`` is the pool's word for it: MessageType, EnumType, Service."""
        package = name
        while package:
            package = package.rpartition(".")[0]
            for file in self._packages.get(package, ()):
                self._load(file)
        try:
            return getattr(self._pool, f"Find{kind}ByName")(name)
        except KeyError:
            raise UnknownName(f"the API has no {kind} {name}") from None

    def find_class(self, descriptor: Any) -> Any:
        """The class of a message, made together with those of its fields, as their values need theirs."""
        known = self.classes.get(descriptor.full_name)
        if known is not None:
            return known
        made = self.classes[descriptor.full_name] = self._make_class(descriptor)
        for field in descriptor.fields:
            if field.message_type is not None:
                self.find_class(field.message_type)
        return made


_registry: _Registry | None = None


def message(name: str) -> Any:
    """The class of a message by its full name, such as ``machine.VersionResponse``; raises UnknownName."""
    registry = _open_registry()
    known = registry.classes.get(name)
    return known if known is not None else registry.find_class(registry.find("MessageType", name))


def decode(name: str, data: bytes) -> Any:
    """A message from bytes of which nobody knows where they have been. Raises MalformedMessage."""
    from google.protobuf.message import DecodeError

    try:
        return message(name).FromString(data)
    except DecodeError as error:
        raise MalformedMessage(f"not a {name}: {error}") from None


def enum(name: str) -> Any:
    """An enum by its full name: attributes are numbers, ``.Name(number)`` and ``.Value(name)`` translate."""
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    return EnumTypeWrapper(_open_registry().find("EnumType", name))


def method_types(path: str) -> MethodTypes:
    """Types and streaming of the method at ``/package.Service/Method``; raises UnknownName."""
    service_name, _, method_name = path.removeprefix("/").partition("/")
    registry = _open_registry()
    method = registry.find("Service", service_name).methods_by_name.get(method_name)
    if method is None:
        raise UnknownName(f"{service_name} has no method {method_name}")
    return MethodTypes(
        registry.find_class(method.input_type),
        registry.find_class(method.output_type),
        method.client_streaming,
        method.server_streaming,
    )


def method_paths(service_name: str) -> list[str]:
    """The paths of all methods of one service, in the order in which the API declares them."""
    service = _open_registry().find("Service", service_name)
    return [f"/{service_name}/{method.name}" for method in service.methods]


def _open_registry() -> _Registry:
    global _registry
    if _registry is None:
        try:
            data = DESCRIPTORS.read_bytes()
        except FileNotFoundError:
            raise DescriptorsMissing(
                f"{DESCRIPTORS} does not exist: run `python -m dozen.compose.protos` to make it from api/"
            ) from None
        _registry = _Registry(data)
    return _registry


def _open_pool() -> tuple[Any, Any]:
    """A new descriptor pool, and a function that makes a message class from one of its descriptors."""
    try:
        from google._upb import _message as upb
        from google.protobuf.message import Message
    except ImportError:
        from google.protobuf.descriptor_pool import DescriptorPool
        from google.protobuf.message_factory import GetMessageClass

        return DescriptorPool(), GetMessageClass

    def make_class(descriptor: Any) -> Any:
        return upb.MessageMeta(descriptor.name, (Message,), {"DESCRIPTOR": descriptor, "__module__": __name__})

    return upb.DescriptorPool(), make_class


def _split_set(data: bytes) -> Iterator[_File]:
    """The files of a FileDescriptorSet, read by hand: protobuf's own classes for this cost an import of 20 ms."""
    for number, content in _scan_fields(data):
        if number != _SET_FILE:
            continue
        name = package = ""
        dependencies = []
        for field, value in _scan_fields(content):
            if field == _FILE_NAME:
                name = value.decode()
            elif field == _FILE_PACKAGE:
                package = value.decode()
            elif field == _FILE_DEPENDENCY:
                dependencies.append(value.decode())
        yield _File(name, package, tuple(dependencies), content)


def _scan_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(field number, content) of each length-delimited field at the top level; all others there are varints."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        if tag & 7 == _LENGTH_DELIMITED:
            size, position = _read_varint(data, position)
            yield tag >> 3, data[position : position + size]
            position += size
        else:
            _, position = _read_varint(data, position)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
