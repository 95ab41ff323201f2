"""Commands in a mount namespace of their own, of which nothing gets out."""

from __future__ import annotations

import os

# util-linux's own `unshare --propagation private` wants "/" to be a mount point, which it is not inside a plain chroot.
# setns(2) moves a process to the root of the namespace, where it is one, whatever root the caller has; that the mounts
# are private from then on holds for the whole namespace.
PRIVATE = 'nsenter --mount=/proc/self/ns/mnt mount --make-rprivate / && exec "$@"'


def in_namespaces(*options: str) -> list[str]:
    """The words before a command that run it in fresh namespaces: one of mounts, and those that ``options`` of
    unshare(1) name. Who is not root gets them inside a user namespace. Works in a chroot too (as root).
    """
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ["unshare", "--mount", *options, *user, "--propagation", "unchanged", "--", "sh", "-c", PRIVATE, "sh"]
