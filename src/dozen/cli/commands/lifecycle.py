"""What a machine is: resetting, upgrading and rolling it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.commands.power import Reporter, verbose_option, wait_option
from dozen.cli.session import Session, command, greet, split_commas

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.machinery.kubeconfig import Access

WIPE_MODES = {"all": "ALL", "system-disk": "SYSTEM_DISK", "user-disks": "USER_DISKS"}
NODENAMES, KUBERNETES, NODENAME = "Nodenames.kubernetes.talos.dev", "k8s", "nodename"


@command("reset")
@click.option("--graceful/--no-graceful", default=True, show_default=True, help="Leave etcd and Kubernetes first.")
@click.option("--reboot", is_flag=True, help="Boot again instead of powering off.")
@click.option("--system-labels-to-wipe", "labels", multiple=True, metavar="LABEL",
              help="Only these partitions of the system, with commas (STATE, EPHEMERAL).")  # fmt: skip
@click.option("--user-disks-to-wipe", "user_disks", multiple=True, metavar="PATH", help="These disks, with commas.")
@click.option(
    "--wipe-mode", type=click.Choice(list(WIPE_MODES)), default="all", show_default=True, help="What to wipe."
)
@click.option("-i", "--insecure", is_flag=True, help="A node that has no configuration yet.")
@wait_option
@click.option("--timeout", default="30m", show_default=True, help="How long to wait.")
@verbose_option
def reset(
    session: Session,
    graceful: bool,
    reboot: bool,
    labels: tuple[str, ...],
    user_disks: tuple[str, ...],
    wipe_mode: str,
    wait: bool,
    timeout: str,
    verbose: bool,
) -> None:
    """Make nodes forget what they are: their system disk, or what the options name."""
    from dozen.client.lifecycle import Reset
    from dozen.client.lifecycle import reset as ask_to_reset
    from dozen.client.tracker import track_reset
    from dozen.machinery.config.scalars import parse_duration

    seconds = parse_duration(timeout)
    wish = Reset(graceful, reboot, split_commas(labels), split_commas(user_disks), WIPE_MODES[wipe_mode])

    async def work(node: Node) -> None:
        await greet(node)
        if wait:
            await track_reset(node, Reporter(node, verbose), wish, timeout=seconds)
            click.echo(f"{node.label}: is reset")
        else:
            await ask_to_reset(node, wish)
            click.echo(f"{node.label}: resets")

    session.each_in_turn(work)


@command("rollback")
def rollback(session: Session) -> None:
    """Go back to the system that nodes ran before their last upgrade."""
    from dozen.client.lifecycle import rollback as ask_to_roll_back

    async def work(node: Node) -> None:
        await ask_to_roll_back(node)
        click.echo(f"{node.label}: goes back to the system before")

    session.each_in_turn(work)


@command("upgrade")
@click.option("--image", required=True, help="The installer's image.")
@click.option("-m", "--reboot-mode", type=click.Choice(("default", "powercycle")), default="default", show_default=True)
@click.option("--drain/--no-drain", default=True, show_default=True, help="Move pods to other nodes first.")
@click.option("--drain-timeout", default="5m", show_default=True, help="How long pods may take to move.")
@click.option("--legacy", is_flag=True, help="With the call that older nodes know.")
@click.option("-s", "--stage", is_flag=True, help="With --legacy: at the next boot.")
@click.option("-f", "--force", is_flag=True, help="With --legacy: without checks of etcd.")
@wait_option
@click.option("--timeout", default="30m", show_default=True, help="How long to wait.")
@verbose_option
def upgrade(
    session: Session,
    image: str,
    reboot_mode: str,
    drain: bool,
    drain_timeout: str,
    legacy: bool,
    stage: bool,
    force: bool,
    wait: bool,
    timeout: str,
    verbose: bool,
) -> None:
    """Upgrade the system of nodes to IMAGE, one node after another, and wait until they run it."""
    from dozen.client import lifecycle
    from dozen.client.images import pull_image
    from dozen.client.tracker import track, track_reboot
    from dozen.machinery.config.scalars import parse_duration

    if (stage or force) and not legacy:
        raise click.UsageError("--stage and --force go with --legacy.")
    seconds, mode = parse_duration(timeout), reboot_mode.upper()

    async def work(node: Node) -> None:
        await greet(node)
        report = Reporter(node, verbose)
        if legacy:

            async def act() -> str:
                return await lifecycle.upgrade_as_before(node, image, stage=stage, force=force, mode=mode)

            await (track(node, report, act, timeout=seconds) if wait else act())
            return
        async for step in pull_image(node, image):
            if step.WhichOneof("response") == "name":
                click.echo(f"{node.label}: pulled {step.name}")
        async for line in lifecycle.upgrade(node, image):
            click.echo(f"{node.label}: {line}")
        drained = await drain_node(node, parse_duration(drain_timeout)) if drain else None
        await greet(node)
        if not wait:
            await node.reboot(mode)
            return
        await track_reboot(node, report, mode=mode, timeout=seconds)
        if drained is not None:
            await uncordon_node(*drained)
        click.echo(f"{node.label}: is upgraded")

    session.each_one_by_one(work)


async def drain_node(node: Node, seconds: float) -> tuple[Access, str]:
    """Move the pods of a node elsewhere, as its cluster's administrator; gives that identity and the node's name."""
    from dozen.client.machine import Node as AnyNode
    from dozen.client.state import get_record
    from dozen.machinery.kubeconfig import read_kubeconfig
    from dozen.node.kubernetes.client import Client
    from dozen.node.kubernetes.drain import cordon, drain

    # Any control plane may give it; whichever the endpoint is does.
    access = read_kubeconfig(await AnyNode(node.connection).kubeconfig())
    name = str((await get_record(node, NODENAMES, KUBERNETES, NODENAME)).spec["nodename"])
    async with Client(access) as client:
        await cordon(client, name)
        await drain(client, name, seconds, lambda text: click.echo(f"{node.label}: {text}"))
    return access, name


async def uncordon_node(access: Access, name: str) -> None:
    """Let pods come back."""
    from dozen.machinery.kubernetes.nodes import cordon_patch
    from dozen.node.kubernetes.client import Client

    async with Client(access) as client:
        await client.patch("v1", "Node", name, cordon_patch(cordoned=False))
