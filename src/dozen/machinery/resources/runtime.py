"""The machine as a whole: its stage, services, META, versions, mounts and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import NO_LABELS, Kind
from dozen.machinery.resources.spec import Spec


class UnmetCondition(Spec):
    """Something that keeps the machine from being ready."""

    name: str = ""
    reason: str = ""

    WIRE = "1 name string, 2 reason string"


class MachineReadiness(Spec):
    """Ready, or why not."""

    ready: bool = False
    unmet_conditions: tuple[UnmetCondition, ...] = ()

    WIRE = "1 ready bool, 2 unmetConditions [UnmetCondition]"


class MachineStatusSpec(Spec):
    """The stage of the machine's life and its readiness; id ``machine``."""

    stage: str = "unknown"
    status: MachineReadiness = MachineReadiness()

    WIRE = "1 stage enum:MachineStage, 2 status MachineReadiness"


MACHINE_STATUS = Kind(
    "MachineStatuses.runtime.talos.dev",
    "runtime",
    MachineStatusSpec,
    "MachineStatus",
    aliases=("machinestatus", "ms"),
    columns=(("Stage", "{.stage}"), ("Ready", "{.status.ready}")),
)


class ServiceSpec(Spec):
    """Whether a service runs and is healthy."""

    running: bool = False
    healthy: bool = False
    unknown: bool = False

    WIRE = "1 running bool, 2 healthy bool, 3 unknown bool"


SERVICE = Kind(
    "Services.v1alpha1.talos.dev",
    "runtime",
    ServiceSpec,
    "Service",
    aliases=("svc", "service"),
    columns=(("Running", "{.running}"), ("Healthy", "{.healthy}"), ("Health Unknown", "{.unknown}")),
)


class MetaKeySpec(Spec):
    """One value of the META partition; the id is the key, ``0x0a``."""

    value: str = ""

    WIRE = "1 value string"


META_KEY = Kind(
    "MetaKeys.runtime.talos.dev",
    "runtime",
    MetaKeySpec,
    "MetaKey",
    aliases=("meta", "metakey", "mk", "mks"),
    columns=(("Value", "{.value}"),),
)


class MetaLoadedSpec(Spec):
    """META has been read; id ``meta-loaded``."""

    done: bool = False

    WIRE = "1 done bool"


META_LOAD = Kind(
    "MetaLoads.runtime.talos.dev",
    "runtime",
    MetaLoadedSpec,
    "MetaLoad",
    aliases=("metaload", "ml", "mls"),
    columns=(("Done", "{.done}"),),
)


class VersionSpec(Spec):
    """Name and version of the system; id ``version``."""

    name: str = ""
    version: str = ""

    WIRE = "2 name string, 1 version string"


VERSION = Kind(
    "Versions.runtime.talos.dev",
    "runtime",
    VersionSpec,
    "Version",
    aliases=("version",),
    columns=(("Name", "{.name}"), ("Version", "{.version}")),
)


class MountStatusSpec(Spec):
    """A mounted file system."""

    source: str = ""
    target: str = ""
    filesystem_type: str = ""
    options: tuple[str, ...] = ()
    encrypted: bool = False
    encryption_providers: tuple[str, ...] = ()

    WIRE = """
        1 source string, 2 target string, 3 filesystemType string, 4 options [string], 5 encrypted bool,
        6 encryptionProviders [string] omit
    """


MOUNT_STATUS = Kind(
    "MountStatuses.runtime.talos.dev",
    "runtime",
    MountStatusSpec,
    "MountStatus",
    aliases=("mounts",),
    shortened=False,  # "mountstatuses" is that of dozen.machinery.resources.block
    columns=(("Source", "{.source}"), ("Target", "{.target}"), ("Filesystem Type", "{.filesystemType}")),
)


class DiagnosticSpec(Spec):
    """A problem of the node, said in words."""

    message: str = ""
    details: tuple[str, ...] = ()

    WIRE = "1 message string, 2 details [string]"


DIAGNOSTIC = Kind(
    "Diagnostics.runtime.talos.dev",
    "runtime",
    DiagnosticSpec,
    "Diagnostic",
    aliases=("diagnostic",),
    columns=(("Message", "{.message}"),),
)


class PlatformMetadataSpec(Spec):
    """What the platform says about this machine."""

    platform: str = ""
    hostname: str = ""
    region: str = ""
    zone: str = ""
    instance_type: str = ""
    instance_id: str = ""
    provider_id: str = ""
    spot: bool = False
    internal_dns: str = ""
    external_dns: str = ""
    tags: Mapping[str, str] = NO_LABELS

    WIRE = """
        1 platform string omit, 2 hostname string omit, 3 region string omit, 4 zone string omit,
        5 instanceType string omit, 6 instanceId string omit, 7 providerId string omit, 8 spot bool omit,
        9 internalDNS string omit, 10 externalDNS string omit, 11 tags {string} omit
    """


PLATFORM_METADATA = Kind(
    "PlatformMetadatas.talos.dev",
    "runtime",
    PlatformMetadataSpec,
    "PlatformMetadata",
    aliases=("platformmetadata", "pm", "pms"),
    columns=(("Platform", "{.platform}"), ("Type", "{.instanceType}"), ("Region", "{.region}"), ("Zone", "{.zone}")),
)


class ServicePIDSpec(Spec):
    """The first process of a service."""

    pid: int = 0
    mount_namespace: str = ""

    WIRE = "1 pid int32, 2 mountNamespace string"


SERVICE_PID = Kind(
    "ServicePIDs.runtime.talos.dev",
    "runtime",
    ServicePIDSpec,
    "ServicePID",
    aliases=("servicepid", "spid", "spids"),
    columns=(("PID", "{.pid}"),),
)


class SecurityStateSpec(Spec):
    """What protects the boot; id ``securitystate``."""

    secure_boot: bool = False
    uki_signing_key_fingerprint: str = ""
    pcr_signing_key_fingerprint: str = ""
    selinux_state: str = ""
    fips_state: str = ""
    booted_with_uki: bool = False
    module_signature_enforced: bool = False

    WIRE = """
        1 secureBoot bool, 2 ukiSigningKeyFingerprint string omit, 3 pcrSigningKeyFingerprint string omit,
        4 selinuxState enum:SELinuxState omit, 6 fipsState enum:FIPSState omit, 5 bootedWithUKI bool omit,
        7 moduleSignatureEnforced bool omit
    """


SECURITY_STATE = Kind(
    "SecurityStates.talos.dev",
    "runtime",
    SecurityStateSpec,
    "SecurityState",
    aliases=("securitystate", "ss"),
    columns=(
        ("SecureBoot", "{.secureBoot}"),
        ("UKISigningKeyFingerprint", "{.ukiSigningKeyFingerprint}"),
        ("PCRSigningKeyFingerprint", "{.pcrSigningKeyFingerprint}"),
        ("SELinuxState", "{.selinuxState}"),
        ("ModuleSignatureEnforced", "{.moduleSignatureEnforced}"),
    ),
)


class BootIDSpec(Spec):
    """The kernel's random id of this boot; id ``boot-id``."""

    boot_id: str = ""

    WIRE = "1 bootID string"


BOOT_ID = Kind(
    "BootIDs.runtime.talos.dev",
    "runtime",
    BootIDSpec,
    "BootID",
    aliases=("bootid", "bid", "bids"),
    columns=(("Boot ID", "{.bootID}"),),
)


class DevicesStatusSpec(Spec):
    """The devices that were there at boot have been announced; id ``devices``."""

    ready: bool = False

    WIRE = "1 ready bool"


DEVICES_STATUS = Kind(
    "DevicesStatuses.runtime.talos.dev",
    "runtime",
    DevicesStatusSpec,
    "DevicesStatus",
    aliases=("devicesstatus", "ds"),
    columns=(("Ready", "{.ready}"),),
)


class EnvironmentSpec(Spec):
    """Variables that services get when they are started; id ``machined``."""

    variables: tuple[str, ...] = ()

    WIRE = "1 variables [string]"


ENVIRONMENT = Kind(
    "Environments.runtime.talos.dev",
    "runtime",
    EnvironmentSpec,
    "Environment",
    aliases=("env", "environment"),
    columns=(("Variables", "{.variables}"),),
)


class SBOMItemSpec(Spec):
    """One component of the image."""

    name: str = ""
    version: str = ""
    license: str = ""
    cpes: tuple[str, ...] = ()
    purls: tuple[str, ...] = ()
    extension: bool = False

    WIRE = """
        1 name string, 2 version string, 3 license string omit, 4 cpes [string] omit, 5 purls [string] omit,
        6 extension bool omit
    """


SBOM_ITEM = Kind(
    "SBOMItems.talos.dev",
    "runtime",
    SBOMItemSpec,
    "SBOMItem",
    aliases=("sbom", "sboms", "sbomitem", "sbomi", "sbomis"),
    columns=(("Version", "{.version}"), ("License", "{.license}"), ("Extension", "{.extension}")),
)


class APIServiceConfigSpec(Spec):
    """How apid serves: in maintenance everybody who reaches it, else who has a certificate; id ``apid``."""

    listen_address: str = ""
    node_routing_disabled: bool = False
    readonly_role_mode: bool = False
    skip_verifying_client_cert: bool = False

    WIRE = """
        1 listenAddress string, 2 nodeRoutingDisabled bool, 3 readonlyRoleMode bool, 4 skipVerifyingClientCert bool
    """


API_SERVICE_CONFIG = Kind(
    "APIServiceConfigs.runtime.talos.dev",
    "runtime",
    APIServiceConfigSpec,
    "APIServiceConfig",
    aliases=("apiserviceconfig", "apisc", "apiscs"),
)
