"""The system calls that Python's ``os`` lacks, and the kernel's numbers for them.

The calls themselves are C, built into ``/sbin/init`` (launcher/module.c) as the module ``_dozen``. An ordinary
interpreter does not have that module: there this module imports, so that what uses it can be read and tested, and
each call raises OSError (ENOSYS).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

# mount(2), <linux/mount.h>
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
# umount2(2)
MNT_FORCE = 1
MNT_DETACH = 2
# reboot(2), <linux/reboot.h>
RB_AUTOBOOT = 0x01234567
RB_POWER_OFF = 0x4321FEDC
# finit_module(2), <linux/module.h>
MODULE_INIT_COMPRESSED_FILE = 4

if TYPE_CHECKING:
    from dozen.linux import _dozen as _calls
else:
    try:
        import _dozen as _calls
    except ImportError:

        class _Missing:
            def __getattr__(self, name: str) -> Any:
                def refuse(*arguments: object, **fields: object) -> None:
                    raise OSError(errno.ENOSYS, f"{name}: only /sbin/init has this system call", str(arguments[:2]))

                return refuse

        _calls = _Missing()

mount = _calls.mount
umount = _calls.umount
reboot = _calls.reboot
finit_module = _calls.finit_module
sethostname = _calls.sethostname
adjtimex = _calls.adjtimex
set_process_name = _calls.set_process_name


class Ed25519:
    """The `dozen.machinery.pki.Primitive` of the node: libcrypto by way of the launcher."""

    def public_key(self, seed: bytes) -> bytes:
        return _calls.ed25519_public_key(seed)

    def sign(self, seed: bytes, message: bytes) -> bytes:
        return _calls.ed25519_sign(seed, message)


class Keys:
    """The `dozen.machinery.certificates.Keys` of the node: keys of other kinds, in DER, by the same way."""

    def generate(self) -> bytes:
        return _calls.key_generate()

    def public_key(self, key: bytes) -> bytes:
        return _calls.key_public(key)

    def sign(self, key: bytes, message: bytes) -> bytes:
        return _calls.key_sign(key, message)
