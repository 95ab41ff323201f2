"""From an exception to what a person reads: one sentence, a next step, and an exit code.

Exit codes: 0 done, 1 the work failed, 2 the command was written wrongly, 3 no node could be reached, 4 not allowed,
130 interrupted. A traceback is a bug of ours and never a way to report anything.
"""

from __future__ import annotations

import os
from typing import NamedTuple

FAILED, USAGE, UNREACHABLE, DENIED, INTERRUPTED = 1, 2, 3, 4, 130


class Failure(NamedTuple):
    sentence: str
    step: str = ""
    code: int = FAILED

    def __str__(self) -> str:
        return f"{self.sentence}\n  → {self.step}" if self.step else self.sentence


# How a call that never reached a node begins; other UNAVAILABLE errors are a node's own words about something of its
# own.
_OURS = ("cannot connect to ", "no connection to ", "connection ", "the connection ")


_FILE_STEPS: dict[type[OSError], str] = {
    FileNotFoundError: "check the path; what does not begin with / is looked for in the present folder",
    PermissionError: "run this as somebody who may, or take another place",
    IsADirectoryError: "name a file in it",
    NotADirectoryError: "check the path: a part of it is a file",
    FileExistsError: "name another one, or move that one away",
}


def explain(error: BaseException, node: str = "") -> Failure | None:
    """The failure behind an exception; None for one that nobody expected, which should be seen whole."""
    from dozen.client.errors import ClientError
    from dozen.machinery.config.problems import ConfigError
    from dozen.machinery.talosconfig import TalosconfigError
    from dozen.rpc.status import RpcError

    if isinstance(error, RpcError):
        return _explain_call(error, node)
    if isinstance(error, ClientError):
        return Failure(error.message, error.step)
    if isinstance(error, TalosconfigError):
        return Failure(str(error), "`dozenctl config info` shows what is selected")
    if isinstance(error, ConfigError):
        return Failure(str(error), "correct it there; `dozenctl validate --config FILE` checks it without a node")
    if isinstance(error, OSError) and type(error) in _FILE_STEPS:
        # Our own words about a file name the way out themselves.
        step = _FILE_STEPS[type(error)] if error.strerror == os.strerror(error.errno or 0) else ""
        return Failure(f"{error.filename}: {(error.strerror or str(error)).lower()}", step)
    if isinstance(error, ValueError) and type(error).__module__.startswith("dozen."):
        return Failure(str(error), "correct that, and run this again")
    if type(error).__module__.startswith("dozen."):
        return _explain_own(error)
    return None


def _explain_own(error: BaseException) -> Failure:
    """Errors of the other rooms: ``message`` or their text, ``detail`` as evidence, ``hint`` as the next step."""
    words, detail, hint = (getattr(error, name, "") for name in ("message", "detail", "hint"))
    sentence = "\n".join(part for part in (str(words or error), detail) if isinstance(part, str) and part)
    return Failure(sentence, hint if isinstance(hint, str) else "")


def _explain_call(error: BaseException, node: str) -> Failure:
    from dozen.rpc.status import Code, RpcError

    assert isinstance(error, RpcError)
    where = f"{node}: " if node else ""
    words = error.message or error.code.name.replace("_", " ").lower()
    if error.code == Code.UNAVAILABLE and words.startswith(_OURS):
        return _explain_unreachable(where, words)
    if error.code == Code.PERMISSION_DENIED and words == "no request forwarding":
        step = "connect to that node itself with --endpoints, or through one that may forward (a control plane)"
        return Failure(f"{where}{words}", step, DENIED)
    steps = {
        Code.NOT_FOUND: "check the name; `dozenctl get TYPE`, `list FOLDER` and `services` show what there is",
        Code.UNAVAILABLE: "`dozenctl services` shows what runs there, and `dozenctl logs SERVICE` why it does not",
        Code.INTERNAL: "`dozenctl logs machined` and `dozenctl dmesg` may have more",
        Code.UNKNOWN: "`dozenctl logs machined` and `dozenctl dmesg` may have more",
        Code.UNIMPLEMENTED: "the node does not offer this (yet); `dozenctl version` shows what it runs",
        Code.DEADLINE_EXCEEDED: "try again, or look at the node's console",
        Code.RESOURCE_EXHAUSTED: "try again with less",
    }
    if error.code in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
        step = "use a context whose certificate has a role that may do this (os:admin may do everything)"
        return Failure(f"{where}{words}", step, DENIED)
    # A node that names a way out itself knows better.
    return Failure(f"{where}{words}", "" if "`" in words else steps.get(error.code, ""))


def _explain_unreachable(where: str, words: str) -> Failure:
    lowered = words.lower()
    if "connect call failed" in lowered:
        words = f"{words[: lowered.index('connect call failed')]}nothing accepts connections there"
    if "certificate verify failed" in lowered or "hostname mismatch" in lowered or "ip address mismatch" in lowered:
        step = "the node has another identity than the context expects; check the context with `dozenctl config info`"
    elif "certificate" in lowered or "tlsv1" in lowered or "sslv3" in lowered:
        step = "the node does not accept the context's certificate; it may have expired (`dozenctl config info`)"
    else:
        step = "check that the machine runs and that --endpoints leads to it"
    return Failure(f"{where}{words}", step, UNREACHABLE)
