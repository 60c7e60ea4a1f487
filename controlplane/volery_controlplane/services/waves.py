"""Waves: the reports of a worker, committed together.

In: one batch of reports of one session, inside a transaction. Out: a `WaveOutcome`, the acknowledgements and
what there is to be told to others once the transaction is committed. A refused report of one execution
leaves the others untouched. The rules for one report are in `domain.reports`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import CacheStatus
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.event.v1.event_pb2 import CacheSource
from voleryidl.worker.v1.worker_service_pb2 import (
    Acknowledgement,
    CacheAnswer,
    ExecutionReport,
)

from volery_controlplane.domain.errors import Invalid, Refusal
from volery_controlplane.domain.records import (
    CacheRow,
    ExecutionHead,
    ExecutionKey,
    ExecutionName,
    FoldedReport,
    Micros,
    NodeRow,
)
from volery_controlplane.domain.references import References
from volery_controlplane.domain.reports import (
    Hit,
    abandon,
    cache_rows,
    cache_source,
    fold,
    is_repeat,
    judge,
)
from volery_controlplane.services.assignments import (
    SNAPSHOT_PAGE,
)
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.uses import note_entries, note_hits, note_values

log = structlog.get_logger(__name__)

ANSWER_BYTES = 1024 * 1024
"""Outputs of cache hits in one acknowledgement; those of further hits are fetched when needed."""


@dataclass(slots=True)
class WaveOutcome:
    """What a wave came to.

    Attributes:
        acknowledgements: one for each report, in their order.
        changed: executions of which there is news.
        ended: executions that this wave ended.
        ended_before: executions of which a repeat says that they have ended.
        let_go: executions that the worker holds no more.
        given_back: whether the worker gives back what it holds, since it leaves.
        projects: projects and domains in which a phase has changed.
        reports, nodes, ended_phases, value_bytes: to be counted.
    """

    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    changed: list[ExecutionKey] = field(default_factory=list)
    ended: list[ExecutionKey] = field(default_factory=list)
    ended_before: list[ExecutionKey] = field(default_factory=list)
    let_go: list[ExecutionKey] = field(default_factory=list)
    given_back: bool = False
    projects: set[tuple[str, str]] = field(default_factory=set)
    reports: Counter[str] = field(default_factory=Counter)
    nodes: Counter[int] = field(default_factory=Counter)
    ended_phases: Counter[int] = field(default_factory=Counter)
    value_bytes: int = 0


def commit_wave(
    tx: Transaction,
    session_id: str,
    worker_id: str,
    reports: Sequence[ExecutionReport],
    references: References,
) -> WaveOutcome:
    """Commits one wave, in the transaction of the caller."""
    keys = [ExecutionKey(report.execution_key) for report in reports]
    heads = tx.executions.heads(keys)
    now = tx.now
    found = _lookup(tx, reports, now)
    outcome = WaveOutcome()
    folded: dict[ExecutionKey, FoldedReport] = {}
    writes: dict[ExecutionKey, list[tuple[CacheRow, bool]]] = {}
    answers: dict[ExecutionKey, Acknowledgement] = {}
    for report in reports:
        key = ExecutionKey(report.execution_key)
        head = heads.get(key)
        answer = Acknowledgement(execution_key=key, number=report.number)
        outcome.acknowledgements.append(answer)
        if head is not None and is_repeat(head, report):
            _answer_again(tx, answer, report)
            _tell_again(outcome, head, report)
            outcome.reports["repeated"] += 1
            continue
        try:
            if key in folded:
                raise Invalid("a batch has one report of an execution at most")
            head = judge(head, report, session_id)
            if report.abandoned:
                report = _abandon(tx, key, report)
            hits = [Hit(item.path, found[item.key]) for item in report.cache_lookups if item.key in found]
            folded[key] = fold(head, report, hits, worker_id, now)
            if report.cache_writes:
                writes[key] = cache_rows(report, ExecutionName(head.project, head.domain, head.name), now)
        except Refusal as refusal:
            answer.refusal, answer.message = refusal.reason, refusal.message
            continue
        except Exception:  # a report that we cannot fold must not keep the others of its wave from theirs
            log.exception("a report could not be folded", execution=key)
            answer.refusal = ErrorReason.ERROR_REASON_INTERNAL
            answer.message = "the control plane could not make sense of a report; its log says why"
            continue
        answers[key] = answer
        _answer_lookups(answer, report, found)
    _apply(tx, folded, answers)
    for answer in outcome.acknowledgements:
        if answer.refusal:
            stale = answer.refusal == ErrorReason.ERROR_REASON_STALE
            outcome.reports["stale" if stale else "refused"] += 1
    taken_over = [
        (lookup.key, report.execution_key)
        for report in reports
        for lookup in report.cache_lookups
        if lookup.key in found and report.execution_key in folded
    ]
    kept = []
    for key, item in folded.items():
        for row, overwrite in writes.get(key, ()):
            if tx.cache.put(row, overwrite):
                kept.append(row)
        outcome.changed.append(key)
        outcome.reports["committed"] += 1
        outcome.nodes.update([node.phase for node in item.nodes])
        outcome.value_bytes += sum([len(value.content) for value in item.values])
        if item.released or item.phase in TERMINAL_EXECUTION_PHASES:
            outcome.let_go.append(key)
            outcome.given_back |= item.released and not item.parked
        if item.phase in TERMINAL_EXECUTION_PHASES:
            outcome.ended.append(key)
            outcome.ended_phases[item.phase] += 1
        if item.phase != heads[key].phase:
            outcome.projects.add((heads[key].project, heads[key].domain))
    if taken_over:
        note_hits(tx, taken_over, found, now)
    note_values(tx, references, [(heads[key], item.values) for key, item in folded.items()])
    if kept:
        note_entries(tx, references, kept)
    return outcome


def _tell_again(outcome: WaveOutcome, head: ExecutionHead, report: ExecutionReport) -> None:
    """Says again what a repeat's first coming said, since nobody may have heard of it.

    Its commit may have been that of a control plane that died with it. Who waits here looks once more than
    it needs to; room is made by whoever still counts the execution as held, so not twice.
    """
    outcome.changed.append(head.key)
    has_ended = head.phase in TERMINAL_EXECUTION_PHASES
    if has_ended:
        outcome.ended_before.append(head.key)
        outcome.projects.add((head.project, head.domain))
    if has_ended or report.HasField("release"):
        outcome.let_go.append(head.key)
        outcome.given_back |= report.release.HasField("drain")


def _abandon(tx: Transaction, key: ExecutionKey, report: ExecutionReport) -> ExecutionReport:
    nodes: list[NodeRow] = []
    while page := tx.executions.nodes(key, nodes[-1].path if nodes else "", SNAPSHOT_PAGE):
        nodes.extend(page)
    return abandon(report, nodes, tx.executions.by_key([key])[key].counts, tx.now)


def _apply(
    tx: Transaction,
    folded: dict[ExecutionKey, FoldedReport],
    answers: Mapping[ExecutionKey, Acknowledgement],
) -> None:
    """Writes a wave. A report that the store refuses is refused alone; the others are written again."""
    while folded:
        try:
            tx.executions.apply(list(folded.values()))
        except Refusal as refusal:
            key = ExecutionKey(int(refusal.metadata.get("execution_key", "0")))
            if key not in folded:
                raise
            answers[key].refusal, answers[key].message = refusal.reason, refusal.message
            del folded[key]
        else:
            return


def _lookup(tx: Transaction, reports: Sequence[ExecutionReport], now: Micros) -> Mapping[str, CacheRow]:
    keys = {lookup.key for report in reports for lookup in report.cache_lookups}
    return tx.cache.take(sorted(keys), now) if keys else {}


def _answer_lookups(answer: Acknowledgement, report: ExecutionReport, found: Mapping[str, CacheRow]) -> None:
    left = ANSWER_BYTES
    for lookup in report.cache_lookups:
        row = found.get(lookup.key)
        if row is None:
            answer.cache_answers.append(CacheAnswer(path=lookup.path, status=CacheStatus.CACHE_STATUS_MISS))
            continue
        left -= len(row.outputs)
        answer.cache_answers.append(
            CacheAnswer(
                path=lookup.path,
                status=CacheStatus.CACHE_STATUS_HIT,
                outputs=LiteralMap.FromString(row.outputs) if left >= 0 else None,
                source=cache_source(row),
            )
        )


def _answer_again(tx: Transaction, answer: Acknowledgement, report: ExecutionReport) -> None:
    """Answers the lookups of a repeat by what was committed: the cache may know more or less by now.

    The outputs of hits are fetched when needed.
    """
    paths = [lookup.path for lookup in report.cache_lookups]
    nodes = {row.path: row for row in tx.executions.nodes_by_path(ExecutionKey(report.execution_key), paths)}
    for path in paths:
        row = nodes.get(path)
        if row is not None and row.cache_status == CacheStatus.CACHE_STATUS_HIT:
            source = CacheSource.FromString(row.cache_source)
            answer.cache_answers.append(
                CacheAnswer(path=path, status=CacheStatus.CACHE_STATUS_HIT, source=source)
            )
        else:
            answer.cache_answers.append(CacheAnswer(path=path, status=CacheStatus.CACHE_STATUS_MISS))
