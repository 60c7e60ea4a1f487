from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery.executions import Attempt, Execution, ExecutionPhase, Node, NodePhase, Target
from volery_cli.gantt import Part, Timeline, document, ranges, timeline
from volery_cli.gantt_page import page
from volery_cli.timeline import chart

ZERO = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TARGET = Target("WORKFLOW", "demo", "development", "flow.search", "v1")


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else ZERO + timedelta(seconds=seconds)


def execution(end: float | None) -> Execution:
    phase = ExecutionPhase.SUCCEEDED if end is not None else ExecutionPhase.RUNNING
    return Execution("demo", "development", "run-1", "u", TARGET, phase, at(0), at(0), at(end))


def attempt(
    path: str,
    queue: float,
    launch: float | None,
    start: float | None,
    code: float | None,
    end: float | None,
    commit: float | None,
    number: int = 1,
) -> Attempt:
    return Attempt(
        path,
        number,
        "SUCCEEDED" if end is not None else "RUNNING",
        *(at(queue), at(start), at(end)),
        launch_time=at(launch),
        code_time=at(code),
        commit_time=at(commit),
    )


def node(path: str, name: str = "", phase: NodePhase = NodePhase.SUCCEEDED) -> Node:
    return Node(path, "TASK", phase, 1, name or path)


def laid(attempts: Sequence[Attempt], nodes: Sequence[Node] = (), end: float | None = 10) -> Timeline:
    return timeline(
        execution(end),
        nodes or [node(each.path) for each in attempts],
        attempts,
        ZERO + timedelta(seconds=10),
    )


CHAIN = [
    attempt("n0", 0.1, 0.5, 1.0, 1.5, 3.5, 3.6),
    attempt("n1", 3.5, 3.7, 3.7, None, 9.5, 9.9),
    attempt("n2", 0.1, 0.2, 0.2, None, 0.4, 0.5),
]


def test_an_attempt_is_split_where_its_times_say() -> None:
    first, second, _ = laid(CHAIN).bars
    assert [(each.part, each.begin, each.end) for each in first.segments] == [
        (Part.WAITING, 0.1, 0.5),
        (Part.STARTUP, 0.5, 1.5),
        (Part.CODE, 1.5, 3.5),
        (Part.COMMIT, 3.5, 3.6),
    ]
    assert second.seconds(Part.STARTUP) == 0
    assert second.seconds(Part.CODE) == pytest.approx(5.8)


def test_the_critical_path_goes_back_from_the_last_end() -> None:
    found = laid(CHAIN)
    assert [step.bar.path for step in found.path] == ["n0", "n1"]
    sums = found.path_sums()
    assert sum(sums.values()) == pytest.approx(found.seconds)
    assert sums["start-up"] == pytest.approx(1.0)
    assert sums["user code"] == pytest.approx(7.8)


def test_what_still_runs_reaches_until_now_and_what_waits_only_waits() -> None:
    running, waiting = laid(
        [attempt("n0", 1, 2, 3, None, None, None), attempt("n1", 4, None, None, None, None, None)], end=None
    ).bars
    assert [each.part for each in running.segments] == [Part.WAITING, Part.STARTUP, Part.CODE]
    assert running.end == 10
    assert [(each.part, each.end) for each in waiting.segments] == [(Part.WAITING, 10)]


def test_what_ended_before_its_code_was_there_was_starting() -> None:
    (bar,) = laid([attempt("n0", 1, 2, None, None, 5, 6)]).bars
    assert [(each.part, each.end) for each in bar.segments] == [
        (Part.WAITING, 2),
        (Part.STARTUP, 5),
        (Part.COMMIT, 6),
    ]


def test_an_attempt_of_an_older_release_has_no_start_up() -> None:
    (bar,) = laid([attempt("n0", 1, None, 2, None, 5, None)]).bars
    assert {part: bar.seconds(part) for part in Part} == {
        Part.WAITING: 1,
        Part.STARTUP: 0,
        Part.CODE: 3,
        Part.COMMIT: 0,
    }


SECONDS = st.none() | st.floats(0, 100, allow_nan=False)
ATTEMPTS = st.lists(
    st.builds(
        attempt,
        st.sampled_from(["n0", "n1", "n1/0", "n1/12", "n2/n0"]),
        st.floats(0, 100, allow_nan=False),
        *[SECONDS] * 5,
        number=st.integers(1, 3),
    ),
    max_size=12,
)


@given(attempts=ATTEMPTS, width=st.integers(1, 200))
def test_whatever_the_clocks_say_segments_follow_each_other_and_the_chart_fits(
    attempts: list[Attempt], width: int
) -> None:
    found = laid(attempts)
    for bar in found.bars:
        for one, two in zip(bar.segments, bar.segments[1:], strict=False):
            assert one.end == two.begin
        assert all(segment.seconds >= 0 for segment in bar.segments)
    assert len(found.path) <= len(found.bars)
    assert sum(found.sums.values()) == pytest.approx(sum(bar.end - bar.begin for bar in found.bars))
    for row in found.rows:
        assert len(row.cells(100, width)) == width
    assert document(found)["execution"] == "run-1"
    ElementTree.fromstring(page(found).partition("\n")[2].replace('<meta charset="utf-8">', ""))  # ours


def test_a_large_map_is_one_row_that_shows_what_was_done_though_most_items_wait() -> None:
    items = [attempt(f"n0/{i}", 0, i / 10, i / 10, None, (i + 1) / 10, None) for i in range(100)]
    found = laid(items, [node("n0", "fit"), *(node(each.path) for each in items)])
    (row,) = found.rows
    assert row.label == "fit[0-99]"
    assert set(row.cells(10, 20)) == {Part.CODE}
    text = [line.text() for line in chart(found, 80)]
    assert all(len(line) <= 80 for line in text[:3])
    assert text[2].startswith("fit[0-99]")


def test_a_small_map_shows_its_items_below_it() -> None:
    items = [attempt(f"n0/{i}", 0, 1, 1, None, 2, 3) for i in range(3)]
    found = laid(items, [node("n0", "fit"), *(node(each.path) for each in items)])
    assert [(row.label, row.depth) for row in found.rows] == [("fit", 0), ("[0]", 1), ("[1]", 1), ("[2]", 1)]


def test_what_failed_is_red_and_what_was_tried_again_is_said() -> None:
    tries = [attempt("n0", 0, 1, 1, None, 2, 2), attempt("n0", 3, 4, 4, None, 5, 5, number=2)]
    lines = list(chart(laid(tries, [node("n0", "load", NodePhase.FAILED)]), 100))
    assert ("load  ", "red") in lines[2].pieces
    assert "load → load (attempt 2)" in lines[-1].text()


def test_without_unicode_there_are_other_signs() -> None:
    text = "\n".join(line.text() for line in chart(laid(CHAIN), 80, unicode=False))
    assert text.isascii()
    assert "#" in text


def test_an_execution_without_attempts_says_so() -> None:
    assert [line.text() for line in chart(laid([], end=None), 80)][1] == "nothing has begun to run yet"


def test_names_cannot_break_the_page() -> None:
    found = page(laid(CHAIN, [node("n0", "<script>&"), node("n1"), node("n2")]))
    assert "<script>" not in found
    assert "&lt;script&gt;&amp;" in found


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([0], "0"),
        ([0, 1, 2], "0-2"),
        ([0, 2, 3], "0, 2-3"),
        ([0, 2, 4, 6], "0-6, 4 of them"),
    ],
)
def test_numbers_are_told_as_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


def test_the_critical_path_names_nodes_as_people_know_them_in_the_terminal_and_on_the_page() -> None:
    found = laid(
        [
            attempt("n0", 0, 0.1, 0.2, None, 1, 1.1),
            attempt("n1/3", 1, 1.1, 1.2, None, 2, 2.1, number=2),
            attempt("n2/n0", 2, 2.1, 2.2, None, 9, 9.1),
        ],
        [
            *(node("n0", "load"), node("n1", "fit"), node("n1/3"), node("n2", "finish")),
            node("n2/n0", "tell"),
        ],
    )
    told = "load → fit[3] (attempt 2) → finish/tell"
    assert any(told in "".join(text for text, _ in line.pieces) for line in chart(found, 100))
    assert f"Critical path: {told}" in page(found)


def test_a_long_critical_path_is_told_by_its_begin_and_end() -> None:
    found = laid([attempt(f"n{step}", step, step, step, None, step + 1, step + 1) for step in range(10)])
    assert found.path_names(4) == ["n0", "n1", "6 more", "n8", "n9"]
