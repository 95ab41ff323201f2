"""Why a method of the API is not served: a caller is told what is missing rather than that something is unknown."""

from __future__ import annotations

_INSTALL = "this system cannot be installed to a disk or upgraded in place yet"

# Whole services first; a method's own reason goes before its service's.
_SERVICES = {
    "machine.LifecycleService": _INSTALL,
    "machine.MDService": "the kernel of this image has no software RAID",
    "securityapi.SecurityService": "certificates are issued by trustd on control plane nodes, on port 50001",
    "signerapi.SignerService": "signing for secure boot is a service of whoever builds images, not of a node",
}
_METHODS = {
    "Rollback": _INSTALL,
    "Upgrade": _INSTALL,
    "Verify": "signatures of images cannot be verified yet",
}


def explain(path: str) -> str:
    """One sentence for the method at ``/package.Service/Method``."""
    reason = find_reason(path)
    method = path.rpartition("/")[2]
    return f"{method} is not served: {reason}" if reason else f"this system knows no method {path}"


def find_reason(path: str) -> str:
    """Why the method does not work; empty for one that does, or that nobody knows."""
    service, _, method = path.removeprefix("/").partition("/")
    if service in ("machine.MachineService", "machine.ImageService"):
        return _METHODS.get(method, "")
    return _SERVICES.get(service, "")
