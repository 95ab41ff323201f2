"""Every kind's table, definition and name, and both renderings of every spec against independent readers of them."""

from __future__ import annotations

import base64
import ipaddress
import json
import math
import sys
from pathlib import Path

import msgspec
import pytest
import yaml as pyyaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    json_format,
    message_factory,
    struct_pb2,
)
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources import NAMESPACES, all_kinds, proto, yaml
from dozen.machinery.resources.config import MachineConfigSpec
from dozen.machinery.resources.enums import ENUMS, FLAGS, flags_of, flags_text, number_of
from dozen.machinery.resources.meta import define_kind, definition_id
from dozen.machinery.resources.spec import Row, Spec, wire_rows

KINDS = all_kinds()
CASES = json.loads((Path(__file__).parents[2] / "cases" / "resources.json").read_text())
FIELD = descriptor_pb2.FieldDescriptorProto

SCALARS = {
    "string": FIELD.TYPE_STRING,
    "bool": FIELD.TYPE_BOOL,
    "int32": FIELD.TYPE_INT32,
    "int64": FIELD.TYPE_INT64,
    "uint32": FIELD.TYPE_UINT32,
    "uint64": FIELD.TYPE_UINT64,
    "double": FIELD.TYPE_DOUBLE,
    "bytes": FIELD.TYPE_BYTES,
    "text": FIELD.TYPE_BYTES,
    "hwaddr": FIELD.TYPE_BYTES,
}


def struct_named(cls: type[msgspec.Struct], name: str) -> type[msgspec.Struct]:
    found = getattr(sys.modules[cls.__module__], name)
    assert issubclass(found, Spec)
    return found


class Descriptions:
    """Descriptions of all structs for protobuf's own machinery, made from their tables."""

    def __init__(self) -> None:
        self.file = descriptor_pb2.FileDescriptorProto(name="specs.proto", package="t", syntax="proto3")
        self.file.dependency.extend([duration_pb2.DESCRIPTOR.name, struct_pb2.DESCRIPTOR.name])
        self.names: dict[type[msgspec.Struct], str] = {}
        for name in ("Ip", "Prefix"):
            message = self.file.message_type.add(name=name)
            message.field.add(name="ip", number=1, type=FIELD.TYPE_BYTES, label=FIELD.LABEL_OPTIONAL)
        message.field.add(name="prefix_length", number=2, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL)

    def describe(self, cls: type[msgspec.Struct]) -> str:
        if cls not in self.names:
            name = self.names[cls] = f"{cls.__module__.rpartition('.')[2].capitalize()}{cls.__name__}"
            message = self.file.message_type.add(name=name)
            for row in wire_rows(cls):
                self.describe_field(cls, message, row)
        return self.names[cls]

    def describe_field(self, cls: type[msgspec.Struct], message: descriptor_pb2.DescriptorProto, row: Row) -> None:
        field = message.field.add(name=row.attribute, number=row.number, label=FIELD.LABEL_OPTIONAL)
        if row.type[0] in "[{":
            field.label = FIELD.LABEL_REPEATED
        type_ = row.type.strip("[]")
        if type_ in SCALARS:
            field.type = SCALARS[type_]
        elif type_.startswith(("enum:", "flags:")):
            # an enum, which may be negative, and an int32 look the same on the wire
            field.type = FIELD.TYPE_INT32 if type_.startswith("enum:") else FIELD.TYPE_UINT32
        else:
            field.type = FIELD.TYPE_MESSAGE
            known = {
                "addr": ".t.Ip",
                "prefix": ".t.Prefix",
                "addrport": ".t.Prefix",  # an address and a number there, too
                "duration": ".google.protobuf.Duration",
                "timestamp": ".google.protobuf.Duration",  # a Timestamp has the same fields
                "json": ".google.protobuf.Struct",
            }
            if type_.startswith("{"):
                field.type_name = f".t.{message.name}.{self.describe_map(cls, message, row)}"
            else:
                field.type_name = known.get(type_) or f".t.{self.describe(struct_named(cls, type_))}"

    def describe_map(self, cls: type[msgspec.Struct], message: descriptor_pb2.DescriptorProto, row: Row) -> str:
        entry = message.nested_type.add(name=row.attribute.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        for key, number in (("key", 1), ("value", 2)):
            entry.field.add(name=key, number=number, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
        if (inner := row.type.strip("{}")) == "bool":
            entry.field[1].type = FIELD.TYPE_BOOL
        elif inner != "string":
            entry.field[1].type = FIELD.TYPE_MESSAGE
            entry.field[1].type_name = f".t.{self.describe(struct_named(cls, inner))}"
        return entry.name


def build_messages() -> dict[type[msgspec.Struct], type[Message]]:
    """A message class for every struct."""
    descriptions = Descriptions()
    for kind in KINDS:
        descriptions.describe(kind.spec)
    pool = descriptor_pool.DescriptorPool()
    for known in (duration_pb2, struct_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        known.DESCRIPTOR.CopyToProto(file)
        pool.Add(file)
    pool.Add(descriptions.file)
    found = {cls: pool.FindMessageTypeByName(f"t.{name}") for cls, name in descriptions.names.items()}
    return {cls: message_factory.GetMessageClass(descriptor) for cls, descriptor in found.items()}


MESSAGES = build_messages()

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def prefixes(draw: st.DrawFn) -> str:
    address = draw(addresses)
    return f"{address}/{draw(st.integers(0, 128 if ':' in address else 32))}"


@st.composite
def places(draw: st.DrawFn) -> str:
    address = draw(addresses)
    return f"{f'[{address}]' if ':' in address else address}:{draw(st.integers(1, 65535))}"


SIMPLE: dict[str, st.SearchStrategy[object]] = {
    "string": texts,
    "text": texts,
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=8),
    "addr": addresses,
    "prefix": prefixes(),
    "addrport": places(),
    "hwaddr": st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":")),
    "duration": st.integers(-(10**18), 10**18),
    "timestamp": st.integers(0, 10**19),
    "{string}": st.dictionaries(texts, texts, max_size=3),
    "{bool}": st.dictionaries(texts, st.booleans(), max_size=3),
    "json": st.dictionaries(
        texts,
        st.recursive(
            st.none() | st.booleans() | texts | st.integers(-(2**31), 2**31).map(float),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
            max_leaves=6,
        ),
        max_size=3,
    ),
}


def values(cls: type[msgspec.Struct], type_: str) -> st.SearchStrategy[object]:
    if type_ in SIMPLE:
        return SIMPLE[type_]
    if type_.startswith("["):
        return st.lists(values(cls, type_[1:-1]), max_size=3).map(tuple)
    if type_.startswith("{"):
        return st.dictionaries(texts, values(cls, type_[1:-1]), max_size=3)
    sort, _, name = type_.partition(":")
    if sort == "enum":
        return st.sampled_from(sorted(ENUMS[name]))
    if sort == "flags":
        return st.sets(st.sampled_from(sorted(FLAGS[name]))).map(lambda found: ",".join(sorted(found)))
    return specs(struct_named(cls, type_))


def specs(cls: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    fields = {}
    for row in wire_rows(cls):
        found = values(cls, row.type)
        optional = row.attribute in _optional(cls)
        fields[row.attribute] = st.none() | found if optional else found
    return st.builds(cls, **fields)


def _optional(cls: type[msgspec.Struct]) -> set[str]:
    required = len(cls.__struct_fields__) - len(cls.__struct_defaults__)
    defaults = zip(cls.__struct_fields__[required:], cls.__struct_defaults__, strict=True)
    return {name for name, default in defaults if default is None}


def plain(cls: type[msgspec.Struct], value: object, type_: str) -> object:  # noqa: C901 - one case for each type
    """What protobuf's own decoder should have found for a value."""
    if type_.startswith("["):
        return [plain(cls, each, type_[1:-1]) for each in value]  # type: ignore[attr-defined]
    if isinstance(value, dict) and type_ != "json":
        return {key: plain(cls, each, type_[1:-1]) for key, each in value.items()}
    sort, _, name = type_.partition(":")
    if value is None:
        return False if type_ == "bool" else None
    match sort:
        case "text":
            return value.encode()  # type: ignore[attr-defined]
        case "addr":
            return ipaddress.ip_address(value).packed  # type: ignore[arg-type]
        case "prefix":
            address = ipaddress.ip_interface(value)  # type: ignore[arg-type]
            return address.packed, address.network.prefixlen
        case "addrport":
            host, _, port = value.rpartition(":")  # type: ignore[attr-defined]
            return ipaddress.ip_address(host.strip("[]")).packed, int(port)
        case "hwaddr":
            return bytes.fromhex(value.replace(":", ""))  # type: ignore[attr-defined]
        case "enum":
            return ENUMS[name][value]  # type: ignore[index]
        case "flags":
            return sum(FLAGS[name][each] for each in value.split(",") if each)  # type: ignore[attr-defined]
    if isinstance(value, msgspec.Struct):
        return {
            row.attribute: plain(type(value), getattr(value, row.attribute), row.type) for row in wire_rows(type(value))
        }
    return value


def decoded(cls: type[msgspec.Struct], message: Message, type_: str = "") -> object:
    """A message as the same plain values."""
    out = {}
    for row in wire_rows(cls):
        value = getattr(message, row.attribute)
        repeated = row.type.startswith("[")
        inner = row.type.strip("[]{}")

        def one(value: object, inner: str = inner) -> object:
            if inner == "addr":
                return value.ip  # type: ignore[attr-defined]
            if inner in ("prefix", "addrport"):
                return value.ip, value.prefix_length  # type: ignore[attr-defined]
            if inner in ("duration", "timestamp"):
                return value.seconds * 10**9 + value.nanos  # type: ignore[attr-defined]
            if inner == "json":
                return json_format.MessageToDict(value)
            return decoded(struct_named(cls, inner), value) if isinstance(value, Message) else value

        if row.type.startswith("{"):
            out[row.attribute] = {key: one(value[key]) for key in value}
        elif repeated:
            out[row.attribute] = [one(each) for each in value]
        elif isinstance(value, Message) and inner not in (
            "addr",
            "prefix",
            "addrport",
            "duration",
            "timestamp",
            "json",
        ):
            out[row.attribute] = one(value) if message.HasField(row.attribute) else None
        else:
            out[row.attribute] = one(value)
    return out


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_protobuf_reads_what_we_encode(kind: Kind[Spec], data: st.DataObject) -> None:
    spec = data.draw(specs(kind.spec))
    message = MESSAGES[kind.spec].FromString(proto.encode(spec))
    assert decoded(kind.spec, message) == plain(kind.spec, spec, "")
    message.DiscardUnknownFields()
    assert len(message.SerializeToString()) == len(proto.encode(spec)), "there is something that no field explains"


def readable(cls: type[msgspec.Struct], spec: msgspec.Struct) -> object:
    """What a YAML reader should find."""
    out: dict[str, object] = {}
    for row in wire_rows(cls):
        value = getattr(spec, row.attribute)
        if row.name == "@":
            return value
        if row.omit and not value and not isinstance(value, msgspec.Struct):
            continue
        shown = _readable_value(value, row.type)
        if row.inline:
            assert isinstance(shown, dict)
            out |= shown
        else:
            out[row.name] = shown
    return out


def _readable_value(value: object, type_: str) -> object:
    if isinstance(value, msgspec.Struct):
        return readable(type(value), value)
    if isinstance(value, tuple):
        return [_readable_value(each, type_[1:-1]) for each in value]
    if isinstance(value, dict) and type_ != "json":
        return {key: _readable_value(each, type_[1:-1]) for key, each in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    shown = {"duration": yaml.duration, "timestamp": yaml.timestamp}.get(type_)
    return shown(value) if shown is not None and isinstance(value, int) else value


class OldReader(pyyaml.SafeLoader):
    """YAML 1.1 as PyYAML knows it, except for exponents without a dot, which it alone takes for text."""


OldReader.add_implicit_resolver(
    "tag:yaml.org,2002:float", pyyaml.resolver.re.compile(r"-?[0-9]+(\.[0-9]+)?e[-+]?[0-9]+$"), list("-0123456789")
)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_yaml_readers_read_what_we_render(kind: Kind[Spec], data: st.DataObject) -> None:
    spec = data.draw(specs(kind.spec))
    found = pyyaml.load(yaml.render(spec), OldReader)
    assert found == readable(kind.spec, spec)


@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_string_survives_yaml(value: str) -> None:
    assert pyyaml.safe_load(f"key: {yaml.text(value)}\n") == {"key": value}


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("a: #-'\"|>\n\t{}[]&*!%@`yesno10x.~")))
def test_any_tricky_text_survives_as_block_or_quoted(value: str) -> None:
    kind = next(kind for kind in KINDS if kind.display == "EtcFileSpec")
    spec = kind.spec(contents=value)
    assert pyyaml.safe_load(yaml.render(spec))["contents"] == value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["spec"])
def test_renderings_as_written_down(case: dict[str, str | dict[str, object]]) -> None:
    cls = next(kind.spec for kind in KINDS if kind.spec.__name__ == case["spec"])
    spec = msgspec.convert(case["fields"], cls, strict=True)
    assert yaml.render(spec).splitlines() == case["yaml"]
    assert proto.encode(spec).hex() == case["proto"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_defaults_render(kind: Kind[Spec]) -> None:
    rows = wire_rows(kind.spec)
    assert len({row.number for row in rows}) == len(rows), "two fields have one number"
    assert len({row.name for row in rows}) == len(rows), "two fields have one name"
    required = len(kind.spec.__struct_fields__) - len(kind.spec.__struct_defaults__)
    spec = kind.spec(**dict.fromkeys(kind.spec.__struct_fields__[:required], ""))
    pyyaml.safe_load(yaml.render(spec))
    MESSAGES[kind.spec].FromString(proto.encode(spec))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_columns_point_at_fields(kind: Kind[Spec]) -> None:
    for _, path in kind.columns:
        if wire_rows(kind.spec)[0].name == "@":
            continue  # the YAML is the value itself
        cls: type[msgspec.Struct] = kind.spec
        for name in path.strip("{}").replace("[*]", "").removesuffix("[:]").strip(".").split("."):
            row = next((row for row in wire_rows(cls) if row.name == name), None)
            assert row is not None, f"{path} is not in the YAML"
            if row.type.strip("[]")[0].isupper():
                cls = struct_named(cls, row.type.strip("[]"))


def test_names_and_aliases() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    taken: dict[str, str] = {}
    for kind in KINDS:
        assert kind.namespace in NAMESPACES
        definition = define_kind(kind)
        for name in definition.all_aliases:
            # Some short ones are taken twice on the wire, and clients say so.
            if "." in name or (name.endswith("es") and len(name) > 2):
                assert taken.setdefault(name, kind.name) == kind.name, f"{name} is ambiguous"
        assert definition_id(kind) not in definition.all_aliases


def test_secrets_are_sensitive() -> None:
    sensitive = {kind.display for kind in KINDS if kind.sensitivity is Sensitivity.SENSITIVE}
    assert {"MachineConfig", "ApiCertificate", "OSRootSecret", "CertSAN", "EtcFileSpec"} <= sensitive


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (20_000_000, "20ms"),
        (-1_200_000, "-1.2ms"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (3_661_000_000_001, "1h1m1.000000001s"),
    ],
)
def test_durations_look_familiar(nanoseconds: int, shown: str) -> None:
    assert yaml.duration(nanoseconds) == shown


def test_enums_take_numbers_and_refuse_nonsense() -> None:
    assert number_of("RoutingTable", "main") == 254
    assert number_of("RoutingTable", "100") == 100
    assert number_of("MachineStage", "shutting down") == 6
    with pytest.raises(ValueError, match="no value named 'nonsense'"):
        number_of("RoutingTable", "nonsense")
    with pytest.raises(ValueError, match="no flag named"):
        flags_of("LinkFlags", "UP,NONSENSE")


@given(st.sampled_from(sorted(FLAGS)), st.integers(0, 2**20 - 1))
def test_flags_round_trip(names: str, bits: int) -> None:
    assert flags_of(names, flags_text(names, bits)) == bits


def test_table_must_fit_the_fields() -> None:
    class Broken(Spec):
        name: str = ""

        WIRE = "1 name string, 2 size int64"

    with pytest.raises(TypeError, match="1 fields and 2 rows"):
        wire_rows(Broken)


def test_unknown_text_is_left_out_of_protobuf() -> None:
    kind = next(kind for kind in KINDS if kind.display == "AddressStatus")
    spec = kind.spec(address="nonsense", family="inet9", scope="global", flags="what")
    assert proto.encode(spec) == b""


def test_special_doubles_survive() -> None:
    kind = next(kind for kind in KINDS if kind.display == "CPUCore")
    for value in (math.inf, -math.inf):
        assert pyyaml.safe_load(yaml.render(kind.spec(bogo_mips=value)))["bogoMips"] == value


@pytest.mark.parametrize("text", ["...", "... more", "....", "---", "--- more"])
def test_marks_of_documents_are_quoted(text: str) -> None:
    """A spec that is one text stands at the start of a line, where these would end or begin a document."""
    rendered = yaml.render(MachineConfigSpec(text=text))
    assert rendered == f'"{text}"\n'


def test_times_are_rfc_3339() -> None:
    assert yaml.timestamp(0) == "1970-01-01T00:00:00Z"
    assert yaml.timestamp(1_767_323_045_250_000_000) == "2026-01-02T03:04:05.25Z"
