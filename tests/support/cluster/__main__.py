"""A cluster by hand: `python -m support.cluster up`, until it is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time

from support.cluster import ground, programs
from support.cluster.cluster import Cluster


def main() -> int:
    parser = argparse.ArgumentParser(prog="support.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("obtain", help="only download and build what a cluster needs")
    up = commands.add_parser("up", help="bring one up and hold it until an interrupt")
    up.add_argument("--images", nargs="*", default=[], choices=["python", "task", "platform"])
    commands.add_parser("clean", help="remove what killed clusters left")
    arguments = parser.parse_args()
    lacks = programs.missing()
    if lacks:
        print(f"no cluster here; this machine lacks {'; '.join(lacks)}", file=sys.stderr)
        return 1
    if arguments.command == "obtain":
        print(programs.obtain().kubernetes)
    elif arguments.command == "clean":
        print(f"cleaned {[cleaned.name for cleaned in ground.clean_leftovers()]}")
    else:
        _up(arguments.images)
    return 0


def _up(images: list[str]) -> None:
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), Cluster.start() as cluster:
        for name in images:
            getattr(cluster.images, name)()
        print(f"# up after {time.monotonic() - begun:.1f} s; interrupt to take it down")
        print(f"export KUBECONFIG={cluster.kubeconfig}")
        for name, value in cluster.variables().items():
            print(f"export {name}={value}")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
