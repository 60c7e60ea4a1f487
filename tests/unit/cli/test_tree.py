from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from volery.executions import Counts, Execution, ExecutionPhase, Failure, Node, NodePhase, Target
from volery_cli.tree import GLYPHS, PLAIN_GLYPHS, Line, Tree, fitting

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(seconds=4)


def execution(phase: ExecutionPhase = ExecutionPhase.RUNNING, **more: object) -> Execution:
    target = Target("WORKFLOW", "demo", "development", "flows.search", "v1")
    made = Execution("demo", "development", "search-1", "u", target, phase, create_time=START)
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


def node(path: str, phase: NodePhase = NodePhase.RUNNING, **more: object) -> Node:
    made = Node(path, "TASK", phase, 1, path.rpartition("/")[2], f"flows.{path}", queue_time=START)
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


def drawn(tree: Tree, *, unicode: bool = True) -> list[str]:
    return [line.text() for line in tree.lines(NOW, unicode=unicode)]


def test_every_phase_has_a_glyph_of_both_kinds() -> None:
    phases = {phase.value for phase in [*NodePhase, *ExecutionPhase]} | {"PENDING"}
    assert set(GLYPHS) == set(PLAIN_GLYPHS) == phases
    assert all(glyph.isascii() for glyph in PLAIN_GLYPHS.values())


def test_a_tree_shows_what_ended_what_runs_and_what_is_to_come() -> None:
    tree = Tree(
        execution(counts=Counts(succeeded=1, running=1, total=3)),
        [("n0", "load"), ("n1", "fit"), ("n2", "best")],
    )
    ended = node(
        "n0", NodePhase.SUCCEEDED, name="load", start_time=START, end_time=START + timedelta(seconds=1.5)
    )
    tree.fold(tree.execution, [node("n1", name="fit", start_time=START + timedelta(seconds=2)), ended])
    assert drawn(tree) == [
        "● search  search-1  running  4.0 s  1/3 nodes",
        "├─ ✔ load n0  1.5 s",
        "├─ ● fit n1  2.0 s",
        "└─ · best",
    ]


def test_without_unicode_the_tree_is_drawn_in_ascii() -> None:
    tree = Tree(execution())
    tree.fold(tree.execution, [node("n0"), node("n1", kind="MAP", counts=Counts(succeeded=5, total=10))])
    text = "\n".join(drawn(tree, unicode=False))
    assert text.isascii()
    assert "`- * n1" in text
    assert "##########----------" in text


def test_what_has_not_begun_is_not_shown_once_all_is_over() -> None:
    tree = Tree(execution(ExecutionPhase.FAILED, end_time=NOW), [("n0", "load"), ("n1", "fit")])
    tree.fold(tree.execution, [node("n0", NodePhase.FAILED)])
    assert len(drawn(tree)) == 2


def test_a_map_is_a_line_with_its_counts_and_the_items_that_need_an_eye() -> None:
    tree = Tree(execution())
    failure = Failure("USER", "ValueError", "bad\nvery bad")
    items = [node(f"n1/{index}", NodePhase.QUEUED) for index in range(50)]
    items += [node(f"n1/{index}", start_time=START) for index in range(50, 60)]
    items += [node("n1/99", NodePhase.FAILED, failure=failure, start_time=START, end_time=NOW)]
    items += [node(f"n1/{index}", NodePhase.SUCCEEDED) for index in range(60, 80)]
    counts = Counts(succeeded=20, running=10, failed=1, total=100)
    tree.fold(tree.execution, [node("n1", kind="MAP", name="fit", counts=counts), *items])
    assert drawn(tree)[1:] == [
        "└─ ● fit n1  ━━━━━─────────────── 21/100, 10 running, 1 failed",
        "   ├─ ● [50]  4.0 s",
        "   ├─ ● [51]  4.0 s",
        "   ├─ ● [52]  4.0 s",
        "   ├─ ● [53]  4.0 s",
        "   ├─ ● [54]  4.0 s",
        "   ├─ ✘ [99]  4.0 s  ValueError: bad",
        "   └─  … 5 more",
    ]


def test_items_that_ended_well_are_forgotten() -> None:
    tree = Tree(execution())
    tree.fold(tree.execution, [node("n1", kind="MAP"), node("n1/0")])
    tree.fold(tree.execution, [node("n1/0", NodePhase.SUCCEEDED)])
    assert list(tree.nodes) == ["n1"]


def test_what_lies_in_a_node_that_is_over_does_not_run() -> None:
    tree = Tree(execution())
    tree.fold(tree.execution, [node("n1", NodePhase.SUCCEEDED, kind="MAP"), node("n1/7")])
    assert len(drawn(tree)) == 2


def test_a_failure_is_told_once_at_the_deepest_place() -> None:
    failure = Failure("USER", "ValueError", "bad")
    tree = Tree(execution())
    inner = node("n0/n1", NodePhase.FAILED, failure=failure)
    tree.fold(tree.execution, [node("n0", NodePhase.FAILED, kind="WORKFLOW", failure=failure), inner])
    assert "\n".join(drawn(tree)).count("ValueError: bad") == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {
                "phase": NodePhase.WAITING,
                "waiting_reason": "BACKOFF",
                "wake_time": NOW + timedelta(seconds=8),
            },
            "before the next attempt (8.0 s left)",
        ),
        ({"phase": NodePhase.QUEUED, "waiting_reason": "SLOTS"}, "waits for a free slot"),
        (
            {"phase": NodePhase.QUEUED, "waiting_reason": "POD", "waiting_message": "volumes"},
            "waits for its pod: volumes",
        ),
        ({"phase": NodePhase.QUEUED, "waiting_reason": "FROM_THE_FUTURE"}, "waits from the future"),
        ({"phase": NodePhase.WAITING}, "waits"),
        ({"attempt": 3}, "attempt 3"),
        ({"phase": NodePhase.SUCCEEDED, "cache_status": "HIT"}, "cached"),
        ({"phase": NodePhase.SKIPPED}, "skipped"),
    ],
)
def test_a_node_tells_why_it_is_where_it_is(more: dict[str, object], told: str) -> None:
    tree = Tree(execution())
    tree.fold(tree.execution, [replace(node("n0"), **more)])  # type: ignore[arg-type]  # fields by name
    assert told in drawn(tree)[1]


def test_nodes_are_in_the_order_of_the_workflow_and_items_in_that_of_their_index() -> None:
    tree = Tree(execution(), [("zeta", "zeta"), ("alpha", "alpha")])
    items = [node(f"zeta/{index}", start_time=NOW) for index in (10, 9, 2)]
    tree.fold(tree.execution, [node("alpha"), node("zeta", kind="MAP"), *items])
    shown = [line.split()[2] for line in drawn(tree)[1:]]
    assert [word for word in shown if word in ("zeta", "alpha")] == ["zeta", "alpha"]
    assert [word for word in " ".join(drawn(tree)).split() if word.startswith("[")] == ["[2]", "[9]", "[10]"]


def lines(*phases: str) -> list[Line]:
    return [Line(phase, ((f"{index}", ""),)) for index, phase in enumerate(phases)]


def test_too_many_lines_lose_what_ended_well_first() -> None:
    many = lines("RUNNING", *["SUCCEEDED"] * 20, "RUNNING", "FAILED", "SUCCEEDED")
    kept = fitting(many, 6)
    assert len(kept) <= 6
    assert [line.text() for line in kept if line.phase in ("RUNNING", "FAILED")] == ["0", "21", "22"]
    assert "more" in kept[1].text()


def test_lines_that_fit_stay_as_they_are() -> None:
    few = lines("RUNNING", "SUCCEEDED")
    assert fitting(few, 2) == few


def test_when_all_is_important_the_end_is_cut_and_counted() -> None:
    kept = fitting(lines(*["RUNNING"] * 10), 4)
    assert len(kept) == 4
    assert kept[-1].text().strip() == "… 7 more"


def test_a_message_that_is_cut_shows_it() -> None:
    tree = Tree(execution())
    failure = Failure("USER", "ValueError", "bad " * 100)
    tree.fold(tree.execution, [node("n0", NodePhase.FAILED, failure=failure)])
    assert drawn(tree)[1].endswith("bad bad…")
    assert drawn(tree, unicode=False)[1].endswith("b...")


def test_a_node_without_a_name_is_called_as_its_target_or_as_the_end_of_its_path() -> None:
    tree = Tree(execution())
    hit = node("n0", NodePhase.SUCCEEDED, cache_status="HIT", target_name="flows.collect")
    tree.fold(tree.execution, [hit, replace(hit, path="n1", name="n1", target_name="")])
    assert drawn(tree)[1:] == ["├─ ✔ collect  cached", "└─ ✔ n1  cached"]
