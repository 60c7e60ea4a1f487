"""Judges what is left of an execution: its rows, its journal, its values, and how they fit the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from model.graphs import RETRIES, Graph, Model
from volery_controlplane.domain.records import ExecutionKey, NodeRow
from volery_controlplane.services.ports import Transaction
from volery_rules.phases import (
    TERMINAL_ATTEMPT_PHASES,
    TERMINAL_EXECUTION_PHASES,
    TERMINAL_NODE_PHASES,
    node_may,
)
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.event.v1.event_pb2 import Event
from voleryidl.execution.v1.execution_pb2 import PhaseCounts
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport

OUTPUTS = 2


def judge(tx: Transaction, key: ExecutionKey, graph: Graph, model: Model, *, aborted: bool) -> None:
    """An execution that has ended, after everything that happened to it."""
    record = tx.executions.by_key([key])[key]
    nodes = tx.executions.nodes(key, "", 100_000)
    assert record.phase in TERMINAL_EXECUTION_PHASES, "every execution ends"
    open_nodes = [node.path for node in nodes if node.phase not in TERMINAL_NODE_PHASES]
    assert not open_nodes, f"{open_nodes} are left open"
    events = _events(tx, key)
    assert record.last_sequence == len(events)
    _judge_journal(events, nodes, model)
    _judge_counts(record.counts, nodes)
    for node in nodes:
        _judge_attempts(tx, key, node)
        if node.counts:
            _judge_counts(node.counts, [row for row in nodes if row.path.rpartition("/")[0] == node.path])
    if record.phase == pb.EXECUTION_PHASE_ABORTED or aborted:
        assert aborted, "aborted, and nobody asked for it"
        return
    assert (record.phase == pb.EXECUTION_PHASE_SUCCEEDED) == (model.given is not None), record
    if model.given is not None:
        (row,) = tx.executions.values(key, "", OUTPUTS)
        assert Literal.FromString(row.content).integer_value == model.given
    _judge_phases(nodes, graph, model)


def _events(tx: Transaction, key: ExecutionKey) -> list[Event]:
    """The journal, whose sequences have no gap."""
    events: list[Event] = []
    for row in tx.executions.journal(key, 0, 100_000):
        told = ExecutionReport.FromString(row.content).events
        assert row.first_sequence == len(events) + 1, "a gap in the journal"
        events.extend(told)
        assert row.last_sequence == len(events), "a row of the journal has other events than it says"
    return events


def _judge_journal(events: Sequence[Event], nodes: Sequence[NodeRow], model: Model) -> None:
    """Every change was legal when it was committed, and all of them together give the rows."""
    phases: dict[str, int] = {}
    ends: Counter[str] = Counter()
    under_way: dict[str, set[str]] = {path: set() for path in model.widths}  # items by map
    over = False
    for event in events:
        assert not over, f"an event after the end: {event}"
        if event.HasField("execution"):
            over = event.execution.phase in TERMINAL_EXECUTION_PHASES
        if not event.HasField("node"):
            continue
        path, phase = event.node.path, event.node.phase
        assert node_may(phases.get(path, 0), phase), f"{path}: {phases.get(path)} → {phase}"
        if path not in phases and phase in (pb.NODE_PHASE_QUEUED, pb.NODE_PHASE_RUNNING):
            early = [
                name for name in model.before.get(path, ()) if phases.get(name) != pb.NODE_PHASE_SUCCEEDED
            ]
            assert not early, f"{path} began before {early} had succeeded"
        if (items := under_way.get(map_path := path.rpartition("/")[0])) is not None:
            (items.discard if phase in TERMINAL_NODE_PHASES else items.add)(path)
            assert len(items) <= model.widths[map_path], f"{map_path} has {sorted(items)} under way"
        phases[path] = phase
        ends[path] += phase in TERMINAL_NODE_PHASES
    assert phases == {node.path: node.phase for node in nodes}, "the journal and the rows differ"
    assert all(count == 1 for count in ends.values()), "a node is committed once"


def _judge_counts(counts: bytes, nodes: Sequence[NodeRow]) -> None:
    told = PhaseCounts.FromString(counts)
    phases = Counter(node.phase for node in nodes)
    found = (told.queued, told.running, told.waiting, told.succeeded, told.failed, told.aborted, told.skipped)
    assert found == (
        phases[pb.NODE_PHASE_QUEUED],
        phases[pb.NODE_PHASE_RUNNING],
        phases[pb.NODE_PHASE_WAITING],
        phases[pb.NODE_PHASE_SUCCEEDED],
        phases[pb.NODE_PHASE_FAILED] + phases[pb.NODE_PHASE_TIMED_OUT],
        phases[pb.NODE_PHASE_ABORTED],
        phases[pb.NODE_PHASE_SKIPPED],
    ), "the counts and the rows differ"


def _judge_attempts(tx: Transaction, key: ExecutionKey, node: NodeRow) -> None:
    """Each attempt has its end, and there are no more of them than the rules allow."""
    assert node.user_failures <= RETRIES + 1, f"{node.path} failed {node.user_failures} times"
    attempts = tx.executions.attempts(key, node.path)
    if node.phase == pb.NODE_PHASE_SKIPPED:
        assert (list(attempts), node.attempt) == ([], 0), f"{node.path} was tried, so it was not skipped"
    answered = node.cache_status == pb.CACHE_STATUS_HIT
    told = [attempt.attempt for attempt in attempts]
    assert told == list(range(1, node.attempt + 1 - answered)), f"{node.path}: {told} of {node.attempt}"
    for attempt in attempts:
        assert attempt.phase in TERMINAL_ATTEMPT_PHASES, (
            f"attempt {attempt.attempt} of {node.path} has no end"
        )


def _judge_phases(nodes: Sequence[NodeRow], graph: Graph, model: Model) -> None:
    for node in nodes:
        if node.phase == pb.NODE_PHASE_SUCCEEDED:
            assert model.phases[node.path] == pb.NODE_PHASE_SUCCEEDED, f"{node.path} has succeeded"
        if node.phase == pb.NODE_PHASE_SKIPPED:
            assert model.phases[node.path] == pb.NODE_PHASE_SKIPPED, f"{node.path} is skipped"
    if graph.exact:
        assert {node.path: node.phase for node in nodes} == model.phases
