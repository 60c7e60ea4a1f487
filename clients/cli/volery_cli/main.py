"""The command `volery`: its subcommands, loaded when used, and what an error becomes.

Only click is imported to parse a command line and to print help; everything else is imported by the
subcommand that needs it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from volery_cli.exits import Exit, UnloadableError, of_error, told, user_traceback

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("volery_cli.run:run", "Run a task, workflow or launch plan of a file."),
    "up": ("volery_cli.up:up", "Run an engine here, until interrupted."),
    "register": ("volery_cli.register:register", "Register what files define."),
    "launch": ("volery_cli.launch:launch", "Start something registered."),
    "list": ("volery_cli.listing:listing", "List executions, entities or projects."),
    "get": ("volery_cli.get:get", "Show one thing in full."),
    "watch": ("volery_cli.watch:watch", "Follow an execution to its end."),
    "logs": ("volery_cli.logs:logs", "Show what tasks wrote."),
    "timeline": ("volery_cli.timeline:timeline", "Show where the time of an execution went."),
    "top": ("volery_cli.top:top", "Watch the engine: workers, queues, rates."),
    "abort": ("volery_cli.abort:abort", "Ask for the end of an execution."),
    "delete": ("volery_cli.delete:delete", "Remove an execution that is over."),
    "activate": ("volery_cli.activate:activate", "Make a version of a launch plan the active one."),
    "deactivate": ("volery_cli.activate:deactivate", "Leave a launch plan without an active version."),
    "server": ("volery_cli.planes:server", "Run a control plane."),
    "worker": ("volery_cli.planes:worker", "Run a worker."),
    "completion": (
        "volery_cli.completion:completion",
        "Print the script that completes commands in a shell.",
    ),
    "version": ("volery_cli.version:version", "Say which release this is, and the server's."),
}
"""Where each subcommand lies, and its line in the help, so that help needs to load none of them."""


class Subcommands(click.Group):
    """A group whose commands are loaded when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for one misspelt, say which was meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            meant = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"There is no command {args[0]}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


EPILOG = """\b
Exit codes: 0 done, 1 the execution failed, 2 wrong usage, 3 not found,
4 refused or invalid, 5 no server, 6 aborted, 130 interrupted."""


@click.group(cls=Subcommands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def volery() -> None:
    """Run typed, versioned data and machine-learning workflows.

    Without a server (--server, VOLERY_SERVER or the configuration file) commands use an engine of their
    own, whose state is kept in .volery here, or where VOLERY_HOME says.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; gives the exit code, with which the script that calls it ends."""
    try:
        answer = volery.main(args=arguments, prog_name="volery", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code if isinstance(wrong, UnloadableError) else Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; nobody is left to tell
        return Exit.OK
    except Exception as error:  # the outermost edge: everything becomes text and an exit code
        return _explain(error)
    return int(answer) if isinstance(answer, int) else Exit.OK


def _explain(error: Exception) -> int:
    from volery.errors import VoleryError

    code = of_error(error)
    if isinstance(error, VoleryError):
        first, *more = told(error)
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        for line in (first, *more):
            click.echo(line, err=True)
    else:
        for line in user_traceback(error):
            click.echo(line, err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
