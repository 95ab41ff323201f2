"""Probes of the network: what is tried, and whether it works."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class ProbeUrl(Spec):
    """A URL, as text."""

    full_path: str = ""

    WIRE = "1 fullPath string"


class TCPProbe(Spec):
    """Connecting to ``endpoint``, host and port, succeeds within ``timeout``."""

    endpoint: str = ""
    timeout: int = 0

    WIRE = "1 endpoint string, 2 timeout duration"


class HTTPProbe(Spec):
    """Asking for ``url`` is answered with a status from 200 to 399 within ``timeout``."""

    url: ProbeUrl | None = None
    timeout: int = 0

    WIRE = "1 url ProbeUrl, 2 timeout duration"


class ProbeSpec(Spec):
    """What is tried every ``interval``; after a success it takes more than ``failure_threshold`` failures to fail."""

    interval: int = 0
    failure_threshold: int = 0
    tcp: TCPProbe | None = None
    layer: str = "default"
    http: HTTPProbe | None = None

    WIRE = """
        1 interval duration, 2 failureThreshold int64, 3 tcp TCPProbe omit, 4 layer enum:ConfigLayer,
        5 http HTTPProbe omit
    """


PROBE_SPEC = Kind("ProbeSpecs.net.talos.dev", "network", ProbeSpec, "ProbeSpec", aliases=("probespec", "ps"))


class ProbeStatusSpec(Spec):
    """How the last try went."""

    success: bool = False
    last_error: str = ""

    WIRE = "1 success bool, 2 lastError string"


PROBE_STATUS = Kind(
    "ProbeStatuses.net.talos.dev",
    "network",
    ProbeStatusSpec,
    "ProbeStatus",
    aliases=("probe", "probes", "probestatus", "ps"),
    columns=(("Success", "{.success}"),),
)
