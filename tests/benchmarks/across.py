"""Measures what it costs that a caller is at another control plane than the worker.

Two control planes serve one PostgreSQL, the worker streams to the first. Executions of three tasks are run in
three ways in turn, in one run, so that whatever else the machine does hits all of them: created and waited
for at the first; created there and waited for at the second, so that the hint of the end crosses; created and
waited for at the second, so that the hint of new work crosses too, and it is claimed rather than placed.

    python tests/benchmarks/across.py [--rounds 200]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.engine import PATIENCE, Bench, scratch
from benchmarks.figures import surroundings
from google.protobuf.duration_pb2 import Duration
from support.databases import fresh_postgres
from support.fleet import Fleet
from support.packages import DOMAIN, PROJECT, identifier, integers
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest, WaitExecutionRequest

WAYS = ("all at the worker's", "waited for elsewhere", "all elsewhere")


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of runs, by way."""
    with scratch() as directory:
        fleet = Fleet(Path(directory), fresh_postgres())
        fleet.through = fleet.target_of(0)
        try:
            fleet.start()
            fleet.wait_until_ready()
            found: dict[str, list[float]] = {way: [] for way in WAYS}
            with fleet.channel(fleet.target_of(0)) as one, fleet.channel(fleet.target_of(1)) as two:
                near, far = Bench(one), Bench(two)
                near.register()
                pairs = ((near, near), (near, far), (far, far))
                runs = {way: partial(run, *pair) for way, pair in zip(WAYS, pairs, strict=True)}
                for number in range(rounds + 10):
                    for way in WAYS if number % 2 else reversed(WAYS):
                        begin = time.perf_counter()
                        runs[way]()
                        found[way].append((time.perf_counter() - begin) * 1e3)
            return {way: times[10:] for way, times in found.items()}  # the first ones warm everything up
        finally:
            fleet.stop()


def run(creator: Bench, waiter: Bench) -> None:
    """Creates an execution at one control plane and waits for it at another."""
    request = CreateExecutionRequest(
        project=PROJECT,
        domain=DOMAIN,
        target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "bench_3"),
        inputs=integers(x=1),
    )
    made = creator.stubs.executions.CreateExecution(request, timeout=PATIENCE).execution
    waiting = WaitExecutionRequest(id=made.id, timeout=Duration(seconds=600))
    answer = waiter.stubs.executions.WaitExecution(waiting, timeout=PATIENCE)
    assert answer.outputs.literals["o0"].integer_value == 4, answer


def main() -> None:
    """Prints the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    found = measure(parser.parse_args().rounds)
    print(surroundings())
    base = found[WAYS[0]]
    for way, times in found.items():
        hundredths = statistics.quantiles(times, n=100)
        ratio = statistics.median([time / least for least, time in zip(base, times, strict=True)])
        more = statistics.median([time - least for least, time in zip(base, times, strict=True)])
        print(
            f"{way}: p50 {hundredths[49]:.2f} ms, p90 {hundredths[89]:.2f} ms,"
            f" median of {len(times)} ratios {ratio:.2f}, {more:.2f} ms more"
        )


if __name__ == "__main__":
    main()
