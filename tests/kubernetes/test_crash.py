"""Everything around running pods is killed, paused, cut, slowed and restarted at random moments.

Two control planes on a PostgreSQL server of their own, two workers that launch pods on a real cluster, and
values in an S3 server behind a proxy. In the end every execution has the results of a run that nobody
disturbed, each attempt that was lost is explained, and no pod, process or file is left. The seed is shown;
`VOLERY_TEST_SEED` repeats a run's choices, `VOLERY_TEST_DISTURBANCES` says how many there are.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.conftest import stop_and_look
from support.caller import Caller
from support.cluster.between import Request
from support.cluster.cluster import Cluster
from support.deploying.rights import WorkerRights
from support.fleet import calling_all
from support.judge import judge_starts
from support.outages import Server
from support.pod_fleet import Ground, ground
from voleryidl.core.v1.failure_pb2 import Failure

DISTURBANCES = int(os.environ.get("VOLERY_TEST_DISTURBANCES", "13"))
KINDS = {"short": 1, "shaky": 0, "wide": 5}
EXPECTED = {"ValueError", "StartError"}
"""`flaky_add_one` fails by the one, whatever a kubelet begins to start as it is killed by the other."""

WORKERS = {
    # One sends values, verdicts and errors through the object store, the other within the pods themselves.
    "storing": {"VOLERY_POD_VERDICT_LIMIT": "0", "VOLERY_POD_INLINE_INPUTS": "0"},
    "inline": {},
}


@pytest.fixture
def chance() -> random.Random:
    """Random choices that `VOLERY_TEST_SEED` repeats; a failed test shows its seed."""
    seed = int(os.environ.get("VOLERY_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"VOLERY_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def database() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


class Disturber:
    """What may happen to a fleet of pods; each leaves everything running, or about to."""

    def __init__(self, ground: Ground, database: Server, chance: random.Random) -> None:
        self.ground = ground
        self.fleet = ground.fleet
        self.cluster = ground.cluster
        self.between = ground.between
        self.database = database
        self.chance = chance

    def a_worker_is_killed(self) -> None:
        name = self.chance.choice(sorted(WORKERS))
        self.fleet.kill_named(name)
        self._a_while(0.0, 3.0)
        self.fleet.start_named(name)

    def both_workers_are_killed(self) -> None:
        for name in WORKERS:
            self.fleet.kill_named(name)
        for name in WORKERS:
            self.fleet.start_named(name)

    def a_control_plane_is_killed(self) -> None:
        number = self.chance.randrange(self.fleet.size)
        self.fleet.kill_replica(number)
        self._a_while(0.0, 3.0)
        self.fleet.start_replica(number)

    def all_control_planes_are_killed(self) -> None:
        for number in range(self.fleet.size):
            self.fleet.kill_replica(number)
        for number in range(self.fleet.size):
            self.fleet.start_replica(number)

    def the_api_server_is_restarted(self) -> None:
        self.cluster.control.kill("kube-apiserver")
        self._a_while(0.0, 1.0)
        self.cluster.start_component("kube-apiserver")
        self.cluster.wait_for_api()

    def etcd_is_paused(self) -> None:
        self.cluster.control.pause("etcd")
        try:
            self._a_while(1.0, 5.0)
        finally:
            self.cluster.control.resume("etcd")

    def the_kubelet_is_restarted(self) -> None:
        self.cluster.control.kill("kubelet")
        self._a_while(0.0, 2.0)
        self.cluster.start_component("kubelet")
        self.cluster.wait_for_node()

    def watches_are_cut(self) -> None:
        for _ in range(3):
            self.between.cut()
            self._a_while(0.0, 0.5)

    def the_way_to_the_api_server_is_silent(self) -> None:
        self.between.hold()
        try:
            self._a_while(1.0, 6.0)
        finally:
            self.between.release()

    def answers_of_the_api_server_are_lost(self) -> None:
        def writes(request: Request) -> bool:
            return request.method in ("POST", "DELETE", "PATCH")

        self.between.lose_answers(writes, times=self.chance.randint(2, 6))
        self.between.refuse(500, writes, times=self.chance.randint(1, 3))

    def the_object_store_is_slow(self) -> None:
        self.ground.store.delay = self.chance.uniform(0.3, 1.5)
        self._a_while(2.0, 5.0)
        self.ground.store.delay = 0.0

    def the_object_store_refuses_and_breaks_off(self) -> None:
        dice = random.Random(self.chance.random())
        self.ground.store.fail = lambda method, path: dice.random() < 0.4
        self.ground.store.cut = lambda method, path: dice.random() < 0.2
        self._a_while(2.0, 5.0)
        self.ground.store.fail = self.ground.store.cut = lambda method, path: False

    def the_database_is_restarted(self) -> None:
        self.database.stop(self.chance.choice(("immediate", "fast")))
        self._a_while(0.0, 3.0)
        self.database.start()

    def _a_while(self, least: float, most: float) -> None:
        time.sleep(self.chance.uniform(least, most))  # how long it lasts is what is tested

    @classmethod
    def kinds(cls) -> list[str]:
        return [name for name in vars(cls) if not name.startswith("_") and name != "kinds"]


def schedule(chance: random.Random, count: int) -> list[str]:
    """Each kind as often as the others, in any order."""
    made: list[str] = []
    while len(made) < count:
        some = Disturber.kinds()
        chance.shuffle(some)
        made += some
    return made[:count]


@pytest.mark.timeout(120 + 60 * DISTURBANCES)
def test_whatever_breaks_around_pods_changes_no_result_and_leaves_none(
    own_cluster: Cluster,
    own_rights: WorkerRights,
    database: Server,
    tmp_path: Path,
    chance: random.Random,
) -> None:
    url = database.url(database.new_database())
    with ground(
        own_cluster, own_rights, tmp_path / "p", url, lease_seconds=5.0, slots=12, settings=WORKERS
    ) as stands:
        fleet = stands.fleet
        fleet.start()
        fleet.wait_until_ready()
        disturber = Disturber(stands, database, chance)
        done: Counter[str] = Counter()
        with calling_all(fleet) as callers:
            for name, given in KINDS.items():
                callers[0].create(name, given)
            for number, kind in enumerate(schedule(chance, DISTURBANCES)):
                name = list(KINDS)[number % len(KINDS)]
                callers[number % 2].create(name, KINDS[name])
                time.sleep(chance.uniform(0.5, 3.0))  # the random moment is what is tested
                with timed(kind):
                    getattr(disturber, kind)()
                done[kind] += 1
                if chance.random() < 0.7:  # else the next one hits while it starts
                    fleet.wait_until_ready()
            fleet.wait_until_ready()
            print(dict(done))
            judge(stands, callers)
        stands.until(lambda pods: not pods, "without pods")
        stop_and_look(fleet)


@contextmanager
def timed(what: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begin:.1f} s", flush=True)


def judge(stands: Ground, callers: list[Caller]) -> None:
    """Judges all executions, and what became of attempts that were tried again."""
    failures: Counter[str] = Counter()
    unexpected: list[Failure] = []
    attempts = {}
    for caller in callers:
        for run in caller.runs:
            record = caller.check(run)
            failures.update(record.failures)
            unexpected += [reason for reason in record.reasons if reason.code not in EXPECTED]
            attempts[run.id.name] = record.attempts
        assert not {said for said in caller.refusals if said.reason == "INTERNAL"}
    begun = judge_starts(stands.fleet.starts, attempts)
    print(f"{len(attempts)} executions, {begun} starts, tried again after {dict(failures)}")
    # Once begun, pods outlive all that was broken, and what they could not do at once they have tried again.
    assert not unexpected, "\n".join(map(str, unexpected))
