"""Run: registers what a file defines, runs one entity of it, and shows how it goes.

On the server that is configured, else on the embedded engine of the state directory, which is started for
as long as the command lasts. The engine starts first, and the user's code is loaded meanwhile.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from volery_cli.exits import Exit, UnloadableError, of_phase
from volery_cli.settings import Count, Place, Session, execution_options, output_option, place_options

if TYPE_CHECKING:
    from types import ModuleType

    from volery._compile.translate import Entity
    from volery.remote import LaunchOptions, Remote

AT_ONCE = timedelta(milliseconds=400)
"""Executions that are over by then need no tree."""

EPILOG = """\b
Inputs come after the target, one option each; see them with
  volery run FILE.py:NAME --help
Options of the command itself come before it.

\b
Without a server an engine runs while the command does. Its state is kept
in .volery (or VOLERY_HOME, or --state), so nothing that ended is run again."""


@click.command(
    epilog=EPILOG, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("target", metavar="FILE.py:NAME")
@click.argument("inputs", nargs=-1, type=click.UNPROCESSED, metavar="[INPUTS]...")
@click.option(
    "--inputs", "inputs_file", metavar="FILE", help="Inputs as JSON from a file; - for standard input."
)
@click.option("--name", metavar="NAME", help="Name of the execution; the same again is the same execution.")
@click.option(
    "--version", "version", default="", metavar="TEXT", help="Version to register as. [default: a hash]"
)
@click.option(
    "--include", multiple=True, metavar="PATTERN", help="Pack these files too, e.g. 'queries/*.sql'."
)
@click.option("--all-files", is_flag=True, help="Pack everything below the import root.")
@execution_options
@click.option("--max-parallelism", type=Count(0), default=0, help="Attempts at a time; 0 for no limit.")
@click.option("--overwrite-cache", is_flag=True, help="Run cached tasks again and replace their results.")
@click.option("--slots", type=Count(1), help="Task processes of an embedded engine.")
@click.option("--no-wait", is_flag=True, help="Start it on a server and do not follow it.")
@place_options
@output_option
def run(target: str, inputs: Sequence[str], place: Place, **options: Any) -> int:
    """Run a task, workflow or launch plan that a Python file or module defines."""
    from volery_cli.inputs import read_inputs_file, split_output
    from volery_cli.starting import transient

    inputs, output = split_output(inputs)
    options["output"] = output or options["output"]
    launch_options(options)  # refuses what is written wrongly before anything starts
    from_file = read_inputs_file(options["inputs_file"]) if options["inputs_file"] else {}
    file = split_target(target)[0]
    entity = given = None
    if is_doubtful(file, inputs):
        with transient(f"loading {file}"):
            entity = find(*split_target(target))
            given = _read_inputs(target, entity, inputs, from_file)
    with (
        place.session(worker=True, create=True, slots=options["slots"] or 0) as session,
        ExitStack() as until_the_end,
    ):
        if options["no_wait"] and session.engine is not None:
            raise click.UsageError("--no-wait needs a server: an embedded engine ends with this command")
        with transient(
            f"loading {file}" if session.engine is None else f"starting the engine, loading {file}"
        ):
            entity = entity or find(*split_target(target))
            given = _read_inputs(target, entity, inputs, from_file) if given is None else given
            remote = until_the_end.enter_context(session.remote())
            remote.register(
                entity,
                version=options["version"],
                include=options["include"],
                everything=options["all_files"],
            )
        return _run(remote, entity, given, session, options)


def is_doubtful(file: str, typed: Sequence[str]) -> bool:
    """Whether the user's module is better loaded first, since no engine may be needed.

    So it is where help is asked for, where the file is not there, and where an option of the command was
    typed after the target: that is a mistake, unless an input has the same name.
    """
    names = {each.partition("=")[0] for each in typed if each.startswith("-")}
    own = {name for each in click.get_current_context().command.params for name in each.opts}
    return bool(names & (own | {"-h", "--help"})) or (file.endswith(".py") and not Path(file).exists())


def split_target(target: str) -> tuple[str, str]:
    """`flow.py:search` as its two parts; the name may be left out where a file has one workflow."""
    place, separator, name = target.rpartition(":")
    if not separator or "/" in name or "\\" in name or name.endswith(".py"):
        return target, ""
    return place, name


def find(place: str, name: str) -> Entity:
    """Load the user's module and find the entity that is meant."""
    from volery.register import entities_of, entity_named
    from volery.workflow import Workflow

    module = load(place)
    if name:
        return entity_named(module, name)
    found = entities_of(module)
    workflows = [each for each in found.values() if isinstance(each, Workflow)]
    candidates: list[Entity] = [*workflows] or list(found.values())
    if len(candidates) == 1:
        return candidates[0]
    listed = "".join(f"\n  {place}:{each}" for each in found) or " nothing to run"
    raise click.UsageError(f"say which one; {place} defines:{listed}")


def load(place: str) -> ModuleType:
    """Import the user's module; what goes wrong in it is told as theirs, with their stack."""
    from volery.errors import VoleryError
    from volery.register import load_module

    try:
        return load_module(place)
    except VoleryError:
        raise
    except Exception as error:
        raise UnloadableError(place, error) from None


def launch_options(options: dict[str, Any]) -> LaunchOptions:
    """The options of an execution, from those of a command."""
    from volery.remote import LaunchOptions

    return LaunchOptions(
        labels=pairs("--label", options["labels"]),
        environment=pairs("--env", options["environment"]),
        annotations=pairs("--annotation", options["annotations"]),
        tags=options["tags"],
        interruptible=options["interruptible"],
        service_account=options["service_account"],
        max_parallelism=options["max_parallelism"],
        overwrite_cache=options["overwrite_cache"],
    )


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` options as a dict."""
    found = {}
    for each in given:
        key, separator, value = each.partition("=")
        if not separator or not key:
            raise click.UsageError(f"{option} {each}: write KEY=VALUE")
        found[key] = value
    return found


def expected_nodes(entity: Entity) -> list[tuple[str, str]]:
    """The nodes that an execution of an entity will have, before they begin."""
    from volery.launch_plan import LaunchPlan
    from volery.workflow import Workflow

    workflow = entity.workflow if isinstance(entity, LaunchPlan) else entity
    if not isinstance(workflow, Workflow):
        return []
    return [(node.id, node.label) for node in workflow.graph.nodes]


def fresh_name(label: str) -> str:
    """A name for an execution, told before the server answers, so that an interrupt can name it."""
    slug = re.sub("[^a-z0-9]+", "-", label.lower()).strip("-")[:40] or "run"
    return f"{slug if slug[0].isalpha() else f'r-{slug}'}-{secrets.token_hex(3)}"


def _read_inputs(
    target: str, entity: Entity, typed: Sequence[str], from_file: dict[str, Any]
) -> dict[str, Any]:
    from volery.launch_plan import interface_of

    from volery_cli.inputs import parse_inputs

    variables, _ = interface_of(entity).variables()
    asked = [each for each in variables if each.name not in from_file]
    summary = (getattr(entity, "__doc__", None) or "").strip()
    return {**from_file, **parse_inputs(f"volery run {target}", summary, asked, typed)}


def _run(
    remote: Remote,
    entity: Entity,
    given: dict[str, Any],
    session: Session,
    options: dict[str, Any],
) -> int:
    from volery.register import registered_name

    from volery_cli.live import follow
    from volery_cli.result import show_result

    name = options["name"] or fresh_name(registered_name(entity).rpartition(".")[2])
    try:
        started = remote.launch(
            entity,
            given,
            name=name,
            options=launch_options(options),
            plain=True,
            wait=0 if options["no_wait"] else AT_ONCE,
        )
        if options["no_wait"]:
            click.echo(started.name)
            return Exit.OK
        execution = follow(started, expected_nodes(entity))
    except KeyboardInterrupt:
        return _interrupted(remote, name, session, options["output"])
    show_result(started, options["output"])
    return of_phase(execution.phase)


def _interrupted(remote: Remote, name: str, session: Session, output: str) -> int:
    """Say what becomes of an execution whose follower was interrupted."""
    from volery_cli.result import show_result

    click.echo(err=True)
    if session.engine is None:
        click.echo(f"{name} goes on without you.", err=True)
        _say_how_to_go_on(name, "watch it", session)
        return Exit.INTERRUPTED
    try:
        click.echo("Stopping; running tasks may end first. Interrupt again to stop at once.", err=True)
        session.engine.drain()
        run = remote.execution(name)
    except KeyboardInterrupt:
        session.engine.stop(0)
    else:
        if run.phase.is_terminal:
            show_result(run, output)
            return Exit.INTERRUPTED
    click.echo(f"{name} is kept as it stands; what has ended is not run again.", err=True)
    _say_how_to_go_on(name, "go on", session)
    return Exit.INTERRUPTED


def _say_how_to_go_on(name: str, verb: str, session: Session) -> None:
    state = f" --state {session.place.state}" if session.place.state else ""
    click.echo(f"  {verb + ':':<9} volery watch {name}{state}", err=True)
    click.echo(f"  end it:   volery abort {name}{state}", err=True)
