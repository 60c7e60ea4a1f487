"""Failure: what went wrong, told so that the line to mend comes first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from volery.executions import Execution, ExecutionPhase, Failure, Node

from volery_cli.output import span
from volery_cli.tree import label_of

if TYPE_CHECKING:
    from volery.run import Run

_BUNDLE = re.compile(r"[^\"\s]*/bundles/[0-9a-f]{64}/")
"""Where a worker unpacked the user's source; what follows is the path that the user knows."""

OTHERS_SHOWN = 5
CAUSES_SHOWN = 5


def show_failure(run: Run, nodes: dict[str, Node] | None = None) -> None:
    """Print why an execution did not end well, and how to look closer, to standard error."""
    for line in failure_lines(run.execution, nodes or {}):
        click.echo(line, err=True)


def failure_lines(execution: Execution, nodes: dict[str, Node]) -> Iterator[str]:
    """The first failure with the user's stack, then the others in a line each."""
    took = span(execution.duration)
    after = f" after {took}" if took else ""
    if execution.phase is ExecutionPhase.ABORTED:
        abort = execution.abort
        by = f" by {abort.principal}" if abort and abort.principal else ""
        why = f": {abort.cause}" if abort and abort.cause else ""
        yield f"{click.style('aborted', fg='yellow', bold=True)}{by}{after}{why}"
        return
    failure = execution.failure
    if failure is None:
        yield f"{execution.name} {_word(execution)}{after}; the server does not say why"
        return
    path = failure.node_path
    where = place_of(path, nodes)
    attempt = f", attempt {failure.attempt}" if failure.attempt > 1 else ""
    mark = click.style("✘ ", fg="red", bold=True)
    yield f"{mark}{click.style(headline(failure), fg='red', bold=True)}"
    if where:
        yield click.style(f"  in {where}{attempt}", dim=True)
    yield from trace_lines(failure)
    for other in failure.others[:OTHERS_SHOWN]:
        yield f"  also in {place_of(other.node_path, nodes)}: {headline(other)}"
    if len(failure.others) > OTHERS_SHOWN:
        yield f"  and {len(failure.others) - OTHERS_SHOWN} more"
    yield ""
    yield f"{execution.name} {_word(execution)}{after}"
    logs = f"volery logs {execution.name}" + (f" {path}" if path else "")
    yield click.style(f"  its output: {logs}", dim=True)


def place_of(path: str, nodes: dict[str, Node]) -> str:
    """A node as people know it: its name, for an item that of its map and its index, and its path."""
    above, _, index = path.rpartition("/")
    if index.isdigit() and above in nodes:
        return f"{label_of(nodes[above])}[{index}] ({path})"
    name = label_of(nodes[path]) if path in nodes and not index.isdigit() else path
    return f"{name} ({path})" if name != path else path


def headline(failure: Failure) -> str:
    """The failure's name and the first line of its message."""
    first = (failure.message.strip().splitlines() or [""])[0]
    return (
        f"{failure.code}: {first}" if first and not first.startswith(failure.code) else first or failure.code
    )


def trace_lines(failure: Failure) -> Iterator[str]:
    """The stack, and what led to it."""
    for depth in range(CAUSES_SHOWN):
        more = failure.message.strip().splitlines()[1:] if not failure.trace else []
        text = failure.trace.rstrip().splitlines() if failure.trace else more
        if text:
            yield ""
            yield from (f"    {_BUNDLE.sub('', line)}" for line in text)
        if failure.trace_uri:
            yield click.style(f"    (cut; the whole lies at {failure.trace_uri})", dim=True)
        if failure.cause is None or failure.cause.trace in failure.trace:
            return
        failure = failure.cause
        if depth + 1 < CAUSES_SHOWN:
            yield ""
            yield f"  caused by {headline(failure)}"


def _word(execution: Execution) -> str:
    return execution.phase.value.lower().replace("_", " ")
