"""etcd on a control plane's node: what the configuration wants, what follows for this node, and the member that runs.

`ETCD_LAUNCH` is a kind of our own: how the member comes into being. Until it is there etcd is not started, because
nothing would be worse than a node that begins a cluster of its own while it should join another.
"""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import NO_LABELS, Kind
from dozen.machinery.resources.spec import Spec

ID = "etcd"
LOCAL = "local"


class ArgumentValues(Spec):
    """What a flag is given with; one flag for each."""

    values: tuple[str, ...] = ()

    WIRE = "1 values [string]"


class EtcdConfigSpec(Spec):
    """What the configuration says; id ``etcd``. Subnets choose among the node's addresses."""

    advertise_valid_subnets: tuple[str, ...] = ()
    advertise_exclude_subnets: tuple[str, ...] = ()
    listen_valid_subnets: tuple[str, ...] = ()
    listen_exclude_subnets: tuple[str, ...] = ()
    image: str = ""
    extra_args: Mapping[str, ArgumentValues] = NO_LABELS  # type: ignore[assignment]

    WIRE = """
        1 advertiseValidSubnets [string] omit, 2 advertiseExcludeSubnets [string], 5 listenValidSubnets [string] omit,
        6 listenExcludeSubnets [string], 3 image string, 7 extraArgs {ArgumentValues}
    """


ETCD_CONFIG = Kind(
    "EtcdConfigs.etcd.talos.dev",
    "etcd",
    EtcdConfigSpec,
    "EtcdConfig",
    aliases=("etcdconfig", "ec", "ecs"),
    columns=(("Image", "{.image}"),),
)


class EtcdSpec(Spec):
    """The member of this node; id ``etcd``. The first advertised address is where others reach it."""

    name: str = ""
    advertised_addresses: tuple[str, ...] = ()
    listen_peer_addresses: tuple[str, ...] = ()
    listen_client_addresses: tuple[str, ...] = ()
    image: str = ""
    extra_args: Mapping[str, ArgumentValues] = NO_LABELS  # type: ignore[assignment]

    WIRE = """
        1 name string, 2 advertisedAddresses [addr], 5 listenPeerAddresses [addr], 6 listenClientAddresses [addr],
        3 image string, 7 extraArgs {ArgumentValues}
    """


ETCD_SPEC = Kind(
    "EtcdSpecs.etcd.talos.dev",
    "etcd",
    EtcdSpec,
    "EtcdSpec",
    aliases=("etcdspec", "es"),
    columns=(
        ("Name", "{.name}"),
        ("AdvertisedAddresses", "{.advertisedAddresses}"),
        ("ListenPeerAddresses", "{.listenPeerAddresses}"),
        ("ListenClientAddresses", "{.listenClientAddresses}"),
    ),
)


class PKIStatusSpec(Spec):
    """Whether etcd's certificates are there as files; id ``etcd``. ``version`` is that of their secrets."""

    ready: bool = False
    version: str = ""

    WIRE = "1 ready bool, 2 version string"


PKI_STATUS = Kind(
    "PKIStatuses.etcd.talos.dev",
    "etcd",
    PKIStatusSpec,
    "PKIStatus",
    aliases=("pkistatus", "pkis"),
    columns=(("Ready", "{.ready}"), ("Secrets Version", "{.version}")),
)


class EtcdMemberSpec(Spec):
    """The member of this node as the cluster knows it; id ``local``. 16 hexadecimal digits."""

    member_id: str = ""

    WIRE = "1 memberID string"


ETCD_MEMBER = Kind(
    "EtcdMembers.etcd.talos.dev",
    "etcd",
    EtcdMemberSpec,
    "EtcdMember",
    aliases=("etcdmember", "em", "ems"),
    columns=(("Member ID", "{.memberID}"),),
)


class EtcdLaunchSpec(Spec):
    """How the member starts; id ``etcd``. ``initial_cluster`` is etcd's flag, ``state`` is ``new`` or ``existing``."""

    initial_cluster: str = ""
    state: str = "existing"
    learner: bool = False

    WIRE = "1 initialCluster string, 2 state string, 3 learner bool omit"


ETCD_LAUNCH = Kind(
    "EtcdLaunches.etcd.dozen",
    "etcd",
    EtcdLaunchSpec,
    "EtcdLaunch",
    aliases=("etcdlaunch",),
    columns=(("State", "{.state}"), ("Initial Cluster", "{.initialCluster}")),
)
