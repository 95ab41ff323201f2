"""`dozenctl`: the command line for nodes, clusters and images.

The table below is the whole of it: a command's module is imported when the command is called, so that help and
completion answer at once. Names, options and table columns are those that users of this API know from elsewhere.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dozen.cli.session import Session, guarded, node_options, take_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """Where a command is (module of `dozen.cli.commands`, function) and its line in the help."""

    module: str
    function: str
    help: str


COMMANDS = {
    "apply-config": Entry("apply", "apply_config", "Apply a machine configuration"),
    "cgroups": Entry("cgroups", "cgroups", "Show what control groups use and may use"),
    "cis": Entry("cis", "cis", "Check nodes against the CIS Kubernetes Benchmark"),
    "completion": Entry("completion", "completion", "Print a completion script for bash, zsh or fish"),
    "bootstrap": Entry("bootstrap", "bootstrap", "Begin a cluster's etcd on one of its control planes"),
    "cluster": Entry("cluster", "cluster", "Create, show and destroy clusters on this computer"),
    "config": Entry("config", "config", "Client configuration: contexts, endpoints, nodes"),
    "conformance": Entry("conformance", "conformance", "Run conformance tests in a cluster"),
    "containers": Entry("system", "containers", "List containers"),
    "copy": Entry("files", "copy", "Copy a file or folder from a node as an archive"),
    "dashboard": Entry("dashboard", "dashboard", "Watch a node on one screen"),
    "debug": Entry("image", "debug", "Run a container on a node to look around"),
    "diskfree": Entry("disks", "diskfree", "Show the space of mounted volumes"),
    "dmesg": Entry("logs", "dmesg", "Print the kernel's log"),
    "edit": Entry("apply", "edit", "Edit the machine configuration of nodes"),
    "etcd": Entry("etcd", "etcd", "Look after etcd: members, status, snapshots, alarms"),
    "events": Entry("logs", "events", "Print what happens on nodes"),
    "gen": Entry("gen", "gen", "Generate secrets, configuration, certificates and keys"),
    "get": Entry("resources", "get", "Get or watch resources"),
    "health": Entry("health", "health", "Check the health of a cluster"),
    "image": Entry("image", "image", "List, pull, import, remove and compare images"),
    "inject": Entry("inject", "inject", "Add access to the machine API to manifests"),
    "inspect": Entry("inspect", "inspect", "Show how a node is put together"),
    "kubeconfig": Entry("kubeconfig", "kubeconfig", "Get an administrator's kubeconfig of the cluster"),
    "list": Entry("files", "list_files", "List files"),
    "logs": Entry("logs", "logs", "Print logs of a service or container"),
    "machineconfig": Entry("machineconfig", "machineconfig", "Generate and patch configuration files"),
    "memory": Entry("system", "memory", "Show memory"),
    "meta": Entry("meta", "meta", "Write and delete META keys"),
    "mounts": Entry("files", "mounts", "List mounts"),
    "netstat": Entry("network", "netstat", "List sockets"),
    "pcap": Entry("network", "pcap", "Capture frames of an interface"),
    "patch": Entry("apply", "patch", "Patch the machine configuration of nodes"),
    "processes": Entry("system", "processes", "List processes"),
    "read": Entry("files", "read", "Print a file"),
    "reboot": Entry("power", "reboot", "Reboot nodes"),
    "reset": Entry("lifecycle", "reset", "Make nodes forget what they are"),
    "restart": Entry("services", "restart", "Restart a container"),
    "rotate-ca": Entry("rotate_ca", "rotate_ca", "Put another authority in the place of the machine API's"),
    "rollback": Entry("lifecycle", "rollback", "Go back to the system before the last upgrade"),
    "service": Entry("services", "service", "Show, start, stop or restart a service"),
    "services": Entry("services", "services", "List services"),
    "shutdown": Entry("power", "shutdown", "Shut nodes down"),
    "stats": Entry("system", "stats", "Show what containers use"),
    "support": Entry("support", "support", "Collect what is needed to find out what is wrong"),
    "time": Entry("system", "time", "Show a node's time beside a time server's"),
    "upgrade": Entry("lifecycle", "upgrade", "Upgrade the system of nodes"),
    "upgrade-k8s": Entry("upgrade_k8s", "upgrade_k8s", "Upgrade Kubernetes on all nodes"),
    "usage": Entry("files", "usage", "Show what folders take on the disk"),
    "validate": Entry("machineconfig", "validate", "Check a machine configuration"),
    "version": Entry("system", "version", "Show versions of client and nodes"),
    "why": Entry("why", "why", "Explain why a file is in the image"),
    "wipe": Entry("disks", "wipe", "Forget what disks hold"),
}

ALIASES = {
    "apply": "apply-config",
    "c": "containers",
    "cat": "read",
    "cg": "cgroups",
    "cp": "copy",
    "df": "diskfree",
    "du": "usage",
    "free": "memory",
    "g": "get",
    "images": "image",
    "ls": "list",
    "m": "memory",
    "mc": "machineconfig",
    "mount": "mounts",
    "p": "processes",
    "ss": "netstat",
    "tcpdump": "pcap",
    "ps": "processes",
    "svc": "service",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is needed, and for help not at all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        entry = COMMANDS.get(ALIASES.get(name, name))
        if entry is None:
            return None
        module = importlib.import_module(f"dozen.cli.commands.{entry.module}")
        found: click.Command = getattr(module, entry.function)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table, so that a shell need not wait for every command's module."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.help) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and ALIASES.get(args[0], args[0]) not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f'There is no command "{args[0]}".{_suggestion(args[0])}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = {name: [alias for alias in ALIASES if ALIASES[alias] == name] for name in COMMANDS}
        rows = [(", ".join([name, *names[name]]), entry.help) for name, entry in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _suggestion(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*COMMANDS, *ALIASES], n=1)
    return f' Did you mean "{near[0]}"?' if near else " `dozenctl --help` lists them."


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@node_options
@click.pass_context
def dozenctl(ctx: click.Context, /, **values: Any) -> None:
    """Work with Dozen Linux nodes over their API, and with clusters and images on this computer."""
    session = ctx.ensure_object(Session)
    take_options(session, values)


def main() -> None:
    """Entry point of the program."""
    guarded(lambda: dozenctl(prog_name="dozenctl"))
    sys.exit(0)


if __name__ == "__main__":
    main()
