"""Strategic merge patches: a partial configuration, laid over a whole one.

The rules are those of the public machinery, so that patches that people have do what they did:

* mappings are merged key by key; a scalar replaces a scalar; ``null`` changes nothing;
* a list is appended to the list that is there, but for the lists in `REPLACED`, which take its place, and those in
  `KEYED`, whose members are merged with the member that has the same key;
* ``$patch: delete`` in a mapping removes the key that the mapping is under, in a member of a list removes the member
  that has the patch's other values, and at the top of a document removes the document;
* documents beside the v1alpha1 one are matched by kind and name; one that is not there yet is added.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dozen.machinery.config.patches.places import Place
from dozen.machinery.config.problems import ConfigError, Problem
from dozen.machinery.yaml import MapNode, Node, Scalar, SeqNode, plain

# Paths have no indexes: "interfaces.vlans" are the vlans of every interface. The first part is the document's kind,
# empty for the v1alpha1 one.
REPLACED = frozenset(
    (
        (":cluster.network.podSubnets"),
        (":cluster.network.serviceSubnets"),
        (":cluster.apiServer.auditPolicy"),
        "BGPInstanceConfig:advertise",
        "BGPInstanceConfig:importRoutes",
        "BGPInstanceConfig:neighbors",
        "CRIBaseRuntimeSpecConfig:overrides",
        "KubeAuditPolicyConfig:configuration",
        "KubeAuthenticationConfig:configuration",
        "KubeCredentialProviderConfig:configuration",
        "KubeNetworkConfig:podSubnets",
        "KubeNetworkConfig:serviceSubnets",
        "KubeStaticPodConfig:pod",
        "NetworkRuleConfig:ingress",
        "NetworkRuleConfig:portSelector.ports",
    )
)
# List → keys that tell its members apart; the first that a member of the patch has is the one that counts.
KEYED: dict[str, tuple[str, ...]] = {
    ":machine.network.interfaces": ("interface", "deviceSelector"),
    ":machine.network.interfaces.vlans": ("vlanId",),
    ":cluster.apiServer.admissionControl": ("name",),
    "ExtensionServiceConfig:configFiles": ("mountPath",),
}
MARK = "$patch"


class Strategic(msgspec.Struct, frozen=True):
    """A patch that was read; ``source`` names it in complaints."""

    documents: tuple[MapNode, ...]
    source: str

    def apply(self, documents: Sequence[Node]) -> list[Node]:
        """New documents; the given ones are left as they are. Raises ConfigError."""
        merge = _Merge(self.source)
        found = list(documents)
        for change in self.documents:
            name = _identity(change)
            at = next((at for at, each in enumerate(found) if _identity(each) == name), None)
            place = Place(name[0] or "", "")
            if at is None:
                if not _deletes(change):
                    found.append(merge.fresh(change, place))
            elif _deletes(change):
                if name == MAIN:
                    raise ConfigError(
                        self.source, [Problem("", change.line, "the v1alpha1 document cannot be deleted")]
                    )
                del found[at]
            else:
                found[at] = merge.node(found[at], change, place)
        if merge.problems:
            raise ConfigError(self.source, merge.problems)
        return found


def read(documents: Sequence[Node], source: str) -> Strategic:
    """Checks what can be checked of a part: names of fields and types of values. Raises ConfigError."""
    from dozen.machinery.config.patches.checking import check

    problems = [
        Problem("", node.line, "expected a mapping, like the part of a configuration that is to differ")
        for node in documents
        if not isinstance(node, MapNode)
    ]
    maps = tuple(node for node in documents if isinstance(node, MapNode))
    problems += [problem for node in maps for problem in check(node)]
    if problems:
        raise ConfigError(source, problems)
    return Strategic(maps, source)


MAIN = ("", "")


def _identity(node: Node) -> tuple[str, str]:
    """Kind and name of a document."""
    if not isinstance(node, MapNode) or not ("kind" in node.items or "apiVersion" in node.items):
        return MAIN
    return node.text("kind") or "", node.text("name") or ""


def _deletes(node: Node) -> bool:
    return isinstance(node, MapNode) and node.text(MARK) == "delete"


class _Merge:
    """One application of a patch; collects what does not fit."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def node(self, old: Node, new: Node, place: Place) -> Node:
        if isinstance(new, Scalar) and new.null:
            return old
        if isinstance(old, Scalar) and old.null:
            return self.fresh(new, place)
        if place.pattern in REPLACED or place.is_argument:
            return self.fresh(new, place)
        if isinstance(old, MapNode) and isinstance(new, MapNode):
            return self.mapping(old, new, place)
        if isinstance(old, SeqNode) and isinstance(new, SeqNode):
            return self.sequence(old, new, place)
        if type(old) is not type(new):
            from dozen.machinery.config.decode import describe

            words = f"expected {_WANTED[type(old)]} as in the configuration, found {describe(new)}"
            self.problems.append(Problem(place.path, new.line, words))
            return old
        return new

    def mapping(self, old: MapNode, new: MapNode, place: Place) -> MapNode:
        items, keys = dict(old.items), dict(old.keys)
        for key, value in new.items.items():
            inner = place.key(key)
            if _deletes(value):
                if key not in items:
                    self.problems.append(Problem(inner.path, new.keys[key], "there is nothing to delete"))
                items.pop(key, None)
                keys.pop(key, None)
            elif key in items:
                items[key] = self.node(items[key], value, inner)
            else:
                items[key], keys[key] = self.fresh(value, inner), new.keys[key]
        return MapNode(old.line, items, keys)

    def sequence(self, old: SeqNode, new: SeqNode, place: Place) -> SeqNode:
        members = list(old.items)
        for at, value in enumerate(new.items):
            inner = place.member(at)
            twin = self._find(members, value, KEYED.get(place.pattern, ()))
            if _deletes(value):
                twin = self._find_deleted(members, value, inner)
                if twin is not None:
                    del members[twin]
            elif twin is not None:
                members[twin] = self.node(members[twin], value, inner)
            else:
                members.append(self.fresh(value, inner))
        return SeqNode(old.line, members)

    def fresh(self, new: Node, place: Place) -> Node:
        """A value where none was: without marks of deletion, for which there is nothing to do."""
        if isinstance(new, MapNode):
            kept = {key: value for key, value in new.items.items() if not _deletes(value)}
            items = {key: self.fresh(value, place.key(key)) for key, value in kept.items()}
            return MapNode(new.line, items, {key: new.keys[key] for key in items})
        if isinstance(new, SeqNode):
            return SeqNode(
                new.line,
                [self.fresh(each, place.member(at)) for at, each in enumerate(new.items) if not _deletes(each)],
            )
        return new

    @staticmethod
    def _find(members: Sequence[Node], value: Node, keys: tuple[str, ...]) -> int | None:
        """Where the member is that ``value`` is about."""
        key = next((key for key in keys if isinstance(value, MapNode) and key in value.items), None)
        if key is None or not isinstance(value, MapNode):
            return None
        wanted = _comparable(value.items[key])
        for at, each in enumerate(members):
            if isinstance(each, MapNode) and key in each.items and _comparable(each.items[key]) == wanted:
                return at
        return None

    def _find_deleted(self, members: Sequence[Node], value: Node, place: Place) -> int | None:
        assert isinstance(value, MapNode)
        wanted = {key: _comparable(item) for key, item in value.items.items() if key != MARK}
        for at, each in enumerate(members):
            if (
                wanted
                and isinstance(each, MapNode)
                and wanted.items() <= {key: _comparable(item) for key, item in each.items.items()}.items()
            ):
                return at
        words = (
            "no member of the list has these values" if wanted else "needs a value that tells which member to delete"
        )
        self.problems.append(Problem(place.path, value.line, words))
        return None


_WANTED: dict[type[Node], str] = {MapNode: "a mapping", SeqNode: "a list", Scalar: "a single value"}


def _comparable(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else repr(plain(node))
