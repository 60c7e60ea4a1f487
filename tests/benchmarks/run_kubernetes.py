"""Measures the launcher of pods on a real cluster of its own, against the official client in the same run.

A stand-in node takes the pods of what is measured at scale; one pod that does nothing is measured on a real
kubelet. Ratios are of turns taken one after the other.

    python tests/benchmarks/run_kubernetes.py [--only creates,ready,fan,memory,single] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import Figure, show, surroundings, write
from benchmarks.kubernetes_fan import fan, memory
from benchmarks.kubernetes_rates import rates
from benchmarks.kubernetes_ready import ready
from benchmarks.kubernetes_single import single
from support.cluster import programs
from support.cluster.cluster import Cluster

NAMES = ("creates", "ready", "fan", "memory", "single")


def measure(only: list[str], quick: bool) -> list[Figure]:
    """Measures and prints."""
    figures: list[Figure] = []

    def table(title: str, lines: list[Figure]) -> None:
        show(title, lines)
        figures.extend(lines)

    width = 200 if quick else 2_000
    with Cluster.start() as cluster:
        if "single" in only:
            table("one pod that does nothing", single(cluster, 3 if quick else 20))
        with cluster.stand_in() as stand_in:
            if "creates" in only:
                made = rates(cluster, stand_in, 100 if quick else 300, 2 if quick else 4)
                table("creating pods, 32 at a time", made)
            if "fan" in only:
                table("a wide map", fan(cluster, stand_in, width, 1 if quick else 2))
            if "memory" in only:
                table("memory", memory(cluster, stand_in, width))
            if "ready" in only:  # last, since the cluster yields the processor from then on
                table("a node that may start", ready(cluster, stand_in, 300 if quick else 1_000))
    return figures


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(NAMES), help=f"some of {','.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer turns and fewer pods")
    parser.add_argument("--json", type=Path, help="keep all figures in this file")
    given = parser.parse_args()
    only = [name for name in given.only.split(",") if name]
    if unknown := [name for name in only if name not in NAMES]:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if lacks := programs.missing():
        print(
            f"no cluster here, so nothing is measured; this machine lacks {'; '.join(lacks)}", file=sys.stderr
        )
        return 1
    around = surroundings()
    print(f"load {around['load']:.1f}, {around['cores']} cores, Python {around['python']}")
    figures = measure(only, given.quick)
    if given.json:
        write(given.json, around, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
