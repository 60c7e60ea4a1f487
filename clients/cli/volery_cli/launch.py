"""Launch: starts something that is registered, with options made from its interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from volery_cli.exits import Exit
from volery_cli.settings import Count, Place, execution_options, output_option, place_options

KIND_NAMES = ("launch-plan", "workflow", "task")


@click.command(
    epilog="Inputs come after the target, one option each; see them with\n  volery launch NAME --help",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("target", metavar="NAME[:VERSION]")
@click.argument("inputs", nargs=-1, type=click.UNPROCESSED, metavar="[INPUTS]...")
@click.option(
    "--inputs", "inputs_file", metavar="FILE", help="Inputs as JSON from a file; - for standard input."
)
@click.option(
    "--kind", type=click.Choice(KIND_NAMES), help="What the name names. [default: whatever there is]"
)
@click.option(
    "--name", default="", metavar="NAME", help="Name of the execution; the same again is the same execution."
)
@execution_options
@click.option("--max-parallelism", type=Count(0), default=0, help="Attempts at a time; 0 for no limit.")
@click.option("--overwrite-cache", is_flag=True, help="Run cached tasks again and replace their results.")
@click.option("--watch", "-w", "following", is_flag=True, help="Follow it to its end.")
@place_options
@output_option
def launch(target: str, inputs: Sequence[str], place: Place, **options: Any) -> int:
    """Start a registered launch plan, workflow or task, and print the execution's name.

    Without a version: the active one of a launch plan, the newest of anything else.
    """
    from volery_cli.inputs import parse_inputs, read_inputs_file, split_output
    from volery_cli.run import launch_options
    from volery_cli.watch import follow_to_end

    inputs, output = split_output(inputs)
    options["output"] = output or options["output"]
    name, version = split_version(target)
    kind = (options["kind"] or "").replace("-", "_")
    from_file = read_inputs_file(options["inputs_file"]) if options["inputs_file"] else {}
    with place.connected(worker=options["following"]) as remote:
        facts = remote.entity(name, version=version, kind=kind)
        asked = [each for each in facts.interface.inputs if each.name not in from_file]
        given = {**from_file, **parse_inputs(f"volery launch {target}", facts.summary, asked, inputs)}
        started = remote.launch(
            name,
            given,
            name=options["name"],
            version=version,
            kind=facts.kind,
            options=launch_options(options),
        )
        if options["following"]:
            return follow_to_end(started, place, options["output"])
        if options["output"] != "text":
            from volery_cli.output import show
            from volery_cli.result import document

            show(document(started.execution), options["output"])
        else:
            click.echo(started.name)
            click.echo(f"watch it: volery watch {started.name}", err=True)
    return Exit.OK


def split_version(target: str) -> tuple[str, str]:
    """`NAME:VERSION` as its two parts."""
    name, _, version = target.partition(":")
    return name, version
