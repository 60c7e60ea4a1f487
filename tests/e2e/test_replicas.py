"""Several control planes as real processes on a real PostgreSQL: killed, restarted in turn, cut off.

Each has callers that create, wait and watch; workers and SDK clients know all of them and go where they are
served. In the end every execution has the results of a run that nobody disturbed.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from e2e.conftest import stop_and_look
from support.caller import OUTPUTS, Caller, Run
from support.databases import drop_postgres, fresh_postgres
from support.fleet import Fleet, calling_all
from support.judge import judge_starts
from support.outages import Server
from support.packages import DOMAIN, PROJECT
from volery import Remote

DISTURBANCES = int(os.environ.get("VOLERY_TEST_DISTURBANCES", "12"))


@pytest.fixture
def fleet_database() -> Iterator[str]:
    url = fresh_postgres()
    yield url
    drop_postgres(url)


@contextmanager
def started(fleet: Fleet) -> Iterator[Fleet]:
    fleet.start()
    fleet.wait_until_ready()
    try:
        yield fleet
    finally:
        fleet.kill_all()


class Followers:
    """SDK clients that know all control planes: each run is waited for by one and watched by another."""

    def __init__(self, fleet: Fleet) -> None:
        self._remotes = [
            Remote(fleet.targets, project=PROJECT, domain=DOMAIN, patience=120.0, first_patience=60.0)
            for _ in range(2)
        ]
        self._threads = ThreadPoolExecutor(64)
        self._found: list[Future[None]] = []

    def follow(self, run: Run) -> None:
        self._found.append(self._threads.submit(self._wait, run))
        self._found.append(self._threads.submit(self._watch, run))

    def _wait(self, run: Run) -> None:
        found = self._remotes[0].execution(run.id.name).wait(timeout=240)
        assert found.outputs_by_name == {"o0": OUTPUTS[run.workflow](run.given)}, run

    def _watch(self, run: Run) -> None:
        last = None
        for change in self._remotes[1].execution(run.id.name).watch():
            last = change.execution
        assert last is not None
        assert last.phase == "SUCCEEDED", run

    def check(self) -> int:
        """Every one of them has seen the end, and the right one."""
        for each in self._found:
            each.result(timeout=300)
        return len(self._found)

    def close(self) -> None:
        self._threads.shutdown()
        for remote in self._remotes:
            remote.close()


@contextmanager
def following(fleet: Fleet) -> Iterator[Followers]:
    followers = Followers(fleet)
    try:
        yield followers
    finally:
        followers.close()


def judge(fleet: Fleet, callers: list[Caller]) -> None:
    """Asks each control plane about its own executions, and one about those of all."""
    attempts = {}
    for caller in callers:
        for run in caller.runs:
            attempts[run.id.name] = caller.check(run).attempts
        print(dict(caller.refusals))
        assert not {said for said in caller.refusals if said.reason == "INTERNAL"}
    judge_starts(fleet.starts, attempts)


def test_one_of_two_is_killed_and_the_other_restarted_and_nothing_is_lost(
    tmp_path: Path, fleet_database: str
) -> None:
    with started(Fleet(tmp_path / "p", fleet_database, lease_seconds=15.0)) as fleet:
        with calling_all(fleet) as callers, following(fleet) as followers:
            for caller in callers:
                for kind, given in (("chain", 1), ("flaky", 0), ("wide", 20)):
                    followers.follow(caller.create(kind, given))
            callers[0].until_under_way(callers[0].runs[0])
            fleet.kill_replica(0)
            followers.follow(callers[1].create("chain", 5))
            callers[1].until_under_way(callers[1].runs[-1])
            fleet.start_replica(0)
            fleet.wait_until_ready()
            followers.follow(callers[0].create("chain", 6))
            fleet.stop_replica(1)
            followers.follow(callers[0].create("chain", 7))
            fleet.start_replica(1)
            fleet.wait_until_ready()
            assert followers.check() == 2 * sum(len(caller.runs) for caller in callers)
            judge(fleet, callers)
        stop_and_look(fleet)


@pytest.mark.crash
@pytest.mark.timeout(1800)
def test_replicas_are_killed_and_restarted_at_random_under_two_workers(
    tmp_path: Path, fleet_database: str, chance: random.Random
) -> None:
    done: Counter[str] = Counter()
    with started(Fleet(tmp_path / "p", fleet_database, size=3, lease_seconds=10.0)) as fleet:
        fleet.start_another_worker("second")
        fleet.wait_until_ready()
        with calling_all(fleet) as callers, following(fleet) as followers:
            with feeding_all(callers, chance):
                while done.total() < DISTURBANCES:
                    time.sleep(chance.uniform(0.1, 1.5))  # the random moment is what is tested
                    number = chance.randrange(fleet.size)
                    how = chance.choice(("killed", "restarted", "both others killed"))
                    done[how] += 1
                    victims = (
                        [other for other in range(fleet.size) if other != number]
                        if how == "both others killed"
                        else [number]
                    )
                    for victim in victims:
                        if how == "restarted":
                            fleet.stop_replica(victim)
                        else:
                            fleet.kill_replica(victim)
                    for victim in victims:
                        fleet.start_replica(victim)
                    if chance.random() < 0.7:  # else the next one hits while it starts
                        fleet.wait_until_ready()
                    for caller in callers:
                        followers.follow(chance.choice(caller.runs or [caller.create("chain", 1)]))
                fleet.wait_until_ready()
            print(dict(done), followers.check())
            judge(fleet, callers)
        stop_and_look(fleet)


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_a_rolling_restart_is_noticed_by_nobody(
    tmp_path: Path, fleet_database: str, chance: random.Random
) -> None:
    """No attempt is lost, no session ends: workers go from one to the next with all they hold."""
    with started(Fleet(tmp_path / "p", fleet_database, size=3, lease_seconds=30.0)) as fleet:
        fleet.start_another_worker("second")
        fleet.wait_until_ready()
        with calling_all(fleet) as callers, following(fleet) as followers:
            with feeding_all(callers, chance, kinds={"chain": 1, "wide": 30}):
                for _ in range(2):
                    for number in range(fleet.size):
                        for caller in callers:
                            followers.follow(caller.create("chain", 1))
                        fleet.stop_replica(number)
                        fleet.start_replica(number)
                        fleet.wait_until_ready()
            followers.check()
            for caller in callers:
                for run in caller.runs:
                    record = caller.check(run)
                    assert not record.failures, f"{run}: {record.failures}\n{fleet.logs()}"
            judge(fleet, callers)
        stop_and_look(fleet)


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_postgresql_is_restarted_under_two_replicas(tmp_path: Path, chance: random.Random) -> None:
    server = Server()
    try:
        fleet = Fleet(tmp_path / "p", server.url(server.new_database()), lease_seconds=5.0)
        with started(fleet), calling_all(fleet) as callers, following(fleet) as followers:
            with feeding_all(callers, chance):
                for _ in range(4):
                    for caller in callers:
                        followers.follow(caller.create("chain", 1))
                    time.sleep(chance.uniform(0.3, 1.5))  # the random moment is what is tested
                    server.stop(chance.choice(("immediate", "fast")))
                    time.sleep(chance.choice((0.0, 0.5, 3.0)))
                    server.start()
            followers.check()
            judge(fleet, callers)
            stop_and_look(fleet)
    finally:
        server.close()


@contextmanager
def feeding_all(
    callers: list[Caller], chance: random.Random, kinds: Mapping[str, int] | None = None
) -> Iterator[None]:
    """Keeps executions coming at every control plane."""
    with ExitStack() as stack:
        for caller in callers:
            stack.enter_context(caller.feeding(random.Random(chance.random()), pause=1.0, kinds=kinds))
        yield
