"""Completion of command lines by the shell."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print a completion script for SHELL.

    For bash, put `source <(dozenctl completion bash)` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc; for
    fish, `dozenctl completion fish > ~/.config/fish/completions/dozenctl.fish`.
    """
    from click.shell_completion import get_completion_class

    from dozen.cli.main import dozenctl

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(dozenctl, {}, "dozenctl", "_DOZENCTL_COMPLETE").source())
