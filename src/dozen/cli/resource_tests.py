"""Which tests show which types of resources: data of `dozen.cli.resource_reference`.

File → tests, and below each the types that it shows.
"""

from __future__ import annotations

SHOWN: dict[str, str] = {
    "boot/test_bad_input.py": """
        test_without_a_disk_it_answers_and_says_what_waits
            Diagnostics.runtime.talos.dev
    """,
    "boot/test_ephemeral.py": """
        test_a_blank_disk_gets_meta_and_ephemeral
            VolumeStatuses.block.talos.dev
    """,
    "native/kubernetes/test_membership.py": """
        test_a_node_carries_what_its_configuration_says_and_nothing_that_it_no_longer_says
            NodeStatuses.kubernetes.talos.dev
        test_the_watcher_applies_everything_in_order_and_again_when_it_changes
            Manifests.kubernetes.talos.dev ManifestStatuses.kubernetes.talos.dev
    """,
    "native/test_configuration.py": """
        test_a_change_is_there_without_a_reboot
            MachineConfigs.config.talos.dev
    """,
    "native/test_etcd.py": """
        test_a_second_and_third_member_join_as_learners_and_get_their_vote
            EtcdMembers.etcd.talos.dev EtcdLaunches.etcd.dozen
    """,
    "native/test_host_network.py": """
        test_the_node_answers_questions_for_names
            HostDNSConfigs.net.talos.dev DNSResolveCaches.net.talos.dev DNSUpstreams.net.talos.dev
        test_connections_reach_the_api_server_that_answers
            KubePrismConfigs.kubernetes.talos.dev KubePrismEndpoints.kubernetes.talos.dev
            KubePrismStatuses.kubernetes.talos.dev
        test_probes_tell_what_works
            ProbeSpecs.net.talos.dev ProbeStatuses.net.talos.dev
    """,
    "native/test_sending.py": """
        test_logs_and_events_are_sent_to_whoever_is_named
            EventSinkConfigs.runtime.talos.dev KmsgLogConfigs.runtime.talos.dev
    """,
    "native/test_host.py": """
        test_services_get_the_variables
            Environments.runtime.talos.dev
        test_files_are_written_changed_and_given_back
            HostFiles.files.dozen HostFileStatuses.files.dozen
    """,
    "native/test_links.py": """
        test_scenario
            LinkAliasSpecs.net.talos.dev EthernetSpecs.net.talos.dev EthernetTold.net.dozen
    """,
    "native/test_oom.py": """
        test_pods_end_one_after_another_while_memory_is_short
            OOMActions.talos.dev
    """,
    "native/test_resources.py": """
        test_packages_of_the_image
            SBOMItems.talos.dev
        test_services_have_the_processes_that_run
            Services.v1alpha1.talos.dev ServicePIDs.runtime.talos.dev
        test_a_node_says_what_it_is
            Versions.runtime.talos.dev DevicesStatuses.runtime.talos.dev
        test_the_boot_is_this_kernel_s
            BootIDs.runtime.talos.dev KernelCmdlines.runtime.talos.dev
        test_types_that_are_known_and_empty
            SiderolinkStatuses.siderolink.talos.dev
        test_cores_and_modules_are_this_kernel_s
            KernelModuleStatuses.runtime.talos.dev LoadedKernelModules.runtime.talos.dev CPUCores.hardware.talos.dev
        test_rules_of_a_node_s_network
            RoutingRuleStatuses.net.talos.dev
        test_a_node_says_what_it_is_busy_with
            CPUStats.perf.talos.dev MemoryStats.perf.talos.dev
    """,
    "unit/linux/test_bootfacts.py": """
        test_what_protects_a_boot
            SecurityStates.talos.dev
    """,
    "unit/linux/test_mounts.py": """
        test_what_the_api_shows_of_it
            MountStatuses.runtime.talos.dev MountStatuses.block.talos.dev
    """,
    "unit/node/api/test_state.py": """
        test_definitions_are_how_clients_find_types
            Namespaces.meta.cosi.dev ResourceDefinitions.meta.cosi.dev
    """,
    "unit/node/controllers/block/test_devices.py": """
        test_devices_are_published_read_and_followed
            BlockDevices.block.talos.dev DiscoveredVolumes.block.talos.dev Disks.block.talos.dev
            SystemDisks.block.talos.dev
        test_links_of_devices_that_are_there_are_published
            BlockSymlinks.block.talos.dev
    """,
    "unit/node/controllers/block/test_meta.py": """
        test_values_are_shown_from_memory_and_then_from_the_partition
            MetaKeys.runtime.talos.dev MetaLoads.runtime.talos.dev
    """,
    "unit/node/controllers/block/test_trim.py": """
        test_volumes_are_trimmed_when_their_time_has_come
            VolumeTrimSchedules.block.talos.dev
    """,
    "unit/node/controllers/containers/test_runtime.py": """
        test_what_is_wanted_is_told_and_starts_containerd_again_once
            CustomizationConfigs.cri.talos.dev BaseRuntimeSpecConfigs.cri.talos.dev SeccompProfiles.cri.talos.dev
    """,
    "unit/node/controllers/containers/test_registries.py": """
        test_files_come_change_and_go_and_only_credentials_restart
            RegistryConfigs.cri.talos.dev RegistryFiles.cri.dozen
    """,
    "unit/node/controllers/discovery/test_discovery.py": """
        test_who_is_asked_for_members
            DiscoveryConfigs.cluster.talos.dev
        test_an_identity_is_made_once
            Identities.cluster.talos.dev
        test_a_node_says_who_it_is
            Infos.cluster.talos.dev Affiliates.cluster.talos.dev
        test_members_have_addresses_and_a_node_knows_itself_best
            Members.cluster.talos.dev
        test_control_planes_among_the_members_are_endpoints
            Endpoints.kubernetes.talos.dev
    """,
    "unit/node/controllers/etcd/test_member.py": """
        test_only_a_control_plane_has_a_member
            EtcdConfigs.etcd.talos.dev
        test_the_node_s_default_address_is_advertised_and_all_are_listened_on
            EtcdSpecs.etcd.talos.dev
        test_keys_come_before_certificates_and_readiness_last
            PKIStatuses.etcd.talos.dev
    """,
    "unit/node/controllers/host/test_watchdog.py": """
        test_what_the_configuration_asks_for
            WatchdogTimerConfigs.runtime.talos.dev
        test_it_is_fed_while_it_is_wanted_and_disarmed_then
            WatchdogTimerStatuses.runtime.talos.dev
    """,
    "unit/node/controllers/hardware/test_facts.py": """
        test_the_platform_and_the_name_it_gave
            PlatformMetadatas.talos.dev
        test_swap_space_by_path
            SwapStatuses.block.talos.dev
    """,
    "unit/node/controllers/hardware/test_hardware.py": """
        test_sockets_and_slots_are_called_as_on_the_board
            Processors.hardware.talos.dev MemoryModules.hardware.talos.dev SystemInformations.hardware.talos.dev
        test_a_pci_device
            PCIDevices.hardware.talos.dev
    """,
    "unit/node/controllers/kernel/test_rebind.py": """
        test_devices_get_drivers_once_and_their_own_again
            PCIDriverRebindConfigs.runtime.talos.dev PCIDriverRebindStatuses.runtime.talos.dev
    """,
    "unit/node/controllers/kernel/test_kernel.py": """
        test_specs_come_from_the_table_and_the_configuration
            KernelSettings.config.dozen KernelParamSpecs.runtime.talos.dev KernelParamDefaultSpecs.runtime.talos.dev
        test_modules_are_loaded_together_and_once
            KernelModuleSpecs.runtime.talos.dev
        test_what_nobody_wants_any_more_gets_its_old_value_back
            KernelParamStatuses.runtime.talos.dev
    """,
    "unit/node/controllers/network/test_addresses_routes.py": """
        test_missing_addresses_are_added_once
            AddressSpecs.net.talos.dev
        test_routes_are_added_when_they_can_be
            RouteSpecs.net.talos.dev
    """,
    "unit/node/controllers/network/test_dhcp.py": """
        test_the_lease_goes_with_its_link_or_its_operator
            DHCPLeases.net.dozen
    """,
    "unit/node/controllers/network/test_ethernet.py": """
        test_physical_links_only_and_again_when_one_changes
            EthernetStatuses.net.talos.dev
    """,
    "unit/node/controllers/network/test_firewall.py": """
        test_blocked_but_for_the_rules
            NfTablesChains.net.talos.dev
    """,
    "unit/node/controllers/network/test_rules.py": """
        test_rules_of_a_configuration
            RoutingRuleSpecs.net.talos.dev
    """,
    "unit/node/controllers/network/test_links.py": """
        test_a_first_boot
            LinkSpecs.net.talos.dev
        test_the_operator
            OperatorSpecs.net.talos.dev
    """,
    "unit/node/controllers/network/test_logical.py": """
        test_a_tunnel_is_set_up_once_and_again_when_it_changes
            TunnelStatuses.net.dozen
    """,
    "unit/node/controllers/network/test_names.py": """
        test_time_servers
            TimeSettings.config.dozen TimeServerStatuses.net.talos.dev TimeServerSpecs.net.talos.dev
        test_resolvers
            ResolverStatuses.net.talos.dev ResolverSpecs.net.talos.dev
        test_the_kernel_is_told_once
            HostnameStatuses.net.talos.dev
        test_who_names_the_host
            HostnameSpecs.net.talos.dev
        test_each_name_of_the_hosts_file_has_its_addresses
            StaticHosts.net.talos.dev
        test_the_files
            EtcFileSpecs.files.talos.dev
        test_a_file_is_written_when_its_text_changed
            EtcFileStatuses.files.talos.dev
    """,
    "unit/node/controllers/network/test_observe.py": """
        test_things_come_and_go
            AddressStatuses.net.talos.dev RouteStatuses.net.talos.dev LinkStatuses.net.talos.dev
    """,
    "unit/node/controllers/network/test_summary.py": """
        test_filters_choose_addresses
            NodeAddressFilters.net.talos.dev
        test_addresses_of_physical_links_come_first
            NodeAddresses.net.talos.dev
        test_longer_prefixes_come_first_where_that_is_asked_for
            NodeAddressSortAlgorithms.net.talos.dev
        test_readiness_one_after_the_other
            NetworkStatuses.net.talos.dev
        test_the_first_physical_link_identifies_the_node
            HardwareAddresses.net.talos.dev
    """,
    "unit/node/controllers/network/test_virtual.py": """
        test_both_ways_to_ask_for_an_address
            VirtualAddresses.net.dozen
    """,
    "unit/node/controllers/test_identity.py": """
        test_how_apid_serves_is_told
            APIServiceConfigs.runtime.talos.dev
        test_a_control_plane_s_apid_gets_a_key_before_its_certificate_and_trustd_its_own
            ApiCertificates.secrets.talos.dev TrustdCertificates.secrets.talos.dev
        test_the_certificate_names_every_way_to_the_node
            CertSANs.secrets.talos.dev
    """,
    "unit/node/controllers/test_kubernetes.py": """
        test_a_worker_runs_a_kubelet_and_no_pods_of_the_control_plane
            KubeletSpecs.kubernetes.talos.dev KubeletStatuses.kubernetes.talos.dev Nodenames.kubernetes.talos.dev
            NodeIPs.kubernetes.talos.dev NodeIPConfigs.kubernetes.talos.dev
        test_what_the_configuration_says_of_each_program_is_told
            KubeletConfigs.kubernetes.talos.dev ConfigStatuses.kubernetes.talos.dev
            APIServerConfigs.kubernetes.talos.dev ControllerManagerConfigs.kubernetes.talos.dev
            SchedulerConfigs.kubernetes.talos.dev
        test_the_control_plane_begins_in_its_order_and_stays
            StaticPods.kubernetes.talos.dev APIServerAnswers.kubernetes.dozen
        test_what_the_api_server_is_told_can_be_looked_at
            AdmissionControlConfigs.kubernetes.talos.dev AuditPolicyConfigs.kubernetes.talos.dev
            AuthenticationConfigs.kubernetes.talos.dev AuthorizationConfigs.kubernetes.talos.dev
            EtcdEncryptionConfigs.kubernetes.talos.dev
    """,
    "unit/node/controllers/test_settings.py": """
        test_the_type_of_a_machine_is_known_with_its_configuration
            MachineTypes.config.talos.dev
        test_documents_about_links
            NetworkSettings.config.dozen
        test_the_platform_says_what_the_configuration_does_not
            PlatformNetworks.config.dozen
    """,
    "unit/node/controllers/test_status.py": """
        test_a_node_is_ready_when_its_cluster_says_so
            MachineStatuses.runtime.talos.dev
        test_static_pods_are_waited_for_by_name
            StaticPodStatuses.kubernetes.talos.dev
    """,
    "unit/node/controllers/test_trust.py": """
        test_a_control_plane_gets_every_root
            KubernetesRootSecrets.secrets.talos.dev OSRootSecrets.secrets.talos.dev EtcdRootSecrets.secrets.talos.dev
        test_a_worker_learns_whom_to_trust_and_a_token_but_no_key
            KubeletSecrets.secrets.talos.dev
        test_a_control_plane_s_kubelet_begins_with_a_certificate
            KubeletClients.secrets.dozen
        test_kubeconfigs_say_where_and_who
            KubernetesSecrets.secrets.talos.dev
        test_the_api_server_is_who_everybody_calls_it
            KubernetesDynamicCerts.secrets.talos.dev
        test_etcd_s_members_serve_and_call
            EtcdSecrets.secrets.talos.dev
        test_what_programs_read_only_once_makes_another_version_and_a_renewal_does_not
            SecretStatuses.kubernetes.talos.dev
    """,
    "unit/node/controllers/time/test_measure.py": """
        test_the_state_of_the_clock_is_told
            AdjtimeStatuses.v1alpha1.talos.dev
        test_servers_are_asked_in_order_until_one_answers
            TimeMeasurements.time.dozen
    """,
    "unit/node/controllers/time/test_time.py": """
        test_after_long_enough_a_clock_that_nobody_compared_has_to_do
            ClockPatience.time.dozen
        test_the_first_measurement_is_believed
            TimeStatuses.v1alpha1.talos.dev NTPStatuses.v1alpha1.talos.dev
        test_an_adjustment_that_failed_is_tried_again
            ClockAdjustments.time.dozen
    """,
    "native/kubernetes/test_accounts.py": """
        test_workloads_get_what_they_may_have_and_lose_it
            KubernetesAccessConfigs.cluster.talos.dev
    """,
    "unit/node/kubernetes/test_specs.py": """
        test_what_manifests_are_made_from
            BootstrapManifestsConfigs.kubernetes.talos.dev ExtraManifestsConfigs.kubernetes.talos.dev
        test_what_a_node_is_to_carry
            NodeLabelSpecs.k8s.talos.dev NodeAnnotationSpecs.k8s.talos.dev NodeTaintSpecs.k8s.talos.dev
    """,
    "unit/node/tasks/test_containers.py": """
        test_the_disk_is_known_by_what_is_on_it
            ImageCacheConfigs.cri.talos.dev
    """,
}
