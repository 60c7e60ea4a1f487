"""Several control planes on one database, as real processes, and workers that may go to any of them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from support.caller import Caller
from support.planes import Planes, Stubs


@dataclass
class Fleet(Planes):
    """Control planes `0`, `1` and so on, each on a Unix socket of its own."""

    size: int = 2
    replicas: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.through = self.targets

    @property
    def everybody(self) -> list[subprocess.Popen[bytes]]:
        return [*super().everybody, *self.replicas.values()]

    @property
    def targets(self) -> str:
        """What clients and workers are told."""
        return ",".join(map(self.target_of, range(self.size)))

    def target_of(self, number: int) -> str:
        return f"unix://{self.directory / f'{number}.sock'}"

    def start_replica(self, number: int) -> None:
        self.replicas[number] = self._start_control_plane(f"replica-{number}", self.target_of(number))

    def start(self) -> None:
        for number in range(self.size):
            self.start_replica(number)
        self.start_worker()

    def kill_replica(self, number: int) -> None:
        """kill -9, waited for."""
        victim = self.replicas[number]
        victim.kill()
        victim.wait()
        self.forget(victim)

    def stop_replica(self, number: int) -> None:
        """SIGTERM, waited for: it ends by itself, and well. One that still starts ends at once."""
        leaver = self.replicas[number]
        may_start = leaver.pid in self._ready
        leaver.terminate()
        code = leaver.wait(timeout=120)
        assert code == 0 or (may_start and code in (128 + signal.SIGTERM, -signal.SIGTERM)), self.logs()
        self.forget(leaver)


@contextmanager
def calling_all(fleet: Fleet) -> Iterator[list[Caller]]:
    """A caller of each control plane, faithful to it, whose packages are registered."""
    with ExitStack() as stack:
        callers = [
            Caller(
                fleet,
                Stubs(stack.enter_context(fleet.channel(fleet.target_of(number)))),
                names=f"of{number}-",
            )
            for number in range(fleet.size)
        ]
        callers[0].register()
        yield callers
