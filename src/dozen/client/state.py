"""Resources of a node: what there is (definitions), the records themselves, and their changes.

A person names a type by its full name or by one of its aliases; the node's own *resource definitions* say which are
there, in which namespace they live and which columns a table of them has. Specs arrive as YAML text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from dozen.client.errors import ClientError
from dozen.client.machine import Node
from dozen.machinery import yaml
from dozen.machinery.messages import message

SERVICE = "/cosi.resource.State/"
DEFINITIONS, META_NAMESPACE = "ResourceDefinitions.meta.cosi.dev", "meta"
CONFIG = ("MachineConfigs.config.talos.dev", "config", "v1alpha1")
"""Type, namespace and id of the configuration that a node runs with."""
API_VERSION = 1


class Definition(NamedTuple):
    """A type of resource. ``columns`` are (title, JSONPath over the spec)."""

    type: str
    display: str
    namespace: str
    aliases: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    sensitive: bool


class Record(NamedTuple):
    """One resource as it arrived. ``spec`` is plain data, ``text`` its YAML; times are seconds since the epoch."""

    namespace: str
    type: str
    id: str
    version: str
    owner: str
    phase: str
    created: float
    updated: float
    finalizers: tuple[str, ...]
    labels: dict[str, str]
    annotations: dict[str, str]
    text: str

    @property
    def spec(self) -> Any:
        return yaml.load(self.text, self.id) if self.text else None


class Change(NamedTuple):
    """What happened: CREATED, UPDATED, DESTROYED, BOOTSTRAPPED (all that was there has been told) or ERRORED."""

    kind: str
    record: Record | None
    old: Record | None
    error: str = ""


async def definitions(node: Node) -> list[Definition]:
    """All types that the node has, by name."""
    found = [_read_definition(record.spec) async for record in list_records(node, DEFINITIONS, META_NAMESPACE)]
    return sorted(found, key=lambda definition: definition.type)


def resolve(name: str, known: Sequence[Definition]) -> Definition:
    """The type that a person means. Raises ClientError when there is none, or more than one."""
    wanted = name.lower()
    exact = [each for each in known if each.type.lower() == wanted]
    found = exact or [
        each for each in known if wanted == each.display.lower() or wanted in (a.lower() for a in each.aliases)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.type for each in found)
        raise ClientError(f'"{name}" may mean {names}', "write the whole name")
    import difflib

    words = {alias: each.type for each in known for alias in (each.display.lower(), *each.aliases)}
    near = difflib.get_close_matches(wanted, words, n=1)
    hint = f'did you mean "{near[0]}"?' if near else "`dozenctl get rd` lists what there is"
    raise ClientError(f'there is no type of resource called "{name}"', hint)


async def get_record(node: Node, type: str, namespace: str, id: str) -> Record:
    request = message("cosi.resource.GetRequest")(namespace=namespace, type=type, id=id)
    return _read_record((await node.ask(SERVICE + "Get", request)).resource)


async def list_records(node: Node, type: str, namespace: str) -> AsyncIterator[Record]:
    request = message("cosi.resource.ListRequest")(namespace=namespace, type=type)
    async for reply in node.listen(SERVICE + "List", request):
        yield _read_record(reply.resource)


async def watch(node: Node, type: str, namespace: str, id: str = "") -> AsyncIterator[Change]:
    """What is there, then what changes. The first, empty answer of the server is not passed on."""
    request = message("cosi.resource.WatchRequest")(namespace=namespace, type=type, api_version=API_VERSION)
    if id:
        request.id = id
    else:
        request.options.bootstrap_contents = True
    kinds = message("cosi.resource.Event").DESCRIPTOR.fields_by_name["event_type"].enum_type.values_by_number
    async for reply in node.listen(SERVICE + "Watch", request):
        for event in reply.event:
            kind = kinds[event.event_type].name if event.event_type in kinds else str(event.event_type)
            yield Change(
                kind,
                _read_record(event.resource) if event.HasField("resource") else None,
                _read_record(event.old) if event.HasField("old") else None,
                event.error,
            )


def config_text(spec: Any) -> str:
    """The text of a machine configuration from the spec of its resource: some nodes send text, some the data."""
    return spec if isinstance(spec, str) else yaml.dump(spec)


def _read_definition(spec: Any) -> Definition:
    return Definition(
        type=spec["type"],
        display=spec.get("displayType") or spec["type"].partition(".")[0],
        namespace=spec.get("defaultNamespace") or "",
        aliases=tuple(dict.fromkeys([*(spec.get("aliases") or ()), *(spec.get("allAliases") or ())])),
        columns=tuple((column["name"], column["jsonPath"]) for column in spec.get("printColumns") or ()),
        sensitive=spec.get("sensitivity") == "sensitive",
    )


def _read_record(resource: Any) -> Record:
    meta = resource.metadata
    return Record(
        namespace=meta.namespace,
        type=meta.type,
        id=meta.id,
        version=meta.version,
        owner=meta.owner,
        phase=meta.phase,
        created=meta.created.seconds + meta.created.nanos / 1e9,
        updated=meta.updated.seconds + meta.updated.nanos / 1e9,
        finalizers=tuple(meta.finalizers),
        labels=dict(meta.labels),
        annotations=dict(meta.annotations),
        text=resource.spec.yaml_spec,
    )
