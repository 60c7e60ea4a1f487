"""Dagster, as its guide sets up a local instance: SQLite below DAGSTER_HOME, jobs of ops.

    DAGSTER_HOME=DIRECTORY dagster_peer.py

Jobs run with the in-process executor, its fastest by far: the multiprocess one starts a process for each
op. A chain and a fan-out are jobs of so many ops; there is no concurrent scenario, since its way to run
jobs at once is a daemon that launches a process for each.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from conversation import Outcome, Stopwatch, converse
from dagster import (
    DagsterEventType,
    DagsterInstance,
    JobDefinition,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)


@op
def zero() -> int:
    return 0


@op
def add_one(x: int) -> int:
    return x + 1


@op
def total(xs: list[int]) -> int:
    return sum(xs)


def chain_of(name: str, length: int) -> JobDefinition:
    @job(name=name, executor_def=in_process_executor)
    def made() -> None:
        x = zero()
        for _ in range(length - 1):
            x = add_one(x)

    return made


def chain_100() -> JobDefinition:
    return chain_of("chain_100", 100)


def chain_3() -> JobDefinition:
    return chain_of("chain_3", 3)


def fan_1000() -> JobDefinition:
    @job(executor_def=in_process_executor)
    def fan() -> None:
        x = zero()
        total([add_one.alias(f"add_one_{number}")(x) for number in range(1000)])

    return fan


class Bench:
    """The scenarios against one instance."""

    def __init__(self) -> None:
        self._instance = DagsterInstance.get()

    def _execute(self, made: object, node: str) -> tuple[int, str]:
        """The output of one op, and the run's id."""
        with execute_job(reconstructable(made), instance=self._instance) as result:
            assert result.success
            return int(result.output_for_node(node)), str(result.run_id)

    def _recorded(self, runs: Sequence[str]) -> int:
        """Steps that succeeded, in the event log."""
        kinds = {DagsterEventType.STEP_SUCCESS}
        return sum(len(self._instance.all_logs(run, of_type=kinds)) for run in runs)

    def chain(self, length: int) -> Outcome:
        assert length == 100
        with Stopwatch() as watch:
            result, run = self._execute(chain_100, "add_one_99")
        return Outcome(watch.wall, result + 1, self._recorded([run]))

    def fan(self, width: int) -> Outcome:
        assert width == 1000
        with Stopwatch() as watch:
            result, run = self._execute(fan_1000, "total")
        assert result == width, result
        return Outcome(watch.wall, result, self._recorded([run]) - 2)  # without the first and the last op

    def sequence(self, runs: int) -> Outcome:
        with Stopwatch() as watch:
            answers = [self._execute(chain_3, "add_one_2") for _ in range(runs)]
        results = sum(result + 1 for result, _ in answers)
        return Outcome(watch.wall, results, self._recorded([run for _, run in answers]))


def main() -> None:
    logging.getLogger("dagster").setLevel("ERROR")
    bench = Bench()
    facts = {
        "durability": "SQLite, synchronous=FULL; a file of events for each run",
        "isolation": "inside the caller's process",
    }
    converse(facts, {"chain": bench.chain, "fan": bench.fan, "sequence": bench.sequence})


if __name__ == "__main__":
    main()
