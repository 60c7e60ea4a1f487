"""What pruning costs those who commit meanwhile: chains beside a backlog of thousands of executions to prune.

    python tests/benchmarks/pruning.py [--backlog 3000] [--database postgresql://…]

The same chain runs many times on the same installation, first with pruning off, then while the backlog is
pruned, then off again; the ratio of the medians is what pruning adds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak.run import environment
from support.packages import DOMAIN, PROJECT, chain, fan_out, identifier, integers, package
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest, ListExecutionsRequest

LENGTH = 50
OFF = {"VOLERY_PRUNE": "false", "VOLERY_KEEP_EXECUTIONS": "0"}
ON = {"VOLERY_PRUNE": "true", "VOLERY_KEEP_EXECUTIONS": "0", "VOLERY_PRUNE_INTERVAL": "0.1"}


def execute(stubs: Stubs, name: str, **inputs: int) -> float:
    request = CreateExecutionRequest(
        project=PROJECT,
        domain=DOMAIN,
        target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, name),
        inputs=integers(**inputs),
    )
    request.wait_timeout.FromSeconds(120)
    begun = time.perf_counter()
    answer = stubs.executions.CreateExecution(request, timeout=150, wait_for_ready=True)
    took = time.perf_counter() - begun
    assert answer.outputs.literals, answer
    return took


def chains(planes: Planes, settings: dict[str, str], least: int) -> tuple[list[float], int]:
    """Times of chains under settings, as long as there is a backlog, and how much of it is left."""
    with environment(settings):
        planes.start()
    with planes.channel() as channel:
        stubs = Stubs(channel)
        for _ in range(3):
            execute(stubs, "pruning_chain", x=1)
        times = [execute(stubs, "pruning_chain", x=1) for _ in range(least)]
        page = ListExecutionsRequest(project=PROJECT, domain=DOMAIN, page_size=1000)
        left = len(stubs.executions.ListExecutions(page, timeout=60).executions)
    planes.stop()
    return times, left


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backlog", type=int, default=3000)
    parser.add_argument("--chains", type=int, default=40)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volery-pruning-") as name:
        planes = Planes(Path(name), database=given.database, slots=2)
        with environment(OFF):
            planes.start()
        with planes.channel() as channel:
            stubs = Stubs(channel)
            request = package([chain("pruning_chain", LENGTH), fan_out("pruning_map")])
            stubs.registry.Register(request, timeout=60, wait_for_ready=True)
            with ThreadPoolExecutor(16) as pool:
                for each in [pool.submit(execute, stubs, "pruning_map", n=20) for _ in range(given.backlog)]:
                    each.result()
        planes.stop()
        before, _ = chains(planes, OFF, given.chains)
        during, left = chains(planes, ON, given.chains)
        after, _ = chains(planes, OFF, given.chains)
    print(f"{given.backlog} executions of 23 nodes to prune; load {os.getloadavg()[0]:.1f}")
    for label, times in (("off", before), ("pruning", during), ("off again", after)):
        middle, worst = statistics.median(times), sorted(times)[int(len(times) * 0.95)]
        shown = f"{middle / LENGTH * 1e3:6.2f} ms a node at the median, {worst / LENGTH * 1e3:6.2f} at p95"
        print(f"{label:10} {shown}")
    quiet = statistics.median([*before, *after])
    more = 100 * (statistics.median(during) / quiet - 1)
    print(f"pruning adds {more:.0f} %; {left} executions left in the first page")


if __name__ == "__main__":
    main()
