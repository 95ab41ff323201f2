"""``docs/api.md``: every method of the machine API, who may call it, whether it works, and the test that shows it.

``python -m dozen.cli.api_reference`` writes it; a test holds the file to the code, and another holds `SHOWN` to the
tests that there are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from dozen.machinery.roles import RULES, NotAuthorized, Role, authorize
from dozen.node.api import THEMES, theme_paths
from dozen.node.api.absent import explain, find_reason
from dozen.node.api.state import SERVICE as STATE_SERVICE
from dozen.node.api.state import WRITE_VERBS

ROOT = Path(__file__).parents[3]
OUTPUT = ROOT / "docs" / "api.md"
HEAD = """# The machine API

Every method of the API, the roles that may call it, what a node does when it is called, and the test that shows so. A
node serves these on port 50000, to callers whose certificate is signed by an authority that it accepts; the roles are
the organizations in that certificate. *Maintenance* in the column of roles: while a node waits for its first
configuration, everybody who reaches it may call the method. What is refused is refused with the sentence that stands
here and the code Unimplemented, unless the row says otherwise. Tests are named as pytest names them below `tests`.

This page is made from the code by `python -m dozen.cli.api_reference`.
"""
# A service of the wire that is not a node's on this port; its callers are known by something else than roles.
ELSEWHERE = {
    "securityapi.SecurityService": ("who has the machine's token", "works: trustd on control planes, port 50001"),
}
REFUSED_BY = "unit/node/api/test_absent.py::test_what_is_not_served_says_why"
# Service → a method and its test in each line.
SHOWN: dict[str, str] = {
    "machine.MachineService": """
        ApplyConfiguration native/test_configuration.py::test_a_node_in_maintenance_is_configured_by_a_stranger_once
        Bootstrap native/test_etcd.py::test_the_api_tells_of_etcd_and_looks_after_it
        Containers boot/test_reset.py::test_a_container_is_restarted
        Copy native/test_api.py::test_a_tree_is_copied_as_an_archive
        CPUFreqStats native/test_methods.py::test_processors
        CPUInfo native/test_methods.py::test_processors
        DiskStats native/test_methods.py::test_disks_and_interfaces
        DiskUsage native/test_methods.py::test_space
        Dmesg boot/test_first_light.py::test_the_kernel_s_log_can_be_read
        EtcdAlarmDisarm native/test_etcd.py::test_the_api_tells_of_etcd_and_looks_after_it
        EtcdAlarmList native/test_etcd.py::test_the_api_tells_of_etcd_and_looks_after_it
        EtcdDefragment native/test_etcd.py::test_the_api_tells_of_etcd_and_looks_after_it
        EtcdDowngradeCancel native/test_etcd.py::test_the_api_takes_etcd_down_a_version_and_back
        EtcdDowngradeEnable native/test_etcd.py::test_the_api_takes_etcd_down_a_version_and_back
        EtcdDowngradeValidate native/test_etcd.py::test_the_api_takes_etcd_down_a_version_and_back
        EtcdForfeitLeadership native/test_etcd.py::test_the_api_lets_members_go
        EtcdLeaveCluster native/test_etcd.py::test_the_api_lets_members_go
        EtcdMemberList native/test_etcd.py::test_the_api_lets_members_go
        EtcdRecover native/test_etcd.py::test_the_api_recovers_from_a_snapshot
        EtcdRemoveMemberByID boot/test_etcd.py::test_without_one_member_the_others_go_on_and_can_drop_it
        EtcdSnapshot boot/test_etcd.py::test_everything_is_made_again_from_a_snapshot
        EtcdStatus boot/test_etcd.py::test_all_three_vote_and_agree_on_a_leader
        Events native/test_methods.py::test_events_of_the_boot_are_remembered
        GenerateClientConfiguration native/test_configuration.py::test_a_configuration_for_other_clients
        Hostname boot/test_first_light.py::test_it_got_an_address_a_route_and_a_name
        ImageList native/test_pulling.py::test_the_api_pulls_and_says_how_far_it_is
        ImagePull native/test_pulling.py::test_the_api_pulls_and_says_how_far_it_is
        Kubeconfig unit/node/api/test_etcd.py::test_a_kubeconfig_is_one_file_in_an_archive
        List native/test_api.py::test_the_first_entry_of_a_list_is_the_folder_itself
        LoadAvg native/test_methods.py::test_load_and_memory
        Logs native/test_methods.py::test_logs_from_their_end
        LogsContainers native/test_methods.py::test_logs_from_their_end
        Memory native/test_methods.py::test_load_and_memory
        MetaDelete native/test_methods.py::test_names_and_meta
        MetaWrite native/test_methods.py::test_names_and_meta
        Mounts native/test_api.py::test_the_root_cannot_be_written
        Netstat native/test_api.py::test_sockets_are_listed_with_their_holders
        NetworkDeviceStats native/test_methods.py::test_disks_and_interfaces
        PacketCapture native/test_api.py::test_frames_are_captured_through_a_filter
        Processes native/test_methods.py::test_processes_and_their_first
        Read native/test_api.py::test_reading_what_is_no_file_is_refused
        Reboot boot/test_configuration.py::test_a_change_outlives_a_reboot
        Reset boot/test_reset.py::test_what_was_asked_for_is_forgotten_and_the_rest_kept
        Restart boot/test_reset.py::test_a_container_is_restarted
        Rollback unit/node/api/test_installing.py::test_what_is_right_is_told_what_is_missing
        ServiceList native/test_api.py::test_services_that_a_node_needs_run
        ServiceRestart boot/test_reset.py::test_a_service_is_restarted_and_counted
        ServiceStart unit/node/api/test_services.py::test_verbs
        ServiceStop unit/node/api/test_services.py::test_verbs
        Shutdown native/test_client_commands.py::test_a_node_is_shut_down_and_followed_to_its_end
        Stats boot/test_reset.py::test_a_service_is_restarted_and_counted
        SystemStat native/test_methods.py::test_processors
        Upgrade unit/node/api/test_installing.py::test_what_is_right_is_told_what_is_missing
        Version native/test_api.py::test_a_node_in_namespaces_says_so
    """,
    "machine.StorageService": """
        Statfs native/test_methods.py::test_space
    """,
    "machine.LifecycleService": """
        Install unit/node/api/test_installing.py::test_what_is_right_is_told_what_is_missing
        Upgrade unit/node/api/test_installing.py::test_what_is_right_is_told_what_is_missing
    """,
    "machine.LVMService": """
        LogicalVolumeRemove boot/test_reset.py::test_volumes_of_lvm_are_removed_from_the_top_down
        PhysicalVolumeRemove boot/test_reset.py::test_volumes_of_lvm_are_removed_from_the_top_down
        VolumeGroupRemove boot/test_reset.py::test_volumes_of_lvm_are_removed_from_the_top_down
    """,
    "storage.StorageService": """
        BlockDeviceWipe boot/test_reset.py::test_a_disk_is_wiped_unless_it_is_in_use
        Disks boot/test_reset.py::test_older_clients_list_disks
    """,
    "machine.DebugService": """
        ContainerRun boot/test_twelve.py::test_dmsetup_makes_a_device_by_itself
    """,
    "machine.ImageService": """
        Import boot/test_twelve.py::test_dmsetup_makes_a_device_by_itself
        List native/test_pulling.py::test_the_api_pulls_and_says_how_far_it_is
        Pull native/test_pulling.py::test_the_api_pulls_and_says_how_far_it_is
        Remove native/test_pulling.py::test_the_api_pulls_and_says_how_far_it_is
    """,
    "cosi.resource.State": """
        Create native/test_methods.py::test_resources_are_got_listed_and_watched
        Destroy native/test_methods.py::test_resources_are_got_listed_and_watched
        Get native/test_methods.py::test_resources_are_got_listed_and_watched
        List native/test_methods.py::test_resources_are_got_listed_and_watched
        Teardown native/test_methods.py::test_resources_are_got_listed_and_watched
        TeardownAndDestroy native/test_methods.py::test_resources_are_got_listed_and_watched
        Update native/test_methods.py::test_resources_are_got_listed_and_watched
        Watch native/test_methods.py::test_resources_are_got_listed_and_watched
    """,
    "time.TimeService": """
        Time unit/node/api/test_timeservice.py::test_own_server
        TimeCheck unit/node/api/test_timeservice.py::test_named_server
    """,
    "inspect.InspectService": """
        ControllerRuntimeDependencies native/test_api.py::test_the_graph_of_controllers_is_told
    """,
    "cluster.ClusterService": """
        HealthCheck native/test_methods.py::test_health_says_what_it_waits_for_and_what_is_missing
    """,
    "securityapi.SecurityService": """
        Certificate unit/node/trust/test_trust.py::test_a_worker_gets_its_certificate_through_trustd
    """,
}


def services() -> dict[str, list[str]]:
    """The services of the machine API and their methods, as the definitions have them."""
    known = {path.split("/")[1] for path in RULES} | {service for theme in THEMES.values() for service in theme}
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "api").rglob("*.proto")):
        text = file.read_text()
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        for name, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            service = f"{package[1]}.{name}" if package else name
            if service in known:
                found[service] = re.findall(r"\brpc (\w+)", body)
    return dict(sorted(found.items()))


def shown_by() -> dict[str, str]:
    """Method paths and the tests that show them."""
    pairs = [(service, *line.split()) for service, text in SHOWN.items() for line in text.strip().splitlines()]
    return {f"/{service}/{method}": test for service, method, test in pairs}


def render() -> str:
    """The whole page."""
    tests, parts = shown_by(), [HEAD]
    for service, methods in services().items():
        parts += [f"## {service}\n", "| method | roles | the node | shown by |", "|---|---|---|---|"]
        parts += [*_rows(service, methods, tests), ""]
    return "\n".join(parts)


def is_served(path: str) -> bool:
    """Whether a node answers the method on port 50000."""
    return any(path in theme_paths(theme) for theme in THEMES)


def _rows(service: str, methods: list[str], tests: dict[str, str]) -> Iterator[str]:
    for method in methods:
        path = f"/{service}/{method}"
        roles, does = _roles(path), "works"
        if path.startswith(STATE_SERVICE) and method in WRITE_VERBS:
            does = "refused, PermissionDenied: write access is not allowed"
        elif service in ELSEWHERE:
            roles, does = ELSEWHERE[service]
        elif find_reason(path):
            does = f"refused{', once its arguments are right' if is_served(path) else ''}: {explain(path)}"
        test = tests.get(path, "" if is_served(path) else REFUSED_BY)
        yield f"| {method} | {roles} | {does} | " + (f"`{test}` |" if test else "**no test names it yet** |")


def _roles(path: str) -> str:
    allowed = RULES.get(path, frozenset({Role.ADMIN}))
    names = [str(role) for role in Role if role in allowed and _may(path, role, maintenance=False)]
    if _may(path, Role.READER, maintenance=True) and str(Role.READER) not in names:
        names.append("maintenance")
    return ", ".join(names)


def _may(path: str, role: Role, *, maintenance: bool) -> bool:
    try:
        authorize(path, [role], maintenance=maintenance)
    except NotAuthorized:
        return False
    return True


if __name__ == "__main__":
    OUTPUT.write_text(render())
    sys.stdout.write(f"{OUTPUT}\n")
