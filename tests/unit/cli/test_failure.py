from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click
from volery.executions import Abort, Execution, ExecutionPhase, Failure, Node, NodePhase, Target
from volery_cli.failure import failure_lines

START = datetime(2026, 1, 1, tzinfo=UTC)
FAILED = Execution(
    "demo",
    "development",
    "search-1",
    "u",
    Target("WORKFLOW", "demo", "development", "flows.search", "v1"),
    ExecutionPhase.FAILED,
    create_time=START,
    end_time=START + timedelta(seconds=2),
)
TRACE = (
    'Traceback (most recent call last):\n  File "/w/bundles/'
    + "a" * 64
    + '/flow.py", line 3, in fit\n    1 / 0\n'
)


def told(execution: Execution, *nodes: Node) -> list[str]:
    return [click.unstyle(line) for line in failure_lines(execution, {node.path: node for node in nodes})]


def test_the_failing_line_comes_first_with_the_users_stack() -> None:
    failure = Failure("USER", "ZeroDivisionError", "division by zero", TRACE, "n1/3", 2)
    lines = told(replace(FAILED, failure=failure), Node("n1", "MAP", NodePhase.FAILED, name="fit"))
    assert lines == [
        "✘ ZeroDivisionError: division by zero",
        "  in fit[3] (n1/3), attempt 2",
        "",
        "    Traceback (most recent call last):",
        '      File "flow.py", line 3, in fit',
        "        1 / 0",
        "",
        "search-1 failed after 2.0 s",
        "  its output: volery logs search-1 n1/3",
    ]


def test_what_led_to_it_follows() -> None:
    cause = Failure("USER", "KeyError", "'x'", "KeyError: 'x'")
    failure = Failure("USER", "RuntimeError", "no", "RuntimeError: no", "n0", cause=cause)
    lines = told(replace(FAILED, failure=failure))
    assert lines.index("  caused by KeyError: 'x'") > lines.index("    RuntimeError: no")


def test_other_failures_take_a_line_each_and_many_are_counted() -> None:
    others = tuple(Failure("USER", "ValueError", f"bad {index}", node_path=f"n{index}") for index in range(8))
    lines = told(replace(FAILED, failure=Failure("USER", "E", "first", node_path="n9", others=others)))
    assert "  also in n0: ValueError: bad 0" in lines
    assert "  and 3 more" in lines


def test_an_abort_tells_who_and_why() -> None:
    aborted = replace(FAILED, phase=ExecutionPhase.ABORTED, abort=Abort("too slow", "ann", START))
    assert told(aborted) == ["aborted by ann after 2.0 s: too slow"]


def test_a_failure_without_a_reason_says_so() -> None:
    assert told(FAILED) == ["search-1 failed after 2.0 s; the server does not say why"]
