"""From an image's configuration and a wish to a runtime specification."""

from typing import Any

import pytest

from dozen.machinery.imagecache import chain_ids
from dozen.node.ocispec import (
    ALL_CAPABILITIES,
    BadImage,
    ImageConfig,
    Wish,
    build_command,
    build_environment,
    build_spec,
    parse_image_config,
    parse_user,
)

IMAGE = ImageConfig(entrypoint=("/prog",), command=("arg",), env=("A=1", "B=x=y"), directory="/work", user="1:2")


def test_image_configuration() -> None:
    config = {
        "config": {"Entrypoint": ["/e"], "Cmd": None, "Env": ["A=1"], "WorkingDir": "", "User": "7"},
        "rootfs": {"diff_ids": ["sha256:a"]},
    }
    assert parse_image_config(config) == ImageConfig(("/e",), (), ("A=1",), "/", "7", ("sha256:a",))
    assert parse_image_config({}) == ImageConfig()


def test_chain_ids() -> None:
    """The second is what sha256sum says of "sha256:a sha256:b"."""
    chains = chain_ids(["sha256:a", "sha256:b", "sha256:c"])
    assert chains[0] == "sha256:a"
    assert chains[1] == "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8"
    assert len(set(chains)) == 3
    assert chain_ids([]) == []


@pytest.mark.parametrize(
    ("image", "args", "expected"),
    [
        (IMAGE, [], ["/prog", "arg"]),
        (IMAGE, ["/bin/x", "-v"], ["/bin/x", "-v"]),
        (ImageConfig(command=("/c",)), [], ["/c"]),
    ],
)
def test_command(image: ImageConfig, args: list[str], expected: list[str]) -> None:
    assert build_command(image, args) == expected


def test_image_without_a_program() -> None:
    with pytest.raises(BadImage, match="names no program"):
        build_command(ImageConfig(), [])


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(), {"A": "1", "B": "x=y"}),
        (Wish(env={"A": "2", "C": "3"}), {"A": "2", "B": "x=y", "C": "3"}),
        (Wish(terminal=True), {"A": "1", "B": "x=y", "TERM": "xterm"}),
        (Wish(terminal=True, env={"TERM": "dumb"}), {"A": "1", "B": "x=y", "TERM": "dumb"}),
        (Wish(env={"PATH": "/x"}), {"A": "1", "B": "x=y", "PATH": "/x"}),
    ],
)
def test_environment(wish: Wish, expected: dict[str, str]) -> None:
    entries = build_environment(IMAGE.env, wish)
    values = dict(entry.split("=", 1) for entry in entries)
    assert len(values) == len(entries)
    assert values.pop("PATH") == expected.pop("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert values == expected


@pytest.mark.parametrize(("user", "expected"), [("", (0, 0)), ("5", (5, 0)), ("5:6", (5, 6))])
def test_user(user: str, expected: tuple[int, int]) -> None:
    assert parse_user(user) == {"uid": expected[0], "gid": expected[1]}


@pytest.mark.parametrize("user", ["nobody", "5:staff", "-1"])
def test_user_names_are_refused(user: str) -> None:
    with pytest.raises(BadImage, match="only numbers"):
        parse_user(user)


def targets(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["destination"]: mount for mount in spec["mounts"]}


def test_privileged_container_has_the_node() -> None:
    spec = build_spec(IMAGE, Wish(privileged=True, cgroup="/system/debug/x"))
    assert spec["process"]["capabilities"]["effective"] == list(ALL_CAPABILITIES)
    assert spec["linux"]["namespaces"] == [{"type": "mount"}]
    assert spec["linux"]["cgroupsPath"] == "/system/debug/x"
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    host = targets(spec)["/host"]
    assert (host["source"], host["type"], host["options"][0]) == ("/", "bind", "rbind")
    assert "maskedPaths" not in spec["linux"]


def test_other_container_has_its_namespaces_only() -> None:
    spec = build_spec(IMAGE, Wish(privileged=False))
    capabilities = spec["process"]["capabilities"]["effective"]
    assert "CAP_CHOWN" in capabilities
    assert "CAP_SYS_ADMIN" not in capabilities
    assert spec["linux"]["namespaces"] == [{"type": "mount"}]
    assert spec["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert "/host" not in targets(spec)
    assert "ro" in targets(spec)["/sys"]["options"]
    assert spec["process"]["noNewPrivileges"]
    assert "/proc/kcore" in spec["linux"]["maskedPaths"]


def test_no_capability_is_asked_for_that_the_node_cannot_give() -> None:
    without_mknod = ~(1 << ALL_CAPABILITIES.index("CAP_MKNOD"))
    for privileged in (True, False):
        spec = build_spec(IMAGE, Wish(privileged=privileged, may_give=without_mknod))
        assert "CAP_MKNOD" not in spec["process"]["capabilities"]["bounding"]
    assert build_spec(IMAGE, Wish(may_give=0b11))["process"]["capabilities"]["bounding"] == [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
    ]


def test_capabilities_are_numbered_as_the_kernel_does() -> None:
    """include/uapi/linux/capability.h."""
    numbers = {"CAP_CHOWN": 0, "CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_MKNOD": 27}
    last = {"CAP_BPF": 39, "CAP_CHECKPOINT_RESTORE": 40}
    for name, number in {**numbers, **last}.items():
        assert ALL_CAPABILITIES.index(name) == number
    assert len(ALL_CAPABILITIES) == 41
