"""Starts machines: on this computer's QEMU first, later elsewhere, all behind one Protocol.

* `machines` says what a machine is made from, what is known of it afterwards, and what a provider can do.
* `qemu` is the provider that runs a virtual machine without any privilege; `accelerator` finds out whether hardware
  virtualization can be trusted, `console` reads what the guest prints, `qmp` talks to the emulator.
* `container` starts the same root file system in namespaces of this computer's own kernel: the tests' native
  lane.
* `cluster` is what a person asks for: a node with keys, a configuration, and an answer from its API.
"""
