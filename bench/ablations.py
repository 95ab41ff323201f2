"""Takes away, one at a time, what is to make our cluster start sooner or need less, and measures what then is lost.

There are no switches for any of it in the product: each ablation is a few lines of the source that are replaced in a
copy of this checkout, from which an image is built and booted like ours. A line that is no longer there stops the
ablation with an error, so that none goes on measuring something else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench import parts
from dozen.compose.cache import cache_dir


class Edit(NamedTuple):
    """In the file ``path``, ``old``, which is there once, becomes ``new``."""

    path: str
    old: str
    new: str


class Ablation(NamedTuple):
    """``title`` says what is different, ``reason`` why the product does it the other way."""

    title: str
    reason: str
    edits: tuple[Edit, ...]


ABLATIONS = {
    "keys": Ablation(
        "The node's keys are RSA (2048 bits) instead of ECDSA (P-256)",
        "P-256 is as strong as anybody asks for, and signing costs a twentieth under emulation",
        (
            Edit("launcher/crypto.c", '(NULL, NULL, "EC", "P-256")', '(NULL, NULL, "RSA", (size_t)2048)'),
            Edit(
                "src/dozen/machinery/certificates.py",
                "return Keypair(pki.to_pem(CERTIFICATE_LABEL, data), pki.to_pem(EC_LABEL, key))",
                'return Keypair(pki.to_pem(CERTIFICATE_LABEL, data), pki.to_pem("RSA PRIVATE KEY", key))',
            ),
        ),
    ),
    "order": Ablation(
        "Controller-manager and scheduler start with the API server instead of after its first answer",
        "before it they can only fail, and are started again ever later",
        (
            Edit(
                "src/dozen/node/controllers/kubernetes/static_pods.py",
                "if program is None or not (answered or id in begun):",
                "if program is None:",
            ),
        ),
    ),
    "probes": Ablation(
        "Probes come as often as kubeadm has them (every 10 s, readiness every second)",
        "a program that answers slowly on a busy machine is not made faster by more questions",
        (
            Edit("src/dozen/machinery/kubernetes/pods.py", "live, period=20,", "live, period=10,"),
            Edit("src/dozen/machinery/kubernetes/pods.py", "ready, period=5,", "ready, period=1,"),
            Edit("src/dozen/machinery/kubernetes/pods.py", "live, period=5,", "live, period=10,"),
        ),
    ),
    "pages": Ablation(
        "Every program gets huge pages, as Debian's kernel is set, instead of those that ask for them",
        "a heap in pages of 2 MiB takes memory that it does not use",
        (Edit("src/dozen/compose/build.py", "transparent_hugepage=madvise ", ""),),
    ),
    "sharing": Ablation(
        "Every component's image has a copy of the program of its own instead of one layer for all",
        "the pages of one file are in memory once, whoever runs it",
        (
            Edit(
                "src/dozen/compose/container_images.py",
                '    Layer(KUBE, {f"{LOCAL}/kube": "kube"}),\n',
                '    Layer(KUBE, {f"{LOCAL}/kube": "kube"}),\n'
                '    *(Layer(f"kube-{name}", {f"{LOCAL}/{name}": "kube"}) for name in ("kubelet", "kube-apiserver",'
                ' "kube-controller-manager", "kube-scheduler", "kube-proxy")),\n',
            ),
            Edit(
                "src/dozen/compose/container_images.py",
                'return ContainerImage(image, (KUBE, BASE, *layers), (path,), {path: "kube"})',
                'return ContainerImage(image, (f"kube-{name}", BASE, *layers), (path,))',
            ),
        ),
    ),
}


def apply_edits(edits: tuple[Edit, ...], top: Path) -> None:
    """Raises RuntimeError, naming the place, when a text is not there exactly once."""
    for edit in edits:
        file = top / edit.path
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise RuntimeError(
                f"{edit.path} has {edit.old!r} {text.count(edit.old)} times: this ablation is out of date"
            )
        file.write_text(text.replace(edit.old, edit.new))


@contextmanager
def built_without(ablation: Ablation) -> Iterator[Path]:
    """The folder of an image that differs from ours in what the ablation says."""
    with tempfile.TemporaryDirectory(prefix="dozen-bench-", dir=cache_dir().parent) as scratch:
        top = Path(scratch) / "checkout"
        parts.copy_checkout(top)
        apply_edits(ablation.edits, top)
        parts.build_in(top)
        yield top / "build" / "dev"
