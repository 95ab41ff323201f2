"""The types of the wire's resources that a node does not know, and why: data of `dozen.cli.resource_reference`.

Reason → the types that it is the reason for, one in each line: name, namespace, sensitive or not, aliases.
"""

from __future__ import annotations

ABSENT: dict[str, str] = {
    "disks are read again when the kernel announces a change of them; nobody asks for it": """
        DiscoveryRefreshRequests.block.talos.dev runtime - discoveryrefreshrequest drr drrs
        DiscoveryRefreshStatuses.block.talos.dev runtime - discoveryrefreshstatus drs
    """,
    "META, STATE and EPHEMERAL are mounted by one plan, `volumes`, and stay: nobody asks for mounts": """
        MountRequests.block.talos.dev runtime - mountrequest mr mrs
        VolumeMountRequests.block.talos.dev runtime - volumemountrequest vmr vmrs
        VolumeMountStatuses.block.talos.dev runtime - volumemountstatus vms
        VolumeLifecycles.block.talos.dev runtime - volumelifecycle vl vls
    """,
    "the disks of machine.disks are left alone": """
        UserDiskConfigStatuses.block.talos.dev runtime - userdiskconfigstatus udcs
    """,
    "there are META, STATE and EPHEMERAL, always; where they are is in VolumeStatuses": """
        VolumeConfigs.block.talos.dev runtime sensitive volumeconfig vc vcs
    """,
    "file systems are repaired when they do not mount, not on a schedule": """
        FSScrubSchedules.block.talos.dev runtime - fsscrubschedule fsss
        FSScrubStatuses.block.talos.dev runtime - fsscrubstatus fsss
    """,
    "the image's kernel has no zswap: ZswapConfig has no effect": """
        ZswapStatuses.block.talos.dev runtime - zswapstatus zs
    """,
    "only Kubernetes starts containers: ContainerConfig has no effect": """
        ContainerSpecs.containers.talos.dev containers - containerspec containerspecs cs
        ContainerImageStatuses.containers.talos.dev containers - containerimagestatus containerimagestatuses cis
        ContainerInstanceSpecs.containers.talos.dev containers - containerinstancespec containerinstancespecs cis
    """,
    "nothing is measured into a TPM and nothing sealed to one: volumes are not encrypted": """
        PCRStatuses.hardware.talos.dev hardware - pcrstatus pcrs
        EncryptionSalts.secrets.talos.dev secrets sensitive encryptionsalt es
    """,
    "static pods are handed to the kubelet as files, not served under a URL": """
        StaticPodServerStatuses.kubernetes.talos.dev k8s - staticpodserverstatus spss
    """,
    "the sequences reboot and shutdown cordon the node and stop the kubelet; no resource asks for it": """
        KubeletLifecycles.kubernetes.talos.dev k8s - kubeletlifecycle kl kls
        NodeCordonedSpecs.k8s.talos.dev k8s sensitive nodecordonedspec ncs
    """,
    "what the kubelet reads is counted by SecretStatuses and ConfigStatuses, the kubeconfig included": """
        KubeletKubeconfigs.kubernetes.talos.dev k8s - kubeletkubeconfig kk kks
    """,
    "there is no encrypted network between nodes": """
        KubeSpanConfigs.kubespan.talos.dev config sensitive kubespanconfig ksc kscs
        KubeSpanEndpoints.kubespan.talos.dev kubespan - kubespanendpoint kse kses
        KubeSpanIdentities.kubespan.talos.dev kubespan sensitive kubespanidentity ksi ksis
        KubeSpanPeerSpecs.kubespan.talos.dev kubespan - kubespanpeerspec ksps
        KubeSpanPeerStatuses.kubespan.talos.dev kubespan - kubespanpeerstatus ksps
    """,
    "routes are not exchanged with neighbours": """
        BGPInstanceConfigs.net.talos.dev network - bgpinstanceconfig bgpic bgpics
        BGPPeerStatuses.net.talos.dev network - bgppeerstatus bgpps
    """,
    "the interfaces of the configuration are in NetworkSettings.config.dozen, all in one": """
        DeviceConfigSpecs.net.talos.dev network sensitive deviceconfigspec dcs
    """,
    "links are followed by what the kernel announces; nobody asks for another look": """
        LinkRefreshes.net.talos.dev network - linkrefresh lr lrs
    """,
    "what the platform says of the network is in PlatformNetworks.config.dozen": """
        PlatformConfigs.net.talos.dev network - platformconfig pc pcs
    """,
    "the machine is started without a boot loader's menu: systems are not installed to disks yet": """
        BootedEntries.talos.dev runtime - bootedentry be bes
        UnattendedInstallStatuses.runtime.talos.dev runtime - unattendedinstallstatus uis
    """,
    "an image holds what its recipes list: there are no extensions": """
        ExtensionServiceConfigs.runtime.talos.dev runtime sensitive extensionserviceconfig esc escs
        ExtensionServiceConfigStatuses.runtime.talos.dev runtime - extensionserviceconfigstatus escs
        ExtensionStatuses.runtime.talos.dev runtime - extensions extensionstatus es
    """,
    "images are made from recipes; the SBOM beside an image says from which": """
        ImageFactorySchematics.runtime.talos.dev runtime - imagefactoryschematic ifs
    """,
    "the one apid serves maintenance too, as APIServiceConfigs says: nobody asks for another server": """
        MaintenanceServiceConfigs.runtime.talos.dev runtime - maintenanceserviceconfig msc mscs
        MaintenanceServiceRequests.runtime.talos.dev runtime - maintenanceservicerequest msr msrs
        MaintenanceRootSecrets.secrets.talos.dev secrets sensitive maintenancerootsecret mrs
    """,
    "the end of a boot is asked of machined by a call, never by a resource": """
        MachineResetSignals.runtime.talos.dev runtime - machineresetsignal mrs
        RebootRequests.runtime.talos.dev runtime - rebootrequest rr rrs
    """,
    "the token is for SideroLink, which is not spoken; META's values are in MetaKeys": """
        UniqueMachineTokens.runtime.talos.dev runtime - uniquemachinetoken umt umts
    """,
    "SideroLink is not spoken": """
        SiderolinkConfigs.siderolink.talos.dev config sensitive siderolinkconfig sc scs
        SiderolinkTunnels.siderolink.talos.dev config sensitive siderolinktunnel st sts
    """,
    "images are taken as their registries give them, by digest: signatures are not looked at": """
        ImageVerificationRules.security.talos.dev security - imageverificationrule ivr ivrs
        TUFTrustedRoots.security.talos.dev security - tuftrustedroot tuftr tuftrs
    """,
    "LVM belongs to the storage drivers that use it; the node makes no volumes with it": """
        LVMRefreshRequests.storage.talos.dev storage - lvmrefreshrequest lvmrr lvmrrs
        LVMPhysicalVolumeSpecs.storage.talos.dev storage - lvmphysicalvolumespec lvmpvs
        LVMLogicalVolumeSpecs.storage.talos.dev storage - lvmlogicalvolumespec lvmlvs
        LVMLogicalVolumeStatuses.storage.talos.dev storage - lvs lvmlogicalvolumestatus lvmlvs
        LVMPhysicalVolumeStatuses.storage.talos.dev storage - pvs lvmphysicalvolumestatus lvmpvs
        LVMValidationErrors.storage.talos.dev storage - lvmvalidationerror lvmve lvmves
        LVMVolumeGroupSpecs.storage.talos.dev storage - lvmvolumegroupspec lvmvgs
        LVMVolumeGroupStatuses.storage.talos.dev storage - vgs lvmvolumegroupstatus lvmvgs
    """,
    "the node joins no disks to arrays: RAIDArrayConfig has no effect, and the image has no program for it": """
        MDArraySpecs.storage.talos.dev storage - mdarrayspec mdas
        MDArrayStatuses.storage.talos.dev storage - mdarraystatus mdas
        MDRefreshRequests.storage.talos.dev storage - mdrefreshrequest mdrr mdrrs
    """,
    "machined looks for its configuration by itself; what it found is MachineConfigs": """
        AcquireConfigSpecs.v1alpha1.talos.dev runtime - acquireconfigspec acs
        AcquireConfigStatuses.v1alpha1.talos.dev runtime - acquireconfigstatus acs
    """,
}
