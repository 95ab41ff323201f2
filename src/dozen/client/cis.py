"""Reads from a node what the rules of `dozen.machinery.kubernetes.cis` look at."""

from __future__ import annotations

from typing import Any

from dozen.client.machine import Node
from dozen.machinery.kubernetes import cis, paths
from dozen.machinery.kubernetes.cis import Evidence, File
from dozen.rpc.status import Code, RpcError

# Folders of the node and how deep their files are.
FOLDERS = ((paths.SECRETS, 3), (cis.ETCD_SECRETS, 2), (cis.NODE_FILES, 3), (cis.ETCD_DATA, 1))
FILES = (paths.KUBELET_KUBECONFIG,)
DOCUMENTS = (paths.AUTHENTICATION, paths.AUTHORIZATION, paths.ENCRYPTION, cis.KUBELET_FILE)
PROGRAMS = (*(paths.APISERVER, paths.CONTROLLER_MANAGER, paths.SCHEDULER), cis.ETCD, cis.KUBELET, cis.PROXY)
_ABSENT = (Code.NOT_FOUND, Code.UNKNOWN)
_DIRECTORY = 1 << 31


async def gather(node: Node) -> Evidence:
    """Raises RpcError when the caller may not read what the rules are about."""
    flags = {}
    for process in await node.processes():
        program = process.args.partition(" ")[0].rpartition("/")[2]
        if program in PROGRAMS:
            flags[program] = cis.read_flags(process.args)
    files: dict[str, File] = {}
    for folder, depth in (*FOLDERS, *((path, 1) for path in FILES)):
        async for entry in _entries(node, folder, depth):
            mode = entry.mode & 0o777
            path = entry.name.rstrip("/")
            if not entry.mode & _DIRECTORY or path == cis.ETCD_DATA:
                files[path] = File(path, mode, entry.uid, entry.gid)
    documents = {path: found for path in DOCUMENTS if (found := await _document(node, path))}
    return Evidence(flags, documents, files, await _listening(node))


async def _listening(node: Node) -> dict[int, tuple[str, ...]]:
    """Addresses of the node's own sockets that wait for connections, by port."""
    found: dict[int, set[str]] = {}
    wanted = {"filter": "LISTENING", "l4proto": {"tcp": True, "tcp6": True}, "netns": {"hostnetwork": True}}
    for each in await node.sockets(**wanted):
        found.setdefault(each.localport, set()).add(each.localip)
    return {port: tuple(sorted(addresses)) for port, addresses in found.items()}


async def _entries(node: Node, path: str, depth: int) -> Any:
    try:
        async for entry in node.list_files(path, depth=depth):
            if not entry.error:
                yield entry
    except RpcError as error:
        if error.code not in _ABSENT:
            raise


async def _document(node: Node, path: str) -> Any:
    """A configuration file as data; None when it is not there."""
    from dozen.machinery.yaml import load

    try:
        return load((await node.read_whole(path)).decode(), path)
    except RpcError as error:
        if error.code not in _ABSENT:
            raise
        return None
