"""Files: List, DiskUsage, Read and Copy. Nothing here holds more than a batch of what it is asked for."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from dozen.linux import files
from dozen.linux.files import Entry, Usage, absolute, go_mode
from dozen.machinery.messages import message
from dozen.node.api.streaming import in_thread, printable
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/machine.MachineService"

# Chunks of 64 KiB: one is read ahead of what the caller has taken, and no more, as a thousand callers may be slow.
_CHUNKS_AHEAD = 1
# A list longer than this in an error's text helps nobody.
_ERRORS_TOLD = 5

# machine.ListRequest.Type
_KINDS = {0: stat.S_ISREG, 1: stat.S_ISDIR, 2: stat.S_ISLNK}


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""
    router.stream(f"{SERVICE}/List", "machine.ListRequest", list_files)
    router.stream(f"{SERVICE}/DiskUsage", "machine.DiskUsageRequest", measure_usage)
    router.stream(f"{SERVICE}/Read", "machine.ReadRequest", read_file)
    router.stream(f"{SERVICE}/Copy", "machine.CopyRequest", copy_tree)


async def list_files(call: object, request: Any) -> AsyncIterator[Any]:
    """Files below a directory, the directory first."""
    depth = 1
    if request.recurse:
        depth = request.recursion_depth if request.recursion_depth > 0 else files.UNLIMITED
    entries = _describe_entries(files.walk(absolute(request.root), depth), request)
    async with aclosing(in_thread(entries)) as described:
        async for file_info in described:
            yield file_info


def _describe_entries(entries: Iterator[Entry], request: Any) -> Iterator[Any]:
    """FileInfo messages; links and attributes are read here, in the thread of the walk."""
    file_info, xattr = message("machine.FileInfo"), message("machine.Xattr")
    wanted = [_KINDS[kind] for kind in request.types if kind in _KINDS]
    for entry in entries:
        name, relative = printable(entry.path), printable(entry.relative)
        info = entry.info
        if entry.error or info is None:
            yield file_info(name=name, relative_name=relative, error=printable(entry.error))
            continue
        if wanted and not any(matches(info.st_mode) for matches in wanted):
            continue
        described = file_info(
            name=name,
            relative_name=relative,
            size=info.st_size,
            mode=go_mode(info.st_mode),
            modified=int(info.st_mtime),
            is_dir=entry.is_directory,
            uid=info.st_uid,
            gid=info.st_gid,
        )
        if stat.S_ISLNK(info.st_mode):
            described.link = printable(files.read_link(entry.path))
        if request.report_xattrs:
            pairs = files.read_xattrs(entry.path)
            described.xattrs.extend(xattr(name=printable(key), data=value) for key, value in pairs)
        yield described


async def measure_usage(call: object, request: Any) -> AsyncIterator[Any]:
    """Space below each of the paths; a path that is not there is reported and does not end the others."""
    usage_info = message("machine.DiskUsageInfo")
    for path in request.paths or ["/"]:
        try:
            async with aclosing(in_thread(files.measure(absolute(path)))) as usages:
                async for usage in usages:
                    if is_reported(usage, request):
                        yield usage_info(
                            name=printable(usage.path),
                            relative_name=printable(usage.relative),
                            size=usage.size,
                            error=printable(usage.error),
                        )
        except RpcError as error:
            yield usage_info(name=printable(path), relative_name=printable(path), error=printable(error.message))


def is_reported(usage: Usage, request: Any) -> bool:
    """Whether a request's depth, threshold and choice of files let this through; errors and the path itself always."""
    if usage.error:
        return True
    if 0 < request.recursion_depth < usage.depth:
        return False
    if request.threshold > 0 and usage.size < request.threshold:
        return False
    if request.threshold < 0 and usage.size > -request.threshold:
        return False
    return bool(usage.is_directory or usage.depth == 0 or request.all)


def read_file(call: object, request: Any) -> AsyncIterator[Any]:
    """The content of one regular file."""
    return in_thread(_packed(files.read_file(absolute(request.path))), _CHUNKS_AHEAD)


def _packed(chunks: Iterator[bytes]) -> Iterator[Any]:
    data = message("common.Data")
    for chunk in chunks:
        yield data(bytes=chunk)


async def copy_tree(call: object, request: Any) -> AsyncIterator[Any]:
    """A file or a tree as .tar.gz. What could not be packed is told at the end, behind a whole archive."""
    from dozen.linux.archive import Archiver

    data = message("common.Data")
    archiver = Archiver(absolute(request.root_path))
    async with aclosing(in_thread(archiver.chunks(), _CHUNKS_AHEAD)) as chunks:
        async for chunk in chunks:
            yield data(bytes=chunk)
    if archiver.errors:
        told = "; ".join(archiver.errors[:_ERRORS_TOLD])
        more = len(archiver.errors) - _ERRORS_TOLD
        rest = f" and {more} more" if more > 0 else ""
        raise RpcError(Code.DATA_LOSS, printable(f"the archive is complete but for {told}{rest}"))
