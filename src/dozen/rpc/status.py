"""How a call ends: the seventeen gRPC codes, and the exception that carries one.

A gRPC call always ends with a code and a text. In Python, OK is a normal return and every other code is an `RpcError`,
on both sides of the wire: a handler raises it, a caller catches it. The module also knows what a peer meant that ended
a call below gRPC: with an HTTP/2 error code or with a plain HTTP status (both tables are gRPC's own, from its "HTTP/2
protocol mapping" and "HTTP to gRPC status code mapping" pages).
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """The codes of google.rpc.Code; the numbers are the wire's."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """A call that did not end well. ``details`` is a serialized google.rpc.Status, or empty."""

    def __init__(self, code: Code, message: str = "", details: bytes = b"") -> None:
        super().__init__(code, message, details)
        self.code = code
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}" if self.message else self.code.name


# Index: the HTTP/2 error code of a RST_STREAM, 0 (NO_ERROR) to 13 (HTTP_1_1_REQUIRED).
_RESET_CODES = (
    Code.INTERNAL,
    Code.INTERNAL,
    Code.INTERNAL,
    Code.INTERNAL,
    Code.INTERNAL,
    Code.INTERNAL,
    Code.INTERNAL,
    Code.UNAVAILABLE,
    Code.CANCELLED,
    Code.INTERNAL,
    Code.INTERNAL,
    Code.RESOURCE_EXHAUSTED,
    Code.PERMISSION_DENIED,
    Code.UNKNOWN,
)

_HTTP_CODES = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}


def code_of_reset(error: int) -> Code:
    """What a RST_STREAM with this HTTP/2 error code means to a caller."""
    return _RESET_CODES[error] if 0 <= error < len(_RESET_CODES) else Code.UNKNOWN


def code_of_http(status: int) -> Code:
    """What an answer that is not gRPC's (HTTP status other than 200) means to a caller."""
    return _HTTP_CODES.get(status, Code.UNKNOWN)


def code_of_text(text: str) -> Code:
    """The code in a ``grpc-status`` field; UNKNOWN for anything that is not one."""
    try:
        return Code(int(text))
    except ValueError:
        return Code.UNKNOWN
