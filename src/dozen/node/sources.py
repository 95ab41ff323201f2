"""Where a machine's first configuration comes from. The first source that has one counts, in this order:

1. the volume STATE, where the last one that was applied is kept;
2. the kernel argument ``talos.config=``: a URL, ``metal-iso`` for a disk with that label, ``smbios`` for the
   firmware, or ``none`` for no other source but the API;
3. a disk with the label ``metal-iso``, or a cloud-init seed (label ``cidata``);
4. the firmware's tables (SMBIOS OEM string ``dozen.config=``).

A container gets it from a file that its maker left. `find_early` looks at what is there when PID 1 starts, since a node
that knows what it is need not begin as something else. `look_further` goes on while the node is in maintenance: a disk
may turn up late, and a URL needs a network.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dozen.machinery.resources import block

if TYPE_CHECKING:
    from dozen.linux.seeds import Seed
    from dozen.node.machine import Machine

CONTAINER_CONFIG = "/run/dozen/config.yaml"
CMDLINE = "/proc/cmdline"
ARGUMENT = "talos.config"
NONE, SMBIOS = "none", "smbios"
CLOUD_CONFIG = "#cloud-config"
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0

log = logging.getLogger("dozen.config")


def find_early(machine: Machine) -> tuple[str, str] | None:
    """(text, origin) of the first source that has a configuration; sources that cannot be read are reported."""
    if machine.mode == "container":
        return _from_container()
    from dozen.linux import seeds

    wanted = read_argument()
    # A seed's network counts whatever the configuration comes from, which is from STATE when the machine starts again.
    attached = [read_seed(machine, seed) for seed in seeds.find_seeds() if wanted in ("", seed.kind)]
    if seeds.mount_state_early() and (stored := machine.configuration.read_stored()) is not None:
        return stored, "STATE"
    if wanted == NONE or "://" in wanted:
        return None
    given = next((found for found in attached if found is not None), None)
    return given if given or wanted not in ("", SMBIOS) else _from_firmware(machine)


def _from_container() -> tuple[str, str] | None:
    try:
        with open(CONTAINER_CONFIG) as stream:
            return stream.read(), "container"
    except FileNotFoundError:
        return None


def _from_firmware(machine: Machine) -> tuple[str, str] | None:
    from dozen.linux import smbios

    try:
        text = smbios.find_config(smbios.read_table())
    except (OSError, ValueError) as error:
        machine.configuration.report_unreadable("SMBIOS", error)
        return None
    return (text, "SMBIOS") if text is not None else None


def read_argument(path: str = CMDLINE) -> str:
    """The last value of ``talos.config=`` on the kernel's command line, "" without one."""
    try:
        with open(path) as stream:
            words = stream.read().split()
    except OSError:
        return ""
    values = [value for name, sign, value in (word.partition("=") for word in words) if name == ARGUMENT and sign]
    return values[-1] if values else ""


def read_seed(machine: Machine, seed: Seed) -> tuple[str, str] | None:
    """The configuration on a seed. A seed for cloud-init itself has none."""
    from dozen.linux import seeds

    origin = f"{seed.device} ({seed.kind})"
    try:
        files = seeds.read_seed(seed)
    except (OSError, ValueError, LookupError) as error:
        machine.configuration.report_unreadable(origin, error)
        return None
    _take_network(machine, files, origin)
    text = files.get("config.yaml") or files.get("user-data") or ""
    if not text.strip() or text.startswith(CLOUD_CONFIG):
        log.info("seed=%s has no machine configuration", origin)
        return None
    return text, origin


def _take_network(machine: Machine, files: dict[str, str], origin: str) -> None:
    """Name and network of a NoCloud seed, as far as they are understood."""
    meta_data, network_config = files.get("meta-data", ""), files.get("network-config", "")
    if not meta_data.strip() and not network_config.strip():
        return
    from dozen.machinery import cloudinit
    from dozen.machinery.resources.settings import NETWORK, PLATFORM_NETWORK

    try:
        found = cloudinit.read(meta_data, network_config)
    except cloudinit.SeedError as error:
        machine.report_problem("seed", f"{origin}: {error}")
        return
    if found.complaints:
        machine.report_problem("seed", f"{origin}: {'; '.join(found.complaints)}")
    machine.store.put(PLATFORM_NETWORK, NETWORK, found.settings, owner="sources")


# -- While the node is in maintenance.


async def look_further(machine: Machine) -> None:
    """Until the node has a configuration: fetch the one that a URL names, or wait for a disk that has one."""
    if machine.mode == "container" or not machine.maintenance:
        return
    wanted = read_argument()
    if wanted in (NONE, SMBIOS):
        return
    if "://" in wanted:
        await _fetch(machine, wanted)
    else:
        await _await_seed(machine, wanted)


async def _fetch(machine: Machine, url: str) -> None:
    from dozen.linux.fetch import FetchError, fetch
    from dozen.node.configuration import LIMIT

    url = expand_url(url, await asyncio.to_thread(read_facts))
    retry, refused = FIRST_RETRY, b""
    while machine.maintenance:
        try:
            data = await asyncio.to_thread(fetch, url, LIMIT)
        except FetchError as error:
            machine.configuration.report_unreadable("the kernel argument talos.config", error)
        else:
            # What was refused is not told again before it changes.
            if data != refused and machine.maintenance:
                refused = data
                if machine.configuration.take(data.decode(errors="replace"), url):
                    return
        await asyncio.sleep(retry)
        retry = min(2 * retry, LONGEST_RETRY)


def expand_url(url: str, facts: dict[str, str]) -> str:
    """``${uuid}``, ``${serial}``, ``${mac}`` and ``${hostname}`` in a URL, replaced by what the machine is."""
    from urllib.parse import quote

    for name, value in facts.items():
        url = url.replace(f"${{{name}}}", quote(value, safe=":"))
    return url


def read_facts() -> dict[str, str]:
    """What a URL may ask for: from the firmware, and the hardware address of the first link that has one."""
    import os
    import socket

    def read(path: str) -> str:
        try:
            with open(path) as stream:
                return stream.read().strip()
        except OSError:
            return ""

    links = "/sys/class/net"
    physical = [name for name in sorted(os.listdir(links)) if os.path.exists(f"{links}/{name}/device")]
    return {
        "uuid": read("/sys/class/dmi/id/product_uuid").lower(),
        "serial": read("/sys/class/dmi/id/product_serial"),
        "mac": next((address for name in physical if (address := read(f"{links}/{name}/address"))), ""),
        "hostname": socket.gethostname(),
    }


async def _await_seed(machine: Machine, wanted: str) -> None:
    from dozen.linux.seeds import Seed, kind_of

    changed = asyncio.Event()
    changed.set()
    stop = machine.store.listen(block.DISCOVERED_VOLUME, lambda _: changed.set())
    seen: set[str] = set()
    try:
        while machine.maintenance:
            await changed.wait()
            changed.clear()
            for volume in machine.store.list(block.DISCOVERED_VOLUME):
                kind = kind_of(volume.spec.name, volume.spec.label)
                if not kind or volume.id in seen or wanted not in ("", kind):
                    continue
                seen.add(volume.id)
                found = await asyncio.to_thread(read_seed, machine, Seed(kind, volume.spec.dev_path, volume.spec.name))
                if found is not None and machine.maintenance and machine.configuration.take(*found):
                    return
    finally:
        stop()
