"""A shell for tests, where there is none: busybox in a container on the node.

The node itself has no shell, so a test that has to kill a process, mark a disk or make a rule does it from a privileged
container: it sees the node's processes and devices, and the node's files at /host, whose own programs it can run by
chroot. The image is an OCI archive of one file, made here; it goes in and is run over the machine API.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozen.machinery.messages import enum, message
from dozen.testing.live import LiveNode

NAME = "localhost/toolbox:1"
CHUNK = 1 << 20
IMPORT = "/machine.ImageService/Import"
RUN = "/machine.DebugService/ContainerRun"


def make_archive(busybox: Path) -> bytes:
    """An OCI image archive (image layout specification 1.0) whose only layer is busybox and its shell's name."""
    layer = _tar({"bin/busybox": (busybox.read_bytes(), 0o755)}, links={"bin/sh": "busybox"}, folders=("host", "tmp"))
    blobs: dict[str, bytes] = {}

    def add(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layer_entry = add("layer.v1.tar", layer)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer_entry["digest"]]},
    }
    config_entry = add("config.v1+json", json.dumps(config).encode())
    manifest = {"schemaVersion": 2, "config": config_entry, "layers": [layer_entry]}
    entry = add("manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": "1"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **blobs,
    }
    return _tar({name: (content, 0o644) for name, content in files.items()})


def _tar(
    files: dict[str, tuple[bytes, int]], links: dict[str, str] | None = None, folders: tuple[str, ...] = ()
) -> bytes:
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
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed (both streams) and its exit code, 128 + the signal if one ended it."""

    code: int
    output: str


class Toolbox:
    """Commands on one node. The image has to be there: `install` brings it."""

    def __init__(self, node: LiveNode) -> None:
        self.node = node
        self.namespace = enum("common.ContainerdNamespace").NS_SYSTEM
        self.image = ""

    def install(self, archive: bytes) -> None:
        request = message("machine.ImageServiceImportRequest")

        def requests() -> Iterator[Any]:
            yield request(containerd={"namespace": self.namespace})
            for start in range(0, len(archive), CHUNK):
                yield request(image_chunk={"bytes": archive[start : start + CHUNK]})

        self.image = self.node.converse(IMPORT, requests(), seconds=120)[0].name

    def run(self, script: str, *, seconds: float = 90.0, **options: Any) -> Outcome:
        """Runs a shell script to its end. ``options``: ``env``, ``privileged`` (True)."""
        return self.node.portal.run(self._run(script, seconds, options), seconds + 5)

    def check(self, script: str, *, seconds: float = 90.0, **options: Any) -> str:
        """What the script printed; AssertionError with it when the script failed."""
        outcome = self.run(script, seconds=seconds, **options)
        assert outcome.code == 0, f"exit code {outcome.code} of: {script}\n{outcome.output}"
        return outcome.output

    def start(self, script: str, *, seconds: float = 600.0, **options: Any) -> Future[Outcome]:
        """Runs a script beside the test; cancelling the future ends the container."""
        return self.node.portal.start(self._run(script, seconds, options))

    async def _run(self, script: str, seconds: float, options: dict[str, Any]) -> Outcome:
        spec = message("machine.DebugContainerRunRequestSpec")
        profiles = enum("machine.DebugContainerRunRequestSpec.Profile")
        privileged = options.get("privileged", True)
        request = message("machine.DebugContainerRunRequest")(
            spec=spec(
                containerd={"namespace": self.namespace},
                image_name=self.image,
                args=["/bin/sh", "-c", f"/bin/busybox --install -s /bin; {script}"],
                env=options.get("env", {}),
                profile=profiles.PROFILE_PRIVILEGED if privileged else profiles.PROFILE_HOST_NS,
            )
        )
        reply, output, code = message("machine.DebugContainerRunResponse"), b"", -1
        async with self.node.channel.call(RUN, timeout=seconds) as call:
            await call.send(request.SerializeToString())
            await call.end()
            while (data := await call.recv()) is not None:
                answer = reply.FromString(data)
                if answer.WhichOneof("resp") == "exit_code":
                    code = answer.exit_code
                else:
                    output += answer.stdout_data
        return Outcome(code, output.decode(errors="replace"))
