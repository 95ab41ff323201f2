"""Who calls, and may they.

apid tells the caller's roles in metadata; nobody else but root can open the machine socket. A caller that is root and
tells no roles is a program of the node itself and may do everything; one that tells roles has those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dozen.machinery.roles import METADATA_KEY, NotAuthorized, Role, authorize
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:

    class Peer(Protocol):
        """The other end of the machine socket, as the kernel vouches for it."""

        @property
        def uid(self) -> int | None: ...

    class Metadata(Protocol):
        """What came beside the messages."""

        def all(self, name: str) -> list[str]: ...

    class Call(Protocol):
        """As much of a call as it takes to decide."""

        @property
        def path(self) -> str: ...
        @property
        def metadata(self) -> Metadata: ...
        @property
        def peer(self) -> Peer: ...


def read_roles(call: Call) -> frozenset[str]:
    """The roles that the caller of a method has."""
    told = call.metadata.all(METADATA_KEY)
    if not told and call.peer.uid == 0:
        return frozenset({Role.ADMIN})
    # Several may come in one value: proxies on the way are free to join repeated fields (RFC 9110, section 5.3).
    return frozenset(role.strip() for value in told for role in value.split(",") if role.strip())


def check_access(call: Call, *, maintenance: bool) -> None:
    """Raise PERMISSION_DENIED unless the caller may call this method."""
    try:
        authorize(call.path, read_roles(call), maintenance=maintenance)
    except NotAuthorized as refusal:
        raise RpcError(Code.PERMISSION_DENIED, str(refusal)) from None
