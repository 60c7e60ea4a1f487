"""Completion: prints the script that completes commands in a shell."""

from __future__ import annotations

import click

from volery_cli.exits import Exit

WHERE = {
    "bash": 'eval "$(volery completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(volery completion zsh)"  # in ~/.zshrc',
    "fish": "volery completion fish > ~/.config/fish/completions/volery.fish",
}


@click.command(epilog="\b\nFor example:\n" + "\n".join(f"  {line}" for line in WHERE.values()))
@click.argument("shell", type=click.Choice(list(WHERE)))
def completion(shell: str) -> int:
    """Print the script that completes commands in a shell."""
    from click.shell_completion import get_completion_class

    from volery_cli.main import volery

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(volery, {}, "volery", "_VOLERY_COMPLETE").source())
    return Exit.OK
