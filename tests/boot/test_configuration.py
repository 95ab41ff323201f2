"""A machine that is told what to be by a cloud-init seed, is changed over its API, and remembers it over a reboot."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dozen.machinery import talosconfig, yaml
from dozen.machinery.config.generating import generate
from dozen.provider.cluster import GUEST_ADDRESS
from dozen.provider.machines import MachineSpec
from dozen.testing.booter import DISK_MIB, Booter
from dozen.testing.iso import write_iso
from dozen.testing.live import LiveNode

# Where the emulator's user network puts this computer.
HOST_ADDRESS = "10.0.2.2"
BUNDLE = generate("seeded", f"https://{GUEST_ADDRESS}:6443", sans=(GUEST_ADDRESS,))


NETWORK = b"""
version: 2
ethernets: {eth0: {dhcp4: true, addresses: [10.77.0.5/24]}}
"""


def named(hostname: str) -> str:
    data = yaml.load(BUNDLE.controlplane)
    data["machine"]["network"] = {"hostname": hostname}
    return yaml.dump(data)


@pytest.fixture(scope="module")
def seeded(boot_for_module: Booter, tmp_path_factory: pytest.TempPathFactory) -> LiveNode:
    """A machine whose firmware says nothing, with a seed on a disk."""
    seed: Path = tmp_path_factory.mktemp("seed") / "seed.iso"
    write_iso(
        seed,
        "CIDATA",
        {
            "user-data": named("from-seed").encode(),
            "meta-data": b"instance-id: one\nlocal-hostname: fallback\n",
            "network-config": NETWORK,
        },
    )
    spec = MachineSpec("seeded", boot_for_module.image, None, disk_mib=DISK_MIB, disks={"seed": seed})
    return boot_for_module.start(spec, talosconfig.parse(BUNDLE.talosconfig).select())


def hostname(node: LiveNode) -> str:
    return str(node.call("Hostname").messages[0].hostname)


class Server:
    """A web server on this computer that gives out one configuration, at first only with an error."""

    def __init__(self, text: str) -> None:
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200 if len(asked) > 1 else 503)
                self.end_headers()
                if len(asked) > 1:
                    self.wfile.write(text.encode())

            def log_message(self, *arguments: object) -> None:
                """What was asked is kept instead."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def test_a_machine_fetches_its_configuration(boot: Booter) -> None:
    """While it does it is in maintenance, and says what keeps it; then its owner is let in, without a reboot."""
    server = Server(named("fetched"))
    try:
        url = f"talos.config=http://{HOST_ADDRESS}:{server.http.server_port}/${{mac}}.yaml?h=${{hostname}}"
        spec = MachineSpec("fetching", boot.image, None, disk_mib=DISK_MIB, arguments=(url,))
        node = boot.start(spec, talosconfig.parse(BUNDLE.talosconfig).select())
        node.until(lambda: hostname(node) == "fetched", "the fetched host name")
        assert len(server.asked) >= 2
        assert server.asked[-1].startswith("/52:54:00:")
        assert "config" not in node.problems()
        assert "answered with 503" in node.logs("machined")
    finally:
        server.http.shutdown()
        server.http.server_close()


def test_a_seed_configures_the_machine(seeded: LiveNode) -> None:
    seeded.until(lambda: hostname(seeded) == "from-seed", "the seed's host name")
    assert "(cidata)" in seeded.logs("machined")
    addresses = seeded.resources("AddressStatuses.net.talos.dev", "network")
    assert "eth0/10.77.0.5/24" in addresses


def test_a_change_outlives_a_reboot(seeded: LiveNode) -> None:
    def state() -> bool:
        volumes = seeded.resources("VolumeStatuses.block.talos.dev", "runtime")
        return bool(volumes["STATE"]["phase"] == "ready")

    seeded.until(state, "the volume STATE", 90)
    answer = seeded.call("ApplyConfiguration", data=named("kept").encode(), mode=1).messages[0]
    assert list(answer.warnings) == []
    seeded.until(lambda: hostname(seeded) == "kept", "the new host name")
    staged = seeded.call("ApplyConfiguration", data=named("staged").encode(), mode=3).messages[0]
    assert staged.mode == 3
    assert hostname(seeded) == "kept"
    seeded.reboot()
    seeded.until(lambda: hostname(seeded) == "staged", "the staged host name")
    assert "eth0/10.77.0.5/24" in seeded.resources("AddressStatuses.net.talos.dev", "network")
    assert "origin=STATE" in seeded.logs("machined")
    assert seeded.read("/system/state/config.yaml").decode() == named("staged")
