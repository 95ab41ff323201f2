"""A layer over the image's /etc, for files that a configuration wants there.

The root is read-only and stays so. With the first such file an overlay is put on /etc: the image's folder below, an
empty one in memory above (overlayfs.rst of the kernel). It is written through a folder that only root reaches
(`LAYER`); what stands at /etc is a read-only view of it. `IMAGE` is the folder below, from which a file is restored.
"""

from __future__ import annotations

import os
import threading

from dozen.linux import sys as linux
from dozen.linux.mounts import read_mounts

ETC = "/etc"
FOLDER = "/system/overlay"
IMAGE = f"{FOLDER}/image"
LAYER = f"{FOLDER}/etc"

# Held by who mounts something inside of /etc: nothing may come in between while the layer takes its mounts over.
lock = threading.Lock()


def open_layer() -> None:
    """See to it that files can be written below `LAYER` and are seen below /etc. Blocks; raises OSError."""
    with lock:
        if not os.path.ismount(LAYER):
            _make()


def _make() -> None:
    os.makedirs(FOLDER, mode=0o700, exist_ok=True)
    for name in ("image", "upper", "work", "etc"):
        os.makedirs(f"{FOLDER}/{name}", mode=0o755, exist_ok=True)
    linux.mount(ETC, IMAGE, "", linux.MS_BIND, "")
    options = f"lowerdir={IMAGE},upperdir={FOLDER}/upper,workdir={FOLDER}/work"
    linux.mount("etc", LAYER, "overlay", linux.MS_NOSUID | linux.MS_NODEV, options)
    # Places of the data volume that are bound inside of /etc by now would be hidden.
    inside = [each.target for each in read_mounts() if each.target.startswith(f"{ETC}/")]
    linux.mount(LAYER, ETC, "", linux.MS_BIND, "")
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("none", ETC, "", flags, "")
    for target in inside:
        linux.mount(f"{IMAGE}{target.removeprefix(ETC)}", target, "", linux.MS_BIND | linux.MS_REC, "")
