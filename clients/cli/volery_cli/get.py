"""Get: shows one execution, node, entity or project in full."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, output_option, place_options

if TYPE_CHECKING:
    from volery.entities import EntityFacts
    from volery.executions import Attempt, Node
    from volery.remote import Remote
    from volery.run import Run


MOST_OPEN = 1000
"""Nodes that are looked at for why an execution waits."""


@click.group()
def get() -> None:
    """Show one thing in full."""


@get.command("execution", short_help="Show an execution.")
@click.argument("name")
@click.option("--why", is_flag=True, help="Say only why it stands where it does: what it waits for.")
@place_options
@output_option
def execution(name: str, why: bool, place: Place, output: str) -> int:
    """Show an execution: why it failed, its nodes, inputs and outputs."""
    with place.connected() as remote:
        run = remote.execution(name)
        if why:
            return _why(remote, run, output)
        if output != "text":
            return _execution_document(run, output)
        _execution_text(run)
    return Exit.OK


@get.command("node", short_help="Show one node of an execution.")
@click.argument("name")
@click.argument("path")
@place_options
@output_option
def node(name: str, path: str, place: Place, output: str) -> int:
    """Show one node of an execution: its attempts, why they ended, its outputs."""
    from volery.executions import NodePhase

    with place.connected() as remote:
        run = remote.execution(name)
        found, attempts = run.node(path)
        above = run.node(found.parent_path)[0] if found.is_item and output == "text" else None
        has_outputs = found.phase in (NodePhase.SUCCEEDED, NodePhase.RECOVERED)
        outputs = _node_outputs(remote, run, found) if has_outputs else None
    if output != "text":
        from volery_cli.output import show

        show({"node": found, "attempts": attempts, "outputs": outputs}, output)
        return Exit.OK
    _node_text(found, attempts, outputs, above)
    return Exit.OK


def _entity_command(command: str, kind: str, what: str) -> None:
    @get.command(command, help=f"Show a {what}; the newest version unless one is named.")
    @click.argument("name", metavar="NAME[:VERSION]")
    @place_options
    @output_option
    def entity(name: str, place: Place, output: str) -> int:
        from volery_cli.launch import split_version

        bare, version = split_version(name)
        with place.connected() as remote:
            facts = remote.entity(bare, version=version, kind=kind)
        if output != "text":
            from volery_cli.output import show

            show(_entity_document(facts), output)
            return Exit.OK
        _entity_text(facts)
        return Exit.OK


_entity_command("task", "task", "task")
_entity_command("workflow", "workflow", "workflow")
_entity_command("launch-plan", "launch_plan", "launch plan")


def _why(remote: Remote, run: Run, output: str) -> int:
    from volery_cli.output import now, show
    from volery_cli.why import reasons

    health = remote.health(listed=1)
    nodes = run.nodes(filter="phase = QUEUED OR phase = RUNNING OR phase = WAITING")
    found = reasons(run.execution, list(islice(nodes, MOST_OPEN)), health, health.time or now())
    if output != "text":
        show({"execution": run.name, "phase": run.phase, "reasons": found}, output)
        return Exit.OK
    for line in found:
        click.echo(line)
    return Exit.OK


def _execution_document(run: Run, output: str) -> int:
    from volery_cli.output import jsonable, show
    from volery_cli.result import document, plain_inputs, plain_outputs

    found = document(run.refresh())
    found["inputs"] = jsonable(plain_inputs(run))
    if run.phase.value == "SUCCEEDED":
        found["outputs"] = jsonable(plain_outputs(run))
    found["nodes"] = jsonable(list(run.nodes()))
    show(found, output)
    return Exit.OK


def _execution_text(run: Run) -> None:
    from volery_cli.failure import failure_lines
    from volery_cli.live import print_tree
    from volery_cli.output import facts, moment, span
    from volery_cli.result import nodes_of_interest, output_lines, plain_inputs

    found = run.execution
    nodes = nodes_of_interest(run)
    by_path = {each.path: each for each in nodes}
    if found.phase.is_terminal and found.phase.value != "SUCCEEDED":
        for line in failure_lines(found, by_path):
            click.echo(line)
        click.echo()
    print_tree(run, nodes, err=False)
    click.echo()
    abort = found.abort
    facts(
        [
            ("target", f"{found.target.kind.lower().replace('_', ' ')} {found.target}"),
            ("created", moment(found.create_time) + (f" by {found.principal}" if found.principal else "")),
            ("started", moment(found.start_time)),
            ("ended", moment(found.end_time)),
            ("took", span(found.duration)),
            ("worker", found.worker_id),
            ("abort", f"{abort.cause} ({abort.principal})" if abort else ""),
            ("labels", ", ".join(f"{key}={value}" for key, value in sorted(found.labels.items()))),
            ("tags", ", ".join(found.tags)),
            ("warnings", "\n".join(found.warnings)),
        ]
    )
    _section("inputs", _lines(plain_inputs(run)))
    if found.phase.value == "SUCCEEDED":
        _section("outputs", output_lines(run))


def _node_outputs(remote: Remote, run: Run, node: Node) -> dict[str, Any]:
    """A node's outputs, in the order of its task's interface where that is as old as the execution's."""
    from volery.errors import NotFoundError

    from volery_cli.shown import in_order

    outputs = run.node_outputs(node.path)
    if node.kind != "TASK" or not node.target_name:
        return outputs
    try:
        task = remote.entity(node.target_name, version=run.execution.target.version, kind="task")
    except NotFoundError:
        return outputs
    return in_order(outputs, task.interface.outputs)


def _node_text(
    found: Node, attempts: list[Attempt], outputs: dict[str, Any] | None, above: Node | None
) -> None:
    from volery_cli.failure import headline, place_of, trace_lines
    from volery_cli.output import facts, moment, now, span
    from volery_cli.tree import waiting_words

    facts(
        [
            ("node", place_of(found.path, {each.path: each for each in (found, above) if each is not None})),
            ("kind", found.kind.lower().replace("_", " ")),
            ("runs", found.target_name),
            ("phase", found.phase.value.lower().replace("_", " ")),
            ("waiting", waiting_words(found, now())),
            (
                "cache",
                found.cache_status.lower().replace("_", " ").replace("disabled", "")
                + (f" from {found.cached_from}" if found.cached_from else ""),
            ),
            ("queued", moment(found.queue_time)),
            ("ended", moment(found.end_time)),
            ("took", span(found.duration)),
        ]
    )
    if found.counts is not None:
        counts = found.counts
        click.echo(
            f"{counts.ended} of {counts.total} ended, {counts.running} running, {counts.failed} failed"
        )
    for attempt in attempts:
        took = attempt.end_time - attempt.start_time if attempt.end_time and attempt.start_time else None
        click.echo()
        line = f"attempt {attempt.attempt}: {attempt.phase.lower().replace('_', ' ')}"
        click.echo(click.style(line, bold=True) + (f" after {span(took)}" if took is not None else ""))
        if attempt.failure:
            click.secho(f"  {headline(attempt.failure)}", fg="red")
            for trace in trace_lines(attempt.failure):
                click.echo(trace)
        if attempt.retry_decision:
            click.echo(f"  {attempt.retry_decision}")
    if outputs is not None:
        _section("outputs", _lines(outputs))


def _entity_document(facts: EntityFacts) -> dict[str, Any]:
    from volery_cli.output import jsonable

    found: dict[str, Any] = jsonable(facts)
    found["interface"] = {
        "inputs": [_variable_document(each) for each in facts.interface.inputs],
        "outputs": [{"name": each.name, "type": str(each.type)} for each in facts.interface.outputs],
    }
    return found


def _variable_document(variable: Any) -> dict[str, Any]:
    from volery_cli.inputs import default_text

    told = {"name": variable.name, "type": str(variable.type), "required": variable.default is None}
    if variable.default is not None:
        told["default"] = default_text(variable)
    return told


def _entity_text(found: EntityFacts) -> None:
    from volery_cli.inputs import default_text
    from volery_cli.output import facts, moment, table

    facts(
        [
            (found.kind.replace("_", " "), f"{found.name}:{found.version}"),
            ("registered", moment(found.create_time)),
            ("digest", found.digest),
            ("active", "yes" if found.active else ""),
            ("starts", found.workflow),
            ("summary", found.summary),
        ]
    )
    if found.description:
        click.echo(f"\n{found.description}")
    click.echo()
    rows = [
        (each.name, str(each.type), default_text(each) if each.default is not None else "(required)")
        for each in found.interface.inputs
    ]
    table(("input", "type", "default"), rows, empty="takes no inputs")
    click.echo()
    table(
        ("output", "type"),
        [(each.name, str(each.type)) for each in found.interface.outputs],
        empty="gives no outputs",
    )
    if found.nodes:
        click.echo()
        table(("node", "runs"), found.nodes, empty="")


def _lines(values: dict[str, Any]) -> list[str]:
    from volery_cli.shown import named_lines

    return [line for name, value in values.items() for line in named_lines(name, value)]


def _section(title: str, lines: list[str]) -> None:
    if lines:
        click.echo()
        click.secho(title, bold=True)
    for line in lines:
        click.echo(f"  {line}".rstrip())
