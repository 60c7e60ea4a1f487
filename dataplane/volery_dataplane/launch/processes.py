"""The processes of a launcher: wardens, slots, and how processes come and go.

A slot is a process that takes attempts. One that is to leave keeps its slot while it still runs what it
has begun. Wardens stay ready when their last process has gone, up to a number of them and for a time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from voleryidl.core.v1.failure_pb2 import Failure

from volery_dataplane.launch import outcomes
from volery_dataplane.launch.attempts import Attempt, Pool
from volery_dataplane.launch.frames import Result
from volery_dataplane.launch.hosting import host_settings
from volery_dataplane.launch.plans import Kind
from volery_dataplane.launch.secrets import Secrets, SecretUnavailable
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.launch.task_process import ProcessEvents, TaskProcess
from volery_dataplane.launch.warden import Warden, WardenEvents

_ENDING = 0.25  # seconds from the end of its channel to the end of a process that is ending


class CannotStart(Exception):
    """The interpreter of task processes cannot be run, or what it needs is gone."""


@dataclass(frozen=True, slots=True)
class ProcessesEvents:
    """What comes of processes.

    Attributes:
        begun: a process begins, and with it the attempt it was sent.
        result: an attempt ended in a process.
        told: after the results that came together.
        taken_back: attempts that were sent ahead to a process of the pool and did not begin there.
        room: a slot is free.
        noted: something about a process that people should read.
        gone: a process has ended, with what becomes of the attempt it ran, and whether the
            infrastructure is to blame for that.
        due: when `look_at` has something to do.
    """

    begun: Callable[[TaskProcess], None]
    result: Callable[[TaskProcess, Result], None]
    told: Callable[[TaskProcess], None]
    taken_back: Callable[[Pool, list[Attempt]], None]
    room: Callable[[], None]
    noted: Callable[[TaskProcess, str], None]
    gone: Callable[[TaskProcess, Failure, bool], None]
    due: Callable[[float], None]


class Processes:
    """All task processes of a launcher."""

    def __init__(
        self, settings: ProcessSettings, loop: asyncio.AbstractEventLoop, events: ProcessesEvents
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._events = events
        self._of_process = ProcessEvents(events.result, events.told, self._on_closed)
        self._of_warden = WardenEvents(
            self._on_begun, self._on_started, self._on_ended, self._on_refused, self._on_lost
        )
        self._secrets = Secrets(settings.secrets)
        self._numbers = 0
        self._by_number: dict[int, TaskProcess] = {}
        self._taking = 0
        self._wardens: dict[Kind, Warden] = {}  # the least recently used one first
        self._leaving: dict[Warden, Kind] = {}
        self._memory_kills = _memory_kills()
        self.started = {"fork": 0, "spawn": 0}

    def all(self) -> list[TaskProcess]:
        """Those that have not ended."""
        return list(self._by_number.values())

    def __bool__(self) -> bool:
        return bool(self._by_number)

    def bundles(self) -> frozenset[str]:
        """The bundles of all processes and of those that fork them."""
        running = {process.pool.key.kind for process in self.all()}
        return frozenset(kind.bundle for kind in {*running, *self._wardens, *self._leaving.values()})

    def has_slot(self) -> bool:
        """Whether another process may be started."""
        return self._taking < self._settings.slots

    def begin(self, pool: Pool, module: str) -> TaskProcess:
        """Starts a process; attempts may be sent to it at once.

        Raises:
            CannotStart: when the interpreter cannot be run.
        """
        warden = self._warden(pool.key.kind)
        self._numbers += 1
        process = TaskProcess(self._numbers, pool, warden, self._loop, self._of_process)
        process.begin(module, self._settings.fork, host_settings(self._numbers, pool, self._settings))
        warden.idle_since = 0.0
        self._by_number[self._numbers] = process
        self._taking += 1
        pool.processes.add(process)
        return process

    def evict(self, idle: Iterable[TaskProcess]) -> None:
        """Lets the one leave that has been idle for longest, if there is one."""
        oldest = min(idle, key=lambda process: process.idle_since, default=None)
        if oldest is not None:
            self.retire(oldest)

    def retire(self, process: TaskProcess) -> None:
        """Lets a process leave once what it has begun is over."""
        if process.stopping:
            return
        process.stopping = True
        self.take_back(process)
        if process in process.pool.idle:
            process.pool.idle.remove(process)
        process.leave()
        if not process.pipe:
            self.let_leave(process)

    def let_leave(self, process: TaskProcess) -> None:
        """Nothing more is waited for from a process that is to leave."""
        self._free_slot(process)
        if not process.kill_at:
            process.kill_at = self._loop.time() + self._settings.kill_grace
            self._events.due(process.kill_at)
        self._events.room()

    def end(self, process: TaskProcess) -> None:
        """Asks a process to end what it runs, and kills it a little later."""
        self.retire(process)
        process.signal(signal.SIGTERM)
        process.kill_at = self._loop.time() + self._settings.kill_grace
        self._events.due(process.kill_at)

    def kill_overdue(self, process: TaskProcess, now: float) -> float:
        """Kills a process whose grace is over; says when to look again, 0 for never."""
        if process.kill_at and now >= process.kill_at:
            process.cut_off = not process.stopping
            process.signal(signal.SIGKILL)
            process.kill_at = now + self._settings.kill_grace
        return process.kill_at

    def dismiss_idle(self, now: float) -> float:
        """Lets wardens go that had nothing to do for long; says when to look again."""
        due = float("inf")
        for kind, warden in list(self._wardens.items()):
            until = warden.idle_since + self._settings.warden_idle_time
            if warden.idle_since and now >= until:
                self._dismiss(kind)
            elif warden.idle_since:
                due = min(due, until)
        return due

    async def close(self) -> None:
        """Kills everything that is left, and waits until it is gone."""
        for kind in list(self._wardens):
            self._dismiss(kind)
        await asyncio.gather(*[warden.gone for warden in self._leaving])

    def take_back(self, process: TaskProcess) -> None:
        """Takes back what a process was sent ahead and has not begun."""
        self._events.taken_back(process.pool, process.take_back())

    def _free_slot(self, process: TaskProcess) -> None:
        if process in process.pool.processes:
            process.pool.processes.remove(process)
            self._taking -= 1

    def _warden(self, kind: Kind) -> Warden:
        warden = self._wardens.pop(kind, None)
        if warden is None:
            self._drop_wardens(self._settings.wardens - 1)
            try:
                environment = {**dict(kind.environment), **self._secrets.values(kind.secrets)}
                warden = Warden(self._settings.interpreter, environment, self._of_warden, self._loop)
            except SecretUnavailable as error:
                raise CannotStart(str(error)) from error
            except OSError as error:
                raise CannotStart(f"cannot run {self._settings.interpreter}: {error}") from error
        self._wardens[kind] = warden
        return warden

    def _drop_wardens(self, most: int) -> None:
        """Closes the least recently used ones that are not at work; slots bound the number of the others."""
        used = {process.pool.key.kind for process in self._by_number.values()}
        for kind in [kind for kind in self._wardens if kind not in used]:
            if len(self._wardens) <= most:
                return
            self._dismiss(kind)

    def _dismiss(self, kind: Kind) -> None:
        warden = self._wardens.pop(kind)
        warden.close()
        self._leaving[warden] = kind

    def _on_closed(self, process: TaskProcess) -> None:
        """A process closed its channel: it is ending, or a task has closed what is not its own.

        In the second case nothing will end it but us, so it gets a moment to tell which it is.
        """
        if not process.stopping:
            process.kill_at = self._loop.time() + _ENDING
            self._events.due(process.kill_at)

    def _on_begun(self, number: int) -> None:
        process = self._by_number.get(number)
        if process is not None:
            process.begun = True
            self._events.begun(process)

    def _on_started(self, number: int, reason: str) -> None:
        self.started["spawn" if reason else "fork"] += 1
        process = self._by_number.get(number)
        if process is not None and reason:
            self._events.noted(process, f"the process was started afresh, not forked: {reason}")

    def _on_refused(self, number: int, error: str) -> None:
        self._bury(number, outcomes.process_lost(f"cannot start a process: {error}"), infrastructure=True)

    def _on_ended(self, number: int, status: int) -> None:
        kills = _memory_kills()
        failure, infrastructure = outcomes.process_ended(status, out_of_memory=kills > self._memory_kills)
        self._memory_kills = kills
        process = self._by_number.get(number)
        if process is not None and process.cut_off:
            failure, infrastructure = outcomes.channel_closed(), False
        self._bury(number, failure, infrastructure=infrastructure)

    def _on_lost(self, warden: Warden) -> None:
        """A warden is gone, and its processes with it."""
        self._leaving.pop(warden, None)
        for kind, other in list(self._wardens.items()):
            if other is warden:
                del self._wardens[kind]
        for process in self.all():
            if process.warden is warden:
                failure = outcomes.process_lost("the parent of the task's process was killed")
                self._bury(process.number, failure, infrastructure=True)

    def _bury(self, number: int, failure: Failure, *, infrastructure: bool) -> None:
        process = self._by_number.get(number)
        if process is None:
            return
        process.drain()
        process.stopping = True
        if process in process.pool.idle:
            process.pool.idle.remove(process)
        self._free_slot(process)
        del self._by_number[number]
        self._events.taken_back(process.pool, process.take_back(dead=True))
        process.close()
        self._events.gone(process, failure, infrastructure)
        warden = process.warden
        if not any(other.warden is warden for other in self._by_number.values()):
            warden.idle_since = self._loop.time()
            self._events.due(warden.idle_since + self._settings.warden_idle_time)
        self._events.room()


def _memory_kills() -> int:
    """How often the kernel has killed a process for want of memory; 0 where it does not say."""
    try:
        with open("/proc/vmstat") as counts:
            return next((int(line.split()[1]) for line in counts if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0
