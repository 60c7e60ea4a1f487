"""Workers, a control plane and an adversarial network between them, judged by a small plain model.

Whatever is lost, late, said twice or on its way when somebody dies: what is launched is committed, what is
committed stays, every execution ends, and it ends as the model says.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model.graphs import Graph, graphs
from model.hands import Cluster
from model.histories import judge
from model.inline_database import Virtual, look, sqlite_in_memory
from model.network import Stream
from model.world import Execution, WorkerProcess, World
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.worker_sessions import WorkerSession
from volery_dataplane.worker.ports import AttemptKey, Started
from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.worker.v1.worker_service_pb2 import AcknowledgementBatch, ReportBatch

T = TypeVar("T")
NAMES = ("anna", "bert")
MANY = 3
picks = st.integers(0, 1_000)  # of whatever there is to choose from


def _one(of: Sequence[T], pick: int) -> T:
    return of[pick % len(of)]


class ProtocolMachine(RuleBasedStateMachine):
    """Everything that can happen between the store and the launchers."""

    fresh: Virtual = staticmethod(sqlite_in_memory)  # type: ignore[assignment]  # a class's own function
    outlives = False  # whether attempts outlive the worker that launched them

    @initialize(places=st.integers(1, 3), executions=st.integers(1, 3), graph=graphs(1, 3), seed=picks)
    def begin(self, places: int, executions: int, graph: Graph, seed: int) -> None:
        self.world = World(type(self).fresh, cluster=Cluster() if self.outlives else None)
        self.world.start_plane()
        self.world.start_worker("anna", places, executions)
        self.world.flow()
        self.world.create(graph, seed)

    @property
    def workers(self) -> list[WorkerProcess]:
        return [self.world.workers[name] for name in sorted(self.world.workers)]

    @property
    def streams(self) -> list[Stream]:
        """Those that the control plane still listens to."""
        here = [worker.wire.stream for worker in self.workers if worker.wire.stream is not None]
        return [stream for stream in (*here, *self.forsaken) if stream.is_heard]

    @property
    def forsaken(self) -> list[Stream]:
        """Those whose workers are gone, or are on their next stream."""
        old = [stream for worker in self.workers for stream in worker.wire.forsaken]
        return [stream for stream in (*self.world.zombies, *old) if stream.is_heard]

    @property
    def running(self) -> list[tuple[WorkerProcess, AttemptKey]]:
        return [(worker, key) for worker in self.workers for key in sorted(worker.hands.running)]

    # --- executions ---

    @precondition(lambda self: self.world.plane and len(self.world.executions) < MANY)
    @rule(graph=graphs(1, 3), seed=picks)
    def an_execution_is_created(self, graph: Graph, seed: int) -> None:
        self.world.create(graph, seed)

    @precondition(lambda self: self.world.plane and self.known)
    @rule(pick=picks, really=st.integers(0, 4))
    def an_execution_is_aborted(self, pick: int, really: int) -> None:
        if really == 4:
            self.world.abort(_one(self.known, pick))

    @property
    def known(self) -> list[Execution]:
        return [item for item in self.world.executions.values() if self.world.record(item) is not None]

    # --- attempts ---

    @precondition(lambda self: self.running)
    @rule(pick=picks, many=st.booleans())
    def attempts_end(self, pick: int, many: bool) -> None:
        worker, key = _one(self.running, pick)
        self.world.end_attempts(worker, sorted(worker.hands.running) if many else [key])

    @precondition(lambda self: self.running)
    @rule(pick=picks)
    def an_attempt_begins_to_run(self, pick: int) -> None:
        worker, key = _one(self.running, pick)
        self.world.do(lambda: worker.hands.observed([Started(key, self.world.now())]))

    @precondition(lambda self: any(worker.hands.ended for worker in self.workers))
    @rule(pick=picks)
    def an_end_is_seen_again(self, pick: int) -> None:
        worker = _one([worker for worker in self.workers if worker.hands.ended], pick)
        again = _one(worker.hands.ended, pick)
        self.world.do(lambda: worker.hands.observed([again]))

    # --- messages and time ---

    @rule(rounds=st.sampled_from([1, 2, 3, 1_000, 1_000]))
    def messages_arrive(self, rounds: int) -> None:
        self.world.flow(rounds)

    @rule(left=st.integers(0, 1))
    def all_goes_well_for_a_while(self, left: int) -> None:
        for _ in range(2):
            self.world.flow()
            for worker in self.workers:
                self.world.end_attempts(worker, sorted(worker.hands.running)[left:])
        self.world.flow()

    @precondition(lambda self: any(stream.up for stream in self.streams))
    @rule(pick=picks, count=st.integers(1, 3))
    def something_arrives_at_the_control_plane(self, pick: int, count: int) -> None:
        stream = _one([stream for stream in self.streams if stream.up], pick)
        for _ in range(min(count, len(stream.up))):
            self.world.do(stream.arrive)

    @precondition(lambda self: any(w.wire.stream and w.wire.stream.down for w in self.workers))
    @rule(pick=picks)
    def something_arrives_at_a_worker(self, pick: int) -> None:
        ready = [w for w in self.workers if w.wire.stream is not None and w.wire.stream.down]
        self.world.do(_one(ready, pick).wire.hear)

    @rule(seconds=st.sampled_from([0.01, 1.0, 1.0, 5.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from([1.0, 5.0, 40.0]))
    def time_passes_and_messages_arrive(self, seconds: float) -> None:
        for _ in range(int(max(1, seconds / 5))):
            self.world.pass_time(min(seconds, 5.0))
            self.world.flow()

    @precondition(lambda self: self.workers)
    @rule(pick=picks, slow=st.booleans())
    def reads_of_a_worker_are_slow(self, pick: int, slow: bool) -> None:
        answers = _one(self.workers, pick).wire.answers
        self.world.do(answers.clear if slow else answers.set)

    @precondition(lambda self: any(w.wire.stream for w in self.workers))
    @rule(pick=picks, noticed=st.booleans(), heard=st.integers(0, 3))
    def a_stream_breaks(self, pick: int, noticed: bool, heard: int) -> None:
        """The worker learns of it, the control plane perhaps later."""
        wire = _one([w.wire for w in self.workers if w.wire.stream is not None], pick)
        stream = wire.stream
        assert stream is not None
        for _ in range(min(heard, len(stream.down))):
            if wire.stream is stream:  # else what it heard was goodbye
                self.world.do(wire.hear)
        self.world.do(wire.break_off)
        if noticed:
            self.world.do(stream.end)

    @precondition(lambda self: any(stream.up for stream in self.streams))
    @rule(pick=picks)
    def a_stream_breaks_between_commit_and_acknowledgement(self, pick: int) -> None:
        stream = _one([stream for stream in self.streams if stream.up], pick)
        plane = self.world.plane
        assert plane is not None
        plane.database.outcomes.clear()
        self.world.do(stream.arrive)
        self.world.do(stream.end)
        self.world.do(plane.database.outcomes.set)

    @precondition(lambda self: self.forsaken)
    @rule(pick=picks)
    def the_control_plane_notices_that_a_stream_is_over(self, pick: int) -> None:
        self.world.do(_one(self.forsaken, pick).end)

    @precondition(lambda self: self.world.plane and self.world.told.batches)
    @rule(pick=picks)
    def a_batch_is_said_again(self, pick: int) -> None:
        """A repeat changes nothing, and is answered as it was; what is stale is refused."""
        session_id, batch = _one(self.world.told.batches, pick)
        self.say_again(session_id, batch)

    # --- processes ---

    @precondition(lambda self: len(self.workers) < 3)
    @rule(pick=picks, places=st.integers(1, 3), executions=st.integers(1, 3))
    def a_worker_comes(self, pick: int, places: int, executions: int) -> None:
        self.world.start_worker(_one(NAMES, pick), places, executions)

    @precondition(lambda self: self.workers)
    @rule(pick=picks)
    def a_worker_is_killed(self, pick: int) -> None:
        self.world.kill_worker(_one(sorted(self.world.workers), pick))

    @precondition(lambda self: self.workers)
    @rule(pick=picks, really=st.integers(0, 3))
    def a_worker_drains(self, pick: int, really: int) -> None:
        if not really:
            self.world.drain(_one(sorted(self.world.workers), pick))

    @precondition(lambda self: self.world.plane)
    @rule()
    def the_control_plane_is_killed(self) -> None:
        assert self.world.plane is not None
        self.world.do(self.world.plane.kill)

    @precondition(lambda self: self.world.plane)
    @rule(after=st.integers(0, 4), commits=st.booleans())
    def the_control_plane_will_be_killed(self, after: int, commits: bool) -> None:
        """Before or after one of its next commits."""
        assert self.world.plane is not None
        self.world.plane.database.fuse = after
        self.world.plane.database.fuse_commits = commits

    @precondition(lambda self: self.world.plane is None)
    @rule()
    def a_control_plane_starts(self) -> None:
        self.world.start_plane()

    # --- what must hold ---

    @invariant()
    def nothing_goes_wrong(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        if world.plane is not None and not world.plane.is_alive:
            world.lose_plane()
        assert not world.problems, "\n".join(world.problems)
        self.whoever_waits_is_told_at_once()

    def whoever_waits_is_told_at_once(self) -> None:
        plane = self.world.plane
        if plane is None or not plane.seen:
            return
        records = look(self.world.link, lambda tx: tx.executions.by_key(list(plane.seen)))
        for key, record in records.items():
            assert plane.seen[key] == record.last_sequence, f"{record.id.name} went on and nobody was told"
            if record.phase in TERMINAL_EXECUTION_PHASES:
                assert plane.waiting[key].done(), f"{record.id.name} has ended and nobody was told"

    def say_again(self, session_id: str, batch: ReportBatch) -> None:
        world, plane = self.world, self.world.plane
        assert plane is not None
        keys = [ExecutionKey(report.execution_key) for report in batch.reports]
        heads = look(world.link, lambda tx: tx.executions.heads(keys))
        stale = {
            key
            for r in batch.reports
            if heads[key := ExecutionKey(r.execution_key)].fencing_token != r.fencing_token
        }
        if any(
            report.number > heads[key].last_report and key not in stale
            for key, report in zip(keys, batch.reports, strict=True)
        ):
            return  # it is late, not said twice: it may well be committed yet
        plane.database.fuse = None
        before = look(world.link, lambda tx: _all(tx, keys))
        session = WorkerSession(session_id, "anna", (), plane.database.installation_secret())
        answer = world.loop.run_until_complete(plane.work.report(session, batch))
        assert look(world.link, lambda tx: _all(tx, keys)) == before, "a repeat changed something"
        for key, told in zip(keys, answer.acknowledgements, strict=True):
            refusal = ErrorReason.ERROR_REASON_STALE if key in stale else 0
            assert told.refusal == refusal
        first = world.told.answers.get((session_id, batch.number))
        if first is not None and not stale:
            assert _statuses(answer) == _statuses(first), "a repeat is answered as the first was"

    # --- the end ---

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.nothing_goes_wrong()
            self.finish()
            self.judge_all()
        finally:
            self.world.close()

    def finish(self) -> None:
        """Whatever is left happens without incident."""
        world = self.world
        world.heal()
        self.aborts_are_heard_of()
        for _ in range(200):
            world.flow()
            for worker in self.workers:
                world.end_attempts(worker, sorted(worker.hands.running))
            world.flow()
            self.nothing_goes_wrong()
            if all(world.ended(execution) for execution in self.known):
                return
            world.pass_time(5)
        raise AssertionError(f"every execution ends:\n{world.described()}")

    def aborts_are_heard_of(self) -> None:
        """Once every message had its time, nothing more begins in what is to be aborted."""
        aborting = [item for item in self.known if self.world.is_aborting(item)]
        if not aborting:
            return
        for _ in range(10):
            self.world.flow()
            self.world.pass_time(5)
        self.world.over.update(item.key for item in aborting if item.key is not None)

    def judge_all(self) -> None:
        world = self.world
        for execution in self.known:
            assert execution.key is not None
            key, model = execution.key, world.model(execution)
            look(
                world.link,
                lambda tx, e=execution, k=key, m=model: judge(tx, k, e.graph, m, aborted=e.asked_to_abort),  # type: ignore[misc]  # defaults bind
            )


class AdoptingMachine(ProtocolMachine):
    """The same with launchers whose attempts outlive workers, and end the same for whoever asks."""

    outlives = True


def _all(tx: Transaction, keys: Sequence[ExecutionKey]) -> list[object]:
    """All that a report could change."""
    found: list[object] = [tx.executions.heads(keys), tx.executions.by_key(keys)]
    for key in keys:
        nodes = tx.executions.nodes(key, "", 10_000)
        found += [nodes, tx.executions.journal(key, 0, 10_000)]
        found += [(tx.executions.values(key, n.path, 2), tx.executions.attempts(key, n.path)) for n in nodes]
    return found


def _statuses(batch: AcknowledgementBatch) -> list[object]:
    return [
        (answer.execution_key, answer.refusal, [(item.path, item.status) for item in answer.cache_answers])
        for answer in batch.acknowledgements
    ]


QUICK = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
LONG = int(os.environ.get("VOLERY_TEST_HISTORIES", "2000"))


def test_the_protocol_comes_to_what_the_model_says() -> None:
    run_state_machine_as_test(ProtocolMachine, settings=QUICK)


def test_the_protocol_comes_to_the_same_where_attempts_outlive_workers() -> None:
    run_state_machine_as_test(AdoptingMachine, settings=QUICK)


@pytest.mark.deep
@pytest.mark.timeout(7200)
def test_the_protocol_comes_to_what_the_model_says_at_length() -> None:
    run_state_machine_as_test(ProtocolMachine, settings=settings(QUICK, max_examples=LONG))
