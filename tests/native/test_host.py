"""What a configuration says of the host around Kubernetes: a node in namespaces does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dozen.machinery.pki import new_ca
from dozen.provider.machines import BootImage
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.hosts import MADE, apply, configured, started

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def node(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    text = configured(
        {"kind": "EnvironmentConfig", "variables": {"COLOUR": "green", "TASTE": "sweet"}},
        env={"COLOUR": "red", "http_proxy": "http://10.0.0.1:3128", "LD_PRELOAD": "/var/evil.so"},
    )
    with started(image, portal, tmp_path_factory.mktemp("host"), text) as found:
        yield found


def read(node: LiveNode, path: str) -> str:
    """A file of the node, empty when it is not there."""
    try:
        return node.read(path).decode()
    except Exception:  # noqa: BLE001 -- whatever keeps it from being read
        return ""


def test_services_get_the_variables(node: LiveNode) -> None:
    wanted = {"COLOUR=green", "TASTE=sweet", "http_proxy=http://10.0.0.1:3128"}
    node.until_healthy("trustd")
    told = node.until(lambda: node.resources("Environments.runtime.talos.dev", "runtime").get("machined"), "variables")
    assert set(told["variables"]) == wanted
    pid = node.resources("ServicePIDs.runtime.talos.dev", "runtime")["trustd"]["pid"]
    assert set(read(node, f"/proc/{pid}/environ").strip("\0").split("\0")) == {*wanted, "PATH=/bin:/sbin"}
    (warning,) = apply(node, configured(env={"LD_PRELOAD": "/var/evil.so"}))
    assert 'machine.env["LD_PRELOAD"]' in warning


def test_files_are_written_changed_and_given_back(node: LiveNode) -> None:
    release, names = read(node, "/etc/os-release"), node.names("/etc")
    passwd = read(node, "/etc/group")
    assert release
    apply(
        node,
        configured(
            {"kind": "EtcFileConfig", "name": "iscsi/initiatorname.iscsi", "mode": "0o600", "contents": "one\n"},
            files=[
                {"path": "/var/lib/some/where", "content": "data\n", "permissions": "0o640", "op": "create"},
                {"path": "/etc/udev/udev.conf", "content": "# more\n", "op": "append"},
                {"path": "/etc/absent", "content": "-", "op": "overwrite"},
            ],
        ),
    )
    node.until(lambda: read(node, "/etc/iscsi/initiatorname.iscsi") == "one\n", "a file in /etc")
    node.until(lambda: read(node, "/var/lib/some/where") == "data\n", "a file in /var")
    node.until(lambda: read(node, "/etc/udev/udev.conf").endswith("# more\n"), "more of a file")
    assert read(node, "/etc/udev/udev.conf") != "# more\n"
    problem = node.until(lambda: node.problems().get("files"), "the file that is not there")
    assert "overwrite /etc/absent: is not there" in problem
    assert (read(node, "/etc/os-release"), read(node, "/etc/group")) == (release, passwd)
    (entry,) = (each for each in node.call("List", root="/etc/iscsi") if each.relative_name != ".")
    assert entry.mode & 0o777 == 0o600
    assert "/var/lib/some/where" in node.resources("HostFiles.files.dozen", "files")
    apply(node, MADE.controlplane)
    node.until(lambda: not read(node, "/etc/iscsi/initiatorname.iscsi"), "the file gone")
    node.until(lambda: not read(node, "/etc/udev/udev.conf").endswith("# more\n"), "the image's file again")
    node.until(lambda: "files" not in node.problems(), "the problem over")
    assert read(node, "/var/lib/some/where") == "data\n"
    assert set(node.names("/etc")) - set(names) <= {"iscsi"}
    apply(node, configured({"kind": "EtcFileConfig", "name": "iscsi/initiatorname.iscsi", "contents": "two\n"}))
    node.until(lambda: read(node, "/etc/iscsi/initiatorname.iscsi") == "two\n", "a file in /etc again")


def test_authorities_are_added_and_taken_away(node: LiveNode) -> None:
    image, root = read(node, BUNDLE), new_ca().crt
    apply(node, configured({"kind": "TrustedRootsConfig", "name": "ours", "certificates": root}))
    node.until(lambda: read(node, BUNDLE) == image + root, "one authority more")
    apply(node, MADE.controlplane)
    node.until(lambda: read(node, BUNDLE) == image, "the image's authorities alone")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"kind": "EtcFileConfig", "name": "ld.so.preload"}, "foreign code"),
        ({"kind": "EtcFileConfig", "name": "../var/x"}, "expected a path below /etc"),
        ({"kind": "EnvironmentConfig", "variables": {"A B": "c"}}, "is not a name of a variable"),
        ({"kind": "TrustedRootsConfig", "name": "x", "certificates": "-"}, "expected a PEM certificate"),
    ],
)
def test_what_cannot_be_is_refused(node: LiveNode, document: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        apply(node, configured(document))


def test_seccomp_profiles_are_where_the_kubelet_looks_and_go_with_the_configuration(node: LiveNode) -> None:
    place = "/var/lib/kubelet/seccomp/profiles/audit.json"
    apply(node, configured(seccompProfiles=[{"name": "audit.json", "value": {"defaultAction": "SCMP_ACT_LOG"}}]))
    node.until(lambda: read(node, place) == '{"defaultAction":"SCMP_ACT_LOG"}', "the profile")
    apply(node, MADE.controlplane)
    node.until(lambda: not read(node, place), "no profile")
