"""What the drivers of Ethernet links tell of their queues and features."""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class EthernetRings(Spec):
    """Places in the queues between driver and device."""

    rx_max: int = 0
    rx_mini_max: int = 0
    rx_jumbo_max: int = 0
    tx_max: int = 0
    tx_push_buf_len_max: int = 0
    rx: int = 0
    rx_mini: int = 0
    rx_jumbo: int = 0
    tx: int = 0
    rx_buf_len: int = 0
    cqe_size: int = 0
    tx_push: bool = False
    rx_push: bool = False
    tx_push_buf_len: int = 0
    tcp_data_split: bool = False

    WIRE = """
        1 rx-max uint32 omit, 2 rx-mini-max uint32 omit, 3 rx-jumbo-max uint32 omit, 4 tx-max uint32 omit,
        5 tx-push-buf-len-max uint32 omit, 6 rx uint32 omit, 7 rx-mini uint32 omit, 8 rx-jumbo uint32 omit,
        9 tx uint32 omit, 10 rx-buf-len uint32 omit, 11 cqe-size uint32 omit, 12 tx-push bool omit,
        13 rx-push bool omit, 14 tx-push-buf-len uint32 omit, 15 tcp-data-split bool omit
    """


class EthernetFeature(Spec):
    """Something that the link can do by itself; ``status`` is on or off, and ``[fixed]`` when nobody can change it."""

    name: str = ""
    status: str = ""

    WIRE = "1 name string, 2 status string"


class EthernetChannels(Spec):
    """Queues, each with an interrupt of its own."""

    rx_max: int = 0
    tx_max: int = 0
    other_max: int = 0
    combined_max: int = 0
    rx: int = 0
    tx: int = 0
    other: int = 0
    combined: int = 0

    WIRE = """
        1 rx-max uint32 omit, 2 tx-max uint32 omit, 3 other-max uint32 omit, 4 combined-max uint32 omit,
        5 rx uint32 omit, 6 tx uint32 omit, 7 other uint32 omit, 8 combined uint32 omit
    """


class EthernetStatusSpec(Spec):
    """A physical link; the id is its name. Its modes are not asked for."""

    link_state: bool = False
    speed_mbit: int = 0
    port: str = "Other"
    duplex: str = "Unknown"
    our_modes: tuple[str, ...] = ()
    peer_modes: tuple[str, ...] = ()
    rings: EthernetRings | None = None
    features: tuple[EthernetFeature, ...] = ()
    channels: EthernetChannels | None = None
    wake_on_lan: tuple[str, ...] = ()

    WIRE = """
        1 linkState bool omit, 2 speedMbit int64 omit, 3 port enum:Port, 4 duplex enum:Duplex,
        5 ourModes [string] omit, 6 peerModes [string] omit, 7 rings EthernetRings omit,
        8 features [EthernetFeature] omit, 9 channels EthernetChannels omit,
        10 wakeOnLAN [enum:WOLMode] omit
    """


ETHERNET_STATUS = Kind(
    "EthernetStatuses.net.talos.dev",
    "network",
    EthernetStatusSpec,
    "EthernetStatus",
    aliases=("ethtool", "ethernetstatus", "es"),
    columns=(("Link", "{.linkState}"), ("Speed", "{.speedMbit}")),
)


class RingsSpec(Spec):
    """Places that there should be in the queues; 0 and None leave what there is."""

    rx: int = 0
    tx: int = 0
    rx_mini: int = 0
    rx_jumbo: int = 0
    rx_buf_len: int = 0
    cqe_size: int = 0
    tx_push: bool | None = None
    rx_push: bool | None = None
    tx_push_buf_len: int = 0
    tcp_data_split: bool | None = None

    WIRE = """
        1 rx uint32 omit, 4 tx uint32 omit, 2 rx-mini uint32 omit, 3 rx-jumbo uint32 omit, 5 rx-buf-len uint32 omit,
        6 cqe-size uint32 omit, 7 tx-push bool omit, 8 rx-push bool omit, 9 tx-push-buf-len uint32 omit,
        10 tcp-data-split bool omit
    """


class ChannelsSpec(Spec):
    """Queues that there should be; 0 leaves what there is."""

    rx: int = 0
    tx: int = 0
    other: int = 0
    combined: int = 0

    WIRE = "1 rx uint32 omit, 2 tx uint32 omit, 3 other uint32 omit, 4 combined uint32 omit"


NO_WAY = "0"  # the number of no mode: a list on the wire cannot be absent


class EthernetSpecSpec(Spec):
    """How the driver of a link should be set; the id is the link's name.

    No ``wake_on_lan`` leaves what there is; `NO_WAY` alone has nothing wake the machine.
    """

    rings: RingsSpec | None = None
    features: Mapping[str, bool] = {}
    channels: ChannelsSpec | None = None
    wake_on_lan: tuple[str, ...] = ()

    WIRE = """
        1 rings RingsSpec omit, 2 features {bool} omit, 3 channels ChannelsSpec omit,
        4 wakeOnLan [enum:WOLMode] omit
    """


ETHERNET_SPEC = Kind(
    "EthernetSpecs.net.talos.dev",
    "network",
    EthernetSpecSpec,
    "EthernetSpec",
    aliases=("ethernetspec", "es"),
)


class EthernetToldSpec(Spec):
    """A link whose driver has been told: which link, by number, and which version of its EthernetSpec."""

    index: int = 0
    spec_version: str = ""

    WIRE = "1 index uint32, 2 specVersion string"


ETHERNET_TOLD = Kind(
    "EthernetTold.net.dozen",
    "network",
    EthernetToldSpec,
    "EthernetTold",
    aliases=("ethernettold",),
    columns=(("Index", "{.index}"), ("Spec Version", "{.specVersion}")),
)
