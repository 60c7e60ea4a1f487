"""Result: how an execution ended, its outputs or its failure, for people or for programs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from volery.errors import NotFoundError
from volery.executions import Execution, ExecutionPhase, Node

from volery_cli.output import jsonable, show
from volery_cli.shown import in_order, named_lines, value_lines

if TYPE_CHECKING:
    from volery._literals.types import Variable
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
            found["outputs"] = jsonable(plain_outputs(run))
        show(found, output)
        return
    if succeeded:
        print_tree(run, nodes_of_interest(run))
        for line in output_lines(run):
            click.echo(line)
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


def output_lines(run: Run) -> list[str]:
    """The outputs, one below the other."""
    named = _by_name(run, run.outputs)
    lone = len(named) == 1 and "o0" in named
    if lone:
        return value_lines(named["o0"])
    return [line for name, value in named.items() for line in named_lines(name, value)]


def plain_outputs(run: Run) -> dict[str, Any]:
    """The outputs as plain values, in the order of the interface."""
    return in_order(run.outputs_by_name, _variables(run)[1])


def plain_inputs(run: Run) -> dict[str, Any]:
    """The inputs as plain values, in the order of the interface."""
    return in_order(run.inputs, _variables(run)[0])


def _variables(run: Run) -> tuple[Sequence[Variable], Sequence[Variable]]:
    """What the target takes and gives; nothing where the server has forgotten it."""
    try:
        interface = run.target().interface
    except NotFoundError:
        return (), ()
    return interface.inputs, interface.outputs


def document(execution: Execution) -> dict[str, Any]:
    """An execution as one document for programs."""
    found: dict[str, Any] = jsonable(execution)
    found["duration"] = jsonable(execution.duration)
    return found


def _by_name(run: Run, result: Any) -> dict[str, Any]:
    """Outputs by name, as Python values where the code is at hand."""
    if result is None:
        return {}
    variables = _variables(run)[1]
    names = [variable.name for variable in variables] or list(run.outputs_by_name)
    fields = getattr(result, "_fields", None)
    if len(names) == 1 and fields is None:
        named = {names[0]: result}
    elif isinstance(result, tuple):
        named = dict(zip(fields or names, result, strict=True))
    else:
        named = result
    return in_order(named, variables)
