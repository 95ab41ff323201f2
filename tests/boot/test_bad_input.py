"""Bad input never stops the node: it stays up, can be reached where that is possible at all, and says what is wrong."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

from dozen.machinery.messages import message
from dozen.provider.machines import Network
from dozen.rpc.client import Channel
from dozen.testing.booter import Booter
from dozen.testing.live import LiveNode


def reason_on_console(node: LiveNode, subject: str) -> str:
    """The reason that the node gives on its console, which is all that there is without a network."""

    def look() -> str:
        lines = [line for line in node.console().splitlines() if f"problem={subject}" in line]
        return lines[-1] if lines else ""

    return node.until(look, f"a reason about {subject} on the console", 180)


def is_running(node: LiveNode) -> bool:
    present = node.provider.show(node.machine.folder)
    return present is not None and present.pid is not None


def test_without_a_disk_it_answers_and_says_what_waits(boot: Booter) -> None:
    node = boot("no-disk", disk_mib=0)
    reason = node.until(lambda: node.problems().get("ephemeral"), "a reason", 120)
    assert "disk" in reason
    assert node.services()["containerd"].state == "Waiting"
    assert "problem=ephemeral" in node.dmesg()
    assert "problem=ephemeral" in node.console()


def test_with_a_disk_that_cannot_be_read_it_answers_and_says_which(boot: Booter, tmp_path: Path) -> None:
    disk, rules = tmp_path / "bad.raw", tmp_path / "errors"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
    # The emulator answers every read with an input/output error.
    rules.write_text('[inject-error]\nevent = "read_aio"\nerrno = "5"\n')
    node = boot("bad-disk", disk_mib=0, disks={"bad": Path(f"blkdebug:{rules}:{disk}")})
    told = re.compile(r"no blank disk .* vd[a-z] cannot be read \(Input/output error\)")
    node.until(lambda: told.search(node.problems().get("ephemeral", "")), "which disk cannot be read, and why", 120)
    node.until_healthy("apid", "udevd")


@pytest.mark.parametrize(
    ("network", "told"), [(Network.NONE, "no network card"), (Network.SILENT, "no answer by DHCP on eth0")]
)
def test_without_a_network_it_stays_up_and_says_why_nobody_reaches_it(
    boot: Booter, network: Network, told: str
) -> None:
    node = boot(f"network-{network}", network=network, wait=False)
    assert told in reason_on_console(node, "network")
    node.until(lambda: "sequence=boot done" in node.console(), "the end of the boot", 180)
    assert is_running(node)


@pytest.mark.parametrize(
    ("name", "config", "told"),
    [
        ("not-yaml", "machine: [", "line 1: a bracket has no end"),
        ("wrong", "version: v1alpha1\nmachine:\n  type: gadget\n  tpyo: 1\ncluster: {}\n", "machine.type (line 3)"),
        ("empty", "", ""),
    ],
)
def test_with_a_corrupt_configuration_it_serves_maintenance(boot: Booter, name: str, config: str, told: str) -> None:
    """Anybody may then ask harmless things; the certificate is of its own making."""
    node = boot(name, config=config, wait=False)
    stranger = Channel(node.machine.address, tls=trusting())
    try:
        version = node.until(lambda: node.call("Version", channel=stranger).messages[0], "an answer", 240)
        assert version.version.tag
        assert told in reason_on_console(node, "config")
    finally:
        node.portal.run(stranger.close())


def trusting() -> ssl.SSLContext:
    """What a client's --insecure does."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_alpn_protocols(["h2"])
    return tls


def test_a_request_that_is_no_message_is_refused(node: LiveNode) -> None:
    """And the next one is served."""
    with pytest.raises(Exception, match=r"INVALID_ARGUMENT|INTERNAL"):
        node.portal.run(
            node.channel.unary("/machine.MachineService/List", b"\xff\xff\xff", message("machine.FileInfo"))
        )
    assert node.version()
