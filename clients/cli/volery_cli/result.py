"""Result: how an execution ended, its outputs or its failure, for people or for programs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from volery.executions import Execution, ExecutionPhase, Node

from volery_cli.output import jsonable, show, value_text

if TYPE_CHECKING:
    from volery.run import Run

MOST_FAILED = 100
"""More failed nodes than these are counted, not listed."""


def show_result(run: Run, output: str) -> None:
    """Print how an execution ended: results to standard output, what went wrong to standard error."""
    from volery_cli.failure import show_failure
    from volery_cli.live import print_tree

    succeeded = run.phase is ExecutionPhase.SUCCEEDED
    if output != "text":
        found = document(run.execution)
        if succeeded:
            found["outputs"] = jsonable(run.outputs_by_name)
        show(found, output)
        return
    if succeeded:
        print_tree(run, nodes_of_interest(run))
        show_outputs(run)
        return
    nodes = {node.path: node for node in nodes_of_interest(run)}
    show_failure(run, nodes)
    click.echo(err=True)
    print_tree(run, nodes.values())


def nodes_of_interest(run: Run) -> list[Node]:
    """The nodes of the top, and below them those that failed."""
    nodes = list(run.nodes(recursive=False))
    if run.phase is not ExecutionPhase.SUCCEEDED:
        known = {node.path for node in nodes}
        failed = islice(run.nodes(filter="phase = FAILED OR phase = TIMED_OUT"), MOST_FAILED)
        nodes += [node for node in failed if node.path not in known]
    return nodes


def show_outputs(run: Run) -> None:
    """Print the outputs, one below the other."""
    result = run.outputs
    named = _by_name(run, result)
    for name, value in named.items():
        text = value_text(value)
        if len(named) == 1 and name == "o0":
            click.echo(text)
        elif "\n" in text:
            click.echo(f"{name}:")
            click.echo("\n".join(f"  {line}" for line in text.splitlines()))
        else:
            click.echo(f"{name}: {text}")


def document(execution: Execution) -> dict[str, Any]:
    """An execution as one document for programs."""
    found: dict[str, Any] = jsonable(execution)
    found["duration"] = jsonable(execution.duration)
    return found


def _by_name(run: Run, result: Any) -> dict[str, Any]:
    """Outputs by name, as Python values where the code is at hand."""
    if result is None:
        return {}
    fields = getattr(result, "_fields", None)
    if fields:
        return {name: getattr(result, name) for name in fields}
    plain = run.outputs_by_name
    if len(plain) == 1:
        return {next(iter(plain)): result}
    if isinstance(result, tuple) and len(result) == len(plain):
        return dict(zip(sorted(plain), result, strict=True))
    return plain
