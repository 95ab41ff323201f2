"""Small OCI image archives for tests, made of a few files: the image layout specification 1.0 in one tar."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def make_archive(
    name: str,
    files: Mapping[str, bytes],
    *,
    links: Mapping[str, str],
    folders: Sequence[str],
    config: Mapping[str, Any],
) -> bytes:
    """An archive with the image ``name`` of one layer. ``files`` are executable; ``config`` is the image's own part of
    its configuration (Cmd, Env, …)."""
    layer = _tar({path: (content, 0o755) for path, content in files.items()}, links, folders)
    blobs: dict[str, bytes] = {}

    def add(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layer_entry = add("layer.v1.tar", layer)
    described = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer_entry["digest"]]},
    }
    config_entry = add("config.v1+json", json.dumps(described).encode())
    manifest = {"schemaVersion": 2, "config": config_entry, "layers": [layer_entry]}
    entry = add("manifest.v1+json", json.dumps(manifest).encode())
    tag = name.rpartition(":")[2]
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
    index = {"schemaVersion": 2, "manifests": [entry]}
    layout = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}
    return _tar({path: (content, 0o644) for path, content in layout.items()}, {}, ())


def _tar(files: Mapping[str, tuple[bytes, int]], links: Mapping[str, str], folders: Sequence[str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in sorted({*folders, *(str(Path(name).parent) for name in files if "/" in name)}):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name, (content, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return stream.getvalue()
