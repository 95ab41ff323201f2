"""What the drivers of Ethernet links tell of their queues and features."""

from __future__ import annotations

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
    """A physical link; the id is its name. Modes and waking over the network are not asked for."""

    link_state: bool = False
    speed_mbit: int = 0
    port: str = "Other"
    duplex: str = "Unknown"
    our_modes: tuple[str, ...] = ()
    peer_modes: tuple[str, ...] = ()
    rings: EthernetRings | None = None
    features: tuple[EthernetFeature, ...] = ()
    channels: EthernetChannels | None = None

    WIRE = """
        1 linkState bool omit, 2 speedMbit int64 omit, 3 port enum:Port, 4 duplex enum:Duplex,
        5 ourModes [string] omit, 6 peerModes [string] omit, 7 rings EthernetRings omit,
        8 features [EthernetFeature] omit, 9 channels EthernetChannels omit
    """


ETHERNET_STATUS = Kind(
    "EthernetStatuses.net.talos.dev",
    "network",
    EthernetStatusSpec,
    "EthernetStatus",
    aliases=("ethtool", "ethernetstatus", "es"),
    columns=(("Link", "{.linkState}"), ("Speed", "{.speedMbit}")),
)
