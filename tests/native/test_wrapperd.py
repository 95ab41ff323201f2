"""wrapperd confines as it was told, and the launcher's names do what they should."""

from __future__ import annotations

import time

import pytest

from native.privileges import needs_root
from native.sealed_tree import SealedTree, build_tree

pytestmark = needs_root

STATUS = "/proc/self/status"
CAP_NET_BIND_SERVICE = 1 << 10
CAP_CHOWN = 1 << 0


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> SealedTree:
    return build_tree(tmp_path_factory.mktemp("wrapperd"))


def wrapped(tree: SealedTree, options: list[str], *files: str) -> tuple[dict[str, str], str]:
    """The fields of /proc/self/status as the wrapped program saw them, and all that it printed."""
    command = ["/sbin/wrapperd", *options, "--", "/sbin/apid", "show_status", STATUS, *files]
    done = tree.run(command, environment={"LEAK": "1"})
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line), text


def test_identity_and_an_empty_bounding_set(tree: SealedTree) -> None:
    status, text = wrapped(tree, ["--uid", "50", "--gid", "51", "--caps", "none", "--no-new-privs"])
    assert status["Uid"].split() == ["50"] * 4
    assert status["Gid"].split() == ["51"] * 4
    assert status["Groups"].strip() == ""
    assert status["NoNewPrivs"] == "1"
    for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[field], 16) == 0, field
    assert "descriptors [0, 1, 2]" in text


def test_named_capabilities_stay_with_another_user(tree: SealedTree) -> None:
    status, _ = wrapped(tree, ["--uid", "50", "--caps", "net_bind_service,CAP_CHOWN"])
    for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[field], 16) == CAP_NET_BIND_SERVICE | CAP_CHOWN, field


def test_root_keeps_only_what_is_named(tree: SealedTree) -> None:
    status, _ = wrapped(tree, ["--caps", "chown"])
    assert int(status["CapEff"], 16) == CAP_CHOWN
    assert int(status["CapBnd"], 16) == CAP_CHOWN


def test_all_leaves_the_capabilities_alone(tree: SealedTree) -> None:
    status, _ = wrapped(tree, ["--caps", "all"])
    with open(STATUS) as stream:
        ours = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    assert status["CapBnd"] == ours["CapBnd"]


def test_the_out_of_memory_score(tree: SealedTree) -> None:
    _, text = wrapped(tree, ["--oom", "731"], "/proc/self/oom_score_adj")
    assert "\n731\n" in text


def test_the_environment_is_what_was_given_and_nothing_else(tree: SealedTree) -> None:
    # /proc/self/environ shows what the program was started with, before it cleared it.
    _, text = wrapped(tree, ["--env", "A=1", "--env", "B=x=y"], "/proc/self/environ")
    assert "A=1\0B=x=y\0" in text
    assert "LEAK" not in text


def test_the_name_of_the_program(tree: SealedTree) -> None:
    done = tree.run(["/sbin/wrapperd", "--argv0", "dashboard", "--", "/sbin/init", "name"])
    assert done.stdout == b"dashboard\n"


def test_an_optional_cgroup_is_left_out_with_a_note(tree: SealedTree) -> None:
    done = tree.run(["/sbin/wrapperd", "--cgroup", "?system/apid", "--", "/sbin/apid", "name"])
    assert (done.returncode, done.stdout) == (0, b"apid\n")
    assert b"wrapperd: going on without cgroup system/apid: " in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--cgroup", "system/apid", "--", "/sbin/apid"], 125, "cgroup system/apid: "),
        (
            ["--cgroup", "?../../etc", "--", "/sbin/apid", "name"],
            0,
            "going on without cgroup ../../etc: Invalid argument",
        ),
        (["--caps", "chown,fly", "--", "/sbin/apid"], 125, "fly is not a capability"),
        (["--uid", "-1", "--", "/sbin/apid"], 125, "-1 is not a number from 0 to 2147483647"),
        (["--uid", "", "--", "/sbin/apid"], 125, " is not a number from 0 to 2147483647"),
        (["--oom", "2000", "--", "/sbin/apid"], 125, "2000 is not a number from -1000 to 1000"),
        (["--env", "NOVALUE", "--", "/sbin/apid"], 125, "--env NOVALUE is not understood"),
        (["--nice", "3", "--", "/sbin/apid"], 125, "--nice 3 is not understood"),
        (["--uid"], 125, "--uid is not understood, or lacks its value"),
        (["--", "apid"], 125, "the program's full path is missing after --"),
        (["--"], 125, "the program's full path is missing after --"),
        ([], 125, "the program's full path is missing after --"),
        (["--", "/sbin/none"], 127, "starting /sbin/none: No such file or directory"),
        (["--", "/usr/lib"], 126, "starting /usr/lib: Permission denied"),
    ],
)
def test_what_cannot_be_done_is_said(tree: SealedTree, options: list[str], code: int, message: str) -> None:
    done = tree.run(["/sbin/wrapperd", *options])
    assert (done.returncode, message in done.stderr.decode()) == (code, True), done.stderr


@pytest.mark.parametrize("name", ["apid", "dashboard", "poweroff", "shutdown"])
def test_the_name_picks_the_role(tree: SealedTree, name: str) -> None:
    assert tree.run([f"/sbin/{name}", "name"]).stdout == f"{name}\n".encode()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("/sbin/init", b"init: this is PID 1's program and does nothing else"),
        ("/sbin/stranger", b"init: started under a name that is none of its own"),
    ],
)
def test_a_start_without_a_role_is_refused(tree: SealedTree, program: str, message: bytes) -> None:
    done = tree.run([program, "name"])
    assert done.returncode == 1
    assert message in done.stderr


def test_the_return_value_is_the_exit_status(tree: SealedTree) -> None:
    assert tree.run(["/sbin/apid", "exit_with", "42"]).returncode == 42
    done = tree.run(["/sbin/apid"])
    assert done.returncode == 1
    assert b"apid ended by LookupError: apid was not told what to do" in done.stderr


def test_pid_1_says_why_it_cannot_go_on_and_restarts(tree: SealedTree) -> None:
    started = time.monotonic()
    done = tree.run(["/sbin/init"], namespaces=("--uts", "--pid", "--fork"))
    assert b"machined ended by LookupError: machined was not told what to do" in done.stderr
    assert b"the machine restarts in 10 seconds" in done.stderr
    assert time.monotonic() - started >= 9
    # In a PID namespace of its own, reboot(2) ends the namespace with SIGHUP (pid_namespaces(7)).
    assert done.returncode in (-1, 129)
