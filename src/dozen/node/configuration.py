"""Where a machine's configuration comes from, and what happens to a bad one.

A machine gets its configuration from its firmware tables (SMBIOS OEM string ``dozen.config=``) or, as a container, from
a file that its maker left. A configuration that cannot be used is kept out as a whole: the node stays up in
maintenance mode, and every problem is on the console, in the events and in a Diagnostic resource.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from dozen.machinery.resources import config as kinds

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.node.machine import Machine

CONTAINER_CONFIG = "/run/dozen/config.yaml"
OWNER = "configuration"


def find_configuration(mode: str) -> str | None:
    """The text of the configuration, or None when nobody gave one. Unreadable sources count as none and are logged."""
    if mode == "container":
        try:
            with open(CONTAINER_CONFIG) as stream:
                return stream.read()
        except FileNotFoundError:
            return None
    from dozen.linux import smbios

    try:
        return smbios.find_config(smbios.read_table())
    except (OSError, ValueError) as error:
        logging.getLogger("dozen.config").error("machine configuration in SMBIOS cannot be read: %s", error)
        return None


@lru_cache(maxsize=2)
def parse(text: str) -> Config:
    """The configuration of a text, decoded once for all who plan from it. Raises ConfigError, never for the active one:
    that was decoded when it was taken."""
    from dozen.machinery.config import load

    return load(text)


def take_configuration(machine: Machine, text: str) -> bool:
    """Decode the text and make it the machine's; False, with every problem reported, when it cannot be used."""
    from dozen.machinery.config.problems import ConfigError

    try:
        machine.config = parse(text)
    except ConfigError as error:
        machine.set_stage("maintenance")
        machine.events.publish("ConfigValidationErrorEvent", {"error": str(error)})
        machine.report_problem("config", f"machine configuration refused: {error}")
        return False
    machine.clear_problem("config")
    machine.store.put(kinds.MACHINE_CONFIG, kinds.ACTIVE, kinds.MachineConfigSpec(text=text), owner=OWNER)
    return True
