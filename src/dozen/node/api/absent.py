"""Why a method of the API is not served: a caller is told what is missing rather than that something is unknown."""

from __future__ import annotations

_RESTART = "restart what a container belongs to: a service with ServiceRestart, a pod over Kubernetes"
_INSTALL = "this system cannot be installed to a disk or upgraded in place yet"

# Whole services first; a method's own reason goes before its service's.
_SERVICES = {
    "machine.LifecycleService": _INSTALL,
    "machine.LVMService": "volumes cannot be removed over the API yet",
    "machine.MDService": "the kernel of this image has no software RAID",
    "storage.StorageService": "disks are listed as resources (Disks.block.talos.dev); this older call is not served",
    "securityapi.SecurityService": "certificates are issued by trustd on control plane nodes, on port 50001",
    "signerapi.SignerService": "signing for secure boot is a service of whoever builds images, not of a node",
}
_METHODS = {
    "ImageList": "use machine.ImageService/List",
    "ImagePull": "use machine.ImageService/Pull",
    "Reset": "disks cannot be wiped over the API yet",
    "Restart": _RESTART,
    "Rollback": _INSTALL,
    "Upgrade": _INSTALL,
    "Verify": "signatures of images cannot be verified yet",
}


def explain(path: str) -> str:
    """One sentence for the method at ``/package.Service/Method``."""
    service, _, method = path.removeprefix("/").partition("/")
    if service in ("machine.MachineService", "machine.ImageService"):
        reason = _METHODS.get(method)
    else:
        reason = _SERVICES.get(service)
    return f"{method} is not served: {reason}" if reason else f"this system knows no method {path}"
