"""Whatever happens in whatever order: what can be worked on is given to somebody who knows of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from integration.work.desk import COMMITTED, STALE, Desk, Hand
from support.databases import drop_postgres, fresh_postgres, fresh_sqlite, spare_the_disk
from support.hand_worker import execution_event, node_event
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.store.database import SqlDatabase
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.worker.v1.worker_service_pb2 import Drain, Park, Release

T = TypeVar("T")
WORKERS = ("w0", "w1", "w2")
MANY = 5
BUSY = ErrorReason.ERROR_REASON_BUSY
RUNNING = execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING)

picks = st.integers(0, 10_000)  # of whatever there is to choose from


class WorkMachine(RuleBasedStateMachine):
    """Workers come, go, freeze, drain; executions are created, end, park, are aborted."""

    fresh: Callable[[Path], str]

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.url = type(self).fresh(Path(self.directory.name))
        self.database = SqlDatabase.open(self.url, synchronous="off")
        self.runner = asyncio.Runner()
        self.desk = self.run(self.make())
        self.hands: dict[str, Hand] = {}  # workers whose streams are open
        self.memories: dict[str, Hand] = {}  # what workers know whose streams broke
        self.frozen: dict[str, Hand] = {}  # streams of workers whose sessions have ended
        self.deliveries: list[Callable[[], None]] = []
        self.sessions = 0
        self.open_ended: set[int] = set()  # executions that have not ended
        self.noisy = 0  # steps for which hints are left to gather

    async def make(self) -> Desk:
        return Desk(self.database)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            while self.deliveries:
                self.what_was_created_is_delivered()
            self.everything_is_worked_on()
        finally:
            self.runner.close()
            self.database.close()
            if self.url.startswith("postgresql"):
                drop_postgres(self.url)
            self.directory.cleanup()

    # --- workers ---

    def pick(self, hands: dict[str, Hand], pick: int) -> Hand:
        return hands.pop(sorted(hands)[pick % len(hands)])

    def forget(self, worker: str) -> None:
        for hands in (self.hands, self.memories, self.frozen):
            hands.pop(worker, None)

    @precondition(lambda self: len(self.hands) < len(WORKERS))
    @rule(pick=picks, room=st.integers(1, 3))
    def a_worker_comes(self, pick: int, room: int) -> None:
        """As a new process, whatever became of the one before."""
        away = [name for name in WORKERS if name not in self.hands]
        self.begin(away[pick % len(away)], room)

    @precondition(lambda self: self.hands)
    @rule(pick=picks, room=st.integers(1, 3))
    def a_worker_comes_while_the_one_before_is_there(self, pick: int, room: int) -> None:
        self.begin(self.pick(self.hands, pick).worker_id, room)

    def begin(self, worker: str, room: int) -> None:
        self.forget(worker)
        self.sessions += 1
        self.hands[worker] = self.run(self.desk.connect(worker, f"s{self.sessions}", room=room))

    @precondition(lambda self: self.hands)
    @rule(pick=picks, reads=st.booleans())
    def a_stream_breaks(self, pick: int, reads: bool) -> None:
        hand = self.pick(self.hands, pick)
        if reads:
            hand.read()
        hand.leave()
        self.memories[hand.worker_id] = hand

    @precondition(lambda self: self.memories)
    @rule(pick=picks, room=st.integers(1, 3))
    def a_worker_takes_its_session_up_again(self, pick: int, room: int) -> None:
        self.take_up(self.pick(self.memories, pick), room)

    @precondition(lambda self: self.hands)
    @rule(pick=picks, room=st.integers(1, 3))
    def a_worker_takes_its_session_up_before_its_old_stream_is_known_to_be_broken(
        self, pick: int, room: int
    ) -> None:
        self.take_up(self.pick(self.hands, pick), room)

    def take_up(self, before: Hand, room: int) -> None:
        free = max(0, room - len(before.known))
        worker, session = before.worker_id, before.session.session_id
        hand = self.run(self.desk.connect(worker, session, room=free, held=before.known))
        hand.numbers, hand.batches = before.numbers, before.batches
        self.hands[worker] = hand

    @precondition(lambda self: self.hands)
    @rule(pick=picks)
    def a_worker_freezes_and_its_lease_runs_out(self, pick: int) -> None:
        hand = self.pick(self.hands, pick)
        self.run(self.desk.expire(hand.session.session_id))
        self.frozen[hand.worker_id] = hand

    @precondition(lambda self: self.hands)
    @rule(pick=picks)
    def a_worker_begins_to_drain(self, pick: int) -> None:
        hand = self.pick(self.hands, pick)
        self.hands[hand.worker_id] = hand
        hand.has_room_for(0)

    @precondition(lambda self: self.hands)
    @rule(pick=picks)
    def a_worker_says_goodbye(self, pick: int) -> None:
        """Whatever it holds; what it says after that counts no more."""
        hand = self.pick(self.hands, pick)
        hand.has_room_for(0)
        self.run(self.desk.work.leave(hand.session))
        self.frozen[hand.worker_id] = hand

    # --- executions ---

    @precondition(lambda self: len(self.open_ended) < MANY)
    @rule(late=st.sampled_from([False, False, True]))
    def an_execution_is_created(self, late: bool) -> None:
        deliver = self.create()
        if late:
            self.deliveries.append(deliver)
        else:
            deliver()

    def create(self) -> Callable[[], None]:
        key, deliver = self.run(self.desk.begin_create())
        self.open_ended.add(key)
        return lambda: self.run(_call(deliver))

    @precondition(lambda self: self.deliveries)
    @rule()
    def what_was_created_is_delivered(self) -> None:
        self.deliveries.pop(0)()

    def told(self, hands: dict[str, Hand]) -> list[tuple[Hand, int]]:
        """Who was told of what."""
        return [(hands[name].read(), key) for name in sorted(hands) for key in sorted(hands[name].known)]

    @precondition(lambda self: self.told(self.hands))
    @rule(pick=picks)
    def an_execution_ends(self, pick: int) -> None:
        hand, key = _one(self.told(self.hands), pick)
        self.run(hand.end(key))
        self.open_ended.discard(key)

    @precondition(lambda self: self.told(self.hands))
    @rule(pick=picks, how=st.sampled_from(["due", "for its inbox", "later"]))
    def an_execution_is_parked(self, pick: int, how: str) -> None:
        release = Release(park=Park())
        if how in ("due", "later"):
            release.park.wake_time.FromMicroseconds(1 if how == "due" else 4_000_000_000_000_000)
        self.let_go(pick, release)

    @precondition(lambda self: self.told(self.hands))
    @rule(pick=picks)
    def an_execution_is_given_back(self, pick: int) -> None:
        self.let_go(pick, Release(drain=Drain()))

    def let_go(self, pick: int, release: Release) -> None:
        hand, key = _one(self.told(self.hands), pick)
        answer = self.run(hand.report(key, RUNNING, release=release))
        assert answer.refusal in (COMMITTED, BUSY)

    @precondition(lambda self: self.told(self.hands))
    @rule(pick=picks)
    def a_wave_is_reported(self, pick: int) -> None:
        hand, key = _one(self.told(self.hands), pick)
        event = node_event(f"n{hand.numbers[key]}", NodePhase.NODE_PHASE_QUEUED)
        assert self.run(hand.report(key, event)).refusal == COMMITTED

    @precondition(lambda self: self.open_ended)
    @rule(pick=picks)
    def an_execution_is_aborted(self, pick: int) -> None:
        key = ExecutionKey(_one(sorted(self.open_ended), pick))
        self.run(self.desk.abort(key))
        if self.run(self.desk.record(key)).phase == ExecutionPhase.EXECUTION_PHASE_ABORTED:
            self.open_ended.discard(key)

    @precondition(lambda self: self.told(self.frozen))
    @rule(pick=picks)
    def a_frozen_worker_reports(self, pick: int) -> None:
        hand, key = _one(self.told(self.frozen), pick)
        assert self.run(hand.report(key, RUNNING)).refusal == STALE

    # --- what must hold ---

    @invariant()
    def no_two_workers_hold_the_same_token_of_an_execution(self) -> None:
        told = [
            (key, token)
            for hands in (self.hands, self.memories, self.frozen)
            for hand in hands.values()
            for key, token in hand.known.items()
        ]
        assert len(told) == len(set(told))

    @rule(steps=st.integers(1, 4))
    def hints_gather_for_a_while(self, steps: int) -> None:
        self.noisy = steps

    @invariant()
    def what_happens_brings_its_own_hint(self) -> None:
        """Most steps meet a quiet control plane, so that no hint of another step makes up for theirs."""
        if self.noisy:
            self.noisy -= 1
        else:
            self.everything_is_worked_on()

    def everything_is_worked_on(self) -> None:
        """When all is quiet, what can be worked on is held by somebody who knows it, or nobody has room."""
        if self.deliveries:
            return
        delay = self.run(self.desk.work.earliest_wake())
        if delay is not None and not delay:
            self.desk.hints.notify_work()  # what the loop over the parked ones does
        self.run(self.desk.settle())
        for hand in self.hands.values():
            hand.read()
        roomy = [name for name, hand in self.hands.items() if hand.session.capacity > 0]
        claimable = self.run(self.desk.claimable())
        assert not (roomy and claimable), f"{claimable} wait although {roomy} have room"
        sessions = {hand.session.session_id: hand for hand in self.hands.values()}
        for key, session in self.run(self.desk.holders(*sessions)).items():
            assert key in sessions[session].known, f"{session} holds {key} and was not told"
        for hand in self.hands.values():
            told = {inbox.execution_key for inbox in hand.inboxes}
            told |= {key for key, pages in hand.pages.items() if pages[-1].inbox}
            for key in hand.known:
                aborting = self.run(self.desk.record(key)).phase == ExecutionPhase.EXECUTION_PHASE_ABORTING
                assert not aborting or key in told, f"nobody told {hand.worker_id} that {key} is aborted"


def _one(of: Sequence[T], pick: int) -> T:
    return of[pick % len(of)]


async def _call(deliver: Callable[[], None]) -> None:
    deliver()


def _machine(fresh: Callable[[Path], str]) -> type[WorkMachine]:
    return type("Machine", (WorkMachine,), {"fresh": staticmethod(fresh)})


SETTINGS = settings(
    deadline=None,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_nothing_is_left_unclaimed_or_untold_on_sqlite() -> None:
    run_state_machine_as_test(_machine(fresh_sqlite), settings=settings(SETTINGS, max_examples=80))


def test_nothing_is_left_unclaimed_or_untold_on_postgres() -> None:
    spare_the_disk()
    machine = _machine(lambda _: fresh_postgres())
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=8))


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_nothing_is_left_unclaimed_or_untold_at_length() -> None:
    deep = settings(SETTINGS, max_examples=1_000, stateful_step_count=60)
    run_state_machine_as_test(_machine(fresh_sqlite), settings=deep)
