"""`crosscheck completion`: a script for the shell that completes commands, studies and options."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, studies and options in SHELL.

    bash: `eval "$(crosscheck completion bash)"` in ~/.bashrc; zsh: the same with zsh in ~/.zshrc;
    fish: `crosscheck completion fish > ~/.config/fish/completions/crosscheck.fish`.
    """
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class
    cli = context.find_root().command
    click.echo(completion_class(cli, {}, "crosscheck", "_CROSSCHECK_COMPLETE").source())
