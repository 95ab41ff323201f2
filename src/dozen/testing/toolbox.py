"""A shell for tests, where there is none: busybox in a container on the node.

The node itself has no shell, so a test that has to kill a process, mark a disk or make a rule does it from a privileged
container: it sees the node's processes and devices, and the node's files at /host, whose own programs it can run by
chroot. The image is an OCI archive of one file, made here; it goes in and is run over the machine API.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozen.machinery.messages import enum, message
from dozen.testing import archives
from dozen.testing.live import LiveNode

NAME = "localhost/toolbox:1"
CHUNK = 1 << 20
IMPORT = "/machine.ImageService/Import"
RUN = "/machine.DebugService/ContainerRun"


def make_archive(busybox: Path) -> bytes:
    """The image: busybox and its shell's name."""
    return archives.make_archive(
        NAME,
        {"bin/busybox": busybox.read_bytes()},
        links={"bin/sh": "busybox"},
        folders=("host", "tmp"),
        config={"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
    )


def import_archive(node: LiveNode, archive: bytes, namespace: str, seconds: float = 900.0) -> str:
    """Brings an image to a node; ``namespace`` is NS_SYSTEM or NS_CRI. Gives the image's name."""
    request = message("machine.ImageServiceImportRequest")

    def requests() -> Iterator[Any]:
        yield request(containerd={"namespace": getattr(enum("common.ContainerdNamespace"), namespace)})
        for start in range(0, len(archive), CHUNK):
            yield request(image_chunk={"bytes": archive[start : start + CHUNK]})

    return str(node.converse(IMPORT, requests(), seconds=seconds)[0].name)


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
        self.image = import_archive(self.node, archive, "NS_SYSTEM", 120)

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
