"""Who is sent what the node says: the kernel's log, and events."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class Destination(Spec):
    """A URL."""

    full_path: str = ""

    WIRE = "1 fullPath string"


class KmsgLogConfigSpec(Spec):
    """Who is sent the kernel's log; there when somebody is."""

    destinations: tuple[Destination, ...] = ()

    WIRE = "1 destinations [Destination]"


KMSG_LOG = "kmsg-log"
KMSG_LOG_CONFIG = Kind(
    "KmsgLogConfigs.runtime.talos.dev",
    "runtime",
    KmsgLogConfigSpec,
    "KmsgLogConfig",
    aliases=("kmsglogconfig", "klc", "klcs"),
)


class EventSinkConfigSpec(Spec):
    """Who is sent events, host and port; there when somebody is."""

    endpoint: str = ""

    WIRE = "1 endpoint string"


EVENT_SINK = "event-sink"
EVENT_SINK_CONFIG = Kind(
    "EventSinkConfigs.runtime.talos.dev",
    "runtime",
    EventSinkConfigSpec,
    "EventSinkConfig",
    aliases=("eventsinkconfig", "esc", "escs"),
)
