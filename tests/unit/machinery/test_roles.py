"""Roles: the axes are method, role, and whether the machine still waits for its first configuration."""

import pytest

from dozen.machinery.roles import RULES, NotAuthorized, Role, authorize

VERSION = "/machine.MachineService/Version"
READ = "/machine.MachineService/Read"
REBOOT = "/machine.MachineService/Reboot"
APPLY = "/machine.MachineService/ApplyConfiguration"


def is_allowed(path: str, *roles: str, maintenance: bool = False) -> bool:
    try:
        authorize(path, roles, maintenance=maintenance)
    except NotAuthorized:
        return False
    return True


def test_refusal_says_the_wire_s_words() -> None:
    with pytest.raises(NotAuthorized, match=r"^not authorized$") as refusal:
        authorize(READ, [Role.READER])
    assert refusal.value.path == READ


@pytest.mark.parametrize("path", [*RULES, "/machine.MachineService/NotInTheTable"])
def test_admin_may_call_everything_and_nobody_nothing(path: str) -> None:
    assert is_allowed(path, Role.ADMIN)
    assert not is_allowed(path)
    assert not is_allowed(path, "os:unheard-of", "")


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        (VERSION, {Role.OPERATOR, Role.READER}),
        (READ, set()),
        (REBOOT, {Role.OPERATOR}),
        ("/machine.MachineService/EtcdSnapshot", {Role.OPERATOR, Role.ETCD_BACKUP}),
        ("/machine.MachineService/EtcdStatus", {Role.OPERATOR, Role.READER, Role.ETCD_BACKUP}),
        ("/machine.MachineService/MetaWrite", {Role.META_WRITER}),
        ("/machine.ImageService/Verify", {Role.OPERATOR, Role.READER, Role.IMAGE_VERIFIER}),
        ("/machine.DebugService/ContainerRun", set()),
        ("/cosi.resource.State/Watch", {Role.OPERATOR, Role.READER}),
        ("/cosi.resource.State/Create", set()),
        ("/securityapi.SecurityService/Certificate", set()),
        ("/signerapi.SignerService/Sign", set()),
        ("/machine.MachineService/NotInTheTable", set()),
    ],
)
def test_other_roles(path: str, roles: set[Role]) -> None:
    assert {role for role in Role if is_allowed(path, role)} == roles | {Role.ADMIN}


def test_one_good_role_is_enough() -> None:
    assert is_allowed(REBOOT, "os:unheard-of", "os:operator")


@pytest.mark.parametrize("path", [APPLY, "/machine.MDService/Destroy", "/storage.StorageService/BlockDeviceWipe"])
def test_readers_may_change_a_machine_only_before_it_is_configured(path: str) -> None:
    assert is_allowed(path, Role.READER, maintenance=True)
    assert not is_allowed(path, Role.READER)
    assert not is_allowed(path, Role.OPERATOR, maintenance=True)


def test_maintenance_opens_nothing_else() -> None:
    assert not is_allowed(READ, Role.READER, maintenance=True)
    assert not is_allowed(REBOOT, Role.READER, maintenance=True)
