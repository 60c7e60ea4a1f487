"""The process that holds a cluster and outlives the tests by as much as cleaning up takes.

It claims a number, makes cgroups, starts `init` in namespaces of its own and links its network to the host.
Then it waits until its standard input ends (the tests have ended, were interrupted or killed) or `init` has,
and removes all that is left. Killed itself, it takes `init` with it, and the next claim cleans up.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.cluster import cgroups, ground

PR_SET_PDEATHSIG = 1
NAMESPACES = ("--mount", "--cgroup", "--net", "--pid", "--ipc", "--uts")


def main() -> int:
    # Whoever interrupts the tests at a terminal interrupts this process too; it ends with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    ours, lock = ground.claim()
    process: subprocess.Popen[bytes] | None = None
    try:
        cgroups.delegate(ours.state / "delegated")
        directories = cgroups.make(ours.name)
        process = _start(ours, directories)
        told = {"number": ours.number, "keeper": os.getpid(), "init": _first(process.pid)}
        cgroups.free_root(directories, [process.pid, told["init"]])
        _link(ours, told["init"])
        assert process.stdin is not None
        process.stdin.write(b"linked\n")
        process.stdin.flush()
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the node's first process did not come up, see {ours.state}/log/init.log")
        print(json.dumps(told), flush=True)
        _wait(process)
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            if process is not None:
                process.kill()
                process.wait()
            ground.clean(ours)
            shutil.rmtree(ours.state)
            os.close(lock)
    return 0


def _start(ours: ground.Ground, directories: list[Path]) -> subprocess.Popen[bytes]:
    (ours.state / "log").mkdir()
    with (ours.state / "log" / "init.log").open("ab") as log:
        return subprocess.Popen(
            # Killing this process kills the first one inside, and that is all the others.
            [
                *("unshare", *NAMESPACES, "--fork", "--kill-child=SIGKILL", "--mount-proc"),
                *(sys.executable, "-m", "support.cluster.init", str(ours.number)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=_inside(directories),
        )


def _inside(directories: list[Path]) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def enter() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        cgroups.enter(directories)

    return enter


def _first(unshare: int) -> int:
    """The process that `unshare` has started, as the host counts."""
    children = Path(f"/proc/{unshare}/task/{unshare}/children")
    while True:
        found = children.read_text().split()
        if found:
            return int(found[0])
        os.sched_yield()


def _link(ours: ground.Ground, init: int) -> None:
    for command in (
        f"link add {ours.link} type veth peer name eth0 netns {init}",
        f"address add {ours.host_address}/30 dev {ours.link}",
        f"link set {ours.link} up",
        f"route add {ours.pods} via {ours.node_address}",
        f"route add {ours.services} via {ours.node_address}",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def _wait(process: subprocess.Popen[bytes]) -> None:
    ended = os.pidfd_open(process.pid)
    try:
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), ended], [], [])
            if ended in ready or not os.read(sys.stdin.fileno(), 4096):
                return
    finally:
        os.close(ended)


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
