from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.virtual_time import VirtualLoop
from volery_controlplane.domain.errors import Overloaded
from volery_controlplane.grpc.admission import Admission, AdmissionLimits, Gate, Lane, Seats, lane_of
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest

SHORT = timedelta(seconds=20)


class Visitors:
    """Calls before a gate, each of which stays until it is told to go."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.inside: list[str] = []
        self.refused: list[str] = []
        self.refusals: list[Overloaded] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, caller: str) -> None:
        async def enter() -> None:
            try:
                await self.gate.enter(caller)
            except Overloaded as refusal:
                self.refused.append(caller)
                self.refusals.append(refusal)
            else:
                self.inside.append(caller)

        self.tasks.append(asyncio.create_task(enter()))
        await settle()

    async def go(self) -> None:
        self.gate.leave(self.inside.pop(0))
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_caller_with_many_calls_does_not_delay_the_only_one_of_another() -> None:
    visitors = Visitors(Gate("calls_limit", 2, 2, 100, SHORT))
    for _ in range(20):
        await visitors.come("greedy")
    await visitors.come("modest")
    assert visitors.inside == ["greedy", "greedy"]
    await visitors.go()
    await visitors.go()
    assert "modest" in visitors.inside


async def test_a_caller_never_has_all_places() -> None:
    visitors = Visitors(Gate("calls_limit", 4, 3, 100, SHORT))
    for _ in range(10):
        await visitors.come("greedy")
    assert len(visitors.inside) == 3
    await visitors.come("modest")
    assert "modest" in visitors.inside


async def test_a_full_queue_drives_out_the_newest_of_the_longest_line() -> None:
    visitors = Visitors(Gate("calls_limit", 1, 1, 3, SHORT))
    for _ in range(4):
        await visitors.come("greedy")
    await visitors.come("modest")
    assert visitors.refused == ["greedy"]
    (refusal,) = visitors.refusals
    assert refusal.retry.delay > timedelta(0)
    assert refusal.metadata["limit_name"] == "calls_limit"
    await visitors.come("greedy")
    assert visitors.refused == ["greedy", "greedy"]  # the newcomer itself: its line is the longest
    await visitors.go()
    assert visitors.inside in (["greedy"], ["modest"])


def test_who_waits_too_long_is_refused_and_leaves_no_trace() -> None:
    async def scenario() -> None:
        visitors = Visitors(Gate("calls_limit", 1, 1, 3, SHORT))
        await visitors.come("one")
        await visitors.come("two")
        await asyncio.sleep(SHORT.total_seconds() + 1)
        assert visitors.refused == ["two"]
        await visitors.go()
        await visitors.come("three")
        assert visitors.inside == ["three"]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())


Step = st.tuples(st.sampled_from(["come", "go", "cancel"]), st.sampled_from("abc"))


@given(
    steps=st.lists(Step, max_size=60),
    limit=st.integers(1, 4),
    share=st.integers(1, 4),
    queue=st.integers(1, 6),
)
def test_places_are_never_exceeded_never_lost_and_never_idle(
    steps: list[tuple[str, str]], limit: int, share: int, queue: int
) -> None:
    share = min(share, limit)

    async def scenario() -> None:
        visitors = Visitors(Gate("calls_limit", limit, share, queue, SHORT))
        for deed, caller in steps:
            if deed == "come":
                await visitors.come(caller)
            elif deed == "go" and visitors.inside:
                await visitors.go()
            elif deed == "cancel":
                waiting = [task for task in visitors.tasks if not task.done()]
                if waiting:
                    waiting[-1].cancel()
                    await settle()
            inside = Counter(visitors.inside)
            assert len(visitors.inside) <= limit
            assert all(count <= share for count in inside.values())
            waiting = [task for task in visitors.tasks if not task.done()]
            assert len(waiting) <= queue
            if waiting:  # nobody waits while there is a place that it may have
                assert len(visitors.inside) == limit or max(inside.values(), default=0) == share
        while visitors.inside:
            await visitors.go()
        assert all(task.done() for task in visitors.tasks)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())


def test_seats_are_limited_in_all_and_for_each_caller() -> None:
    seats = Seats(3, 2)
    seats.take("greedy")
    seats.take("greedy")
    with pytest.raises(Overloaded) as refused:
        seats.take("greedy")
    assert refused.value.metadata == {"limit_name": "listeners_per_caller_limit", "limit": "2"}
    seats.take("modest")
    with pytest.raises(Overloaded) as refused:
        seats.take("third")
    assert refused.value.metadata["limit_name"] == "listeners_limit"
    seats.give("greedy")
    seats.take("third")


async def test_health_and_the_streams_of_workers_pass_when_all_places_are_taken() -> None:
    admission = Admission(AdmissionLimits(calls=1, calls_per_caller=1, queue=1, listeners=1))
    async with admission.place(Lane.CALLS, "a"), admission.place(Lane.LISTENERS, "a"):
        for method in ("/grpc.health.v1.Health/Check", "/voleryidl.worker.v1.WorkerService/Work"):
            async with admission.place(lane_of(method, None), "a"):
                pass
        with pytest.raises(Overloaded):
            async with admission.place(Lane.LISTENERS, "b"):
                pass


def test_an_execution_that_is_created_and_waited_for_listens() -> None:
    method = "/voleryidl.execution.v1.ExecutionService/CreateExecution"
    request = CreateExecutionRequest()
    assert lane_of(method, request) is Lane.CALLS
    request.wait_timeout.seconds = 1
    assert lane_of(method, request) is Lane.LISTENERS
