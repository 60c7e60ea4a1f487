"""The process launcher: runs attempts in isolated local processes that are used again.

`dispatch` gives attempts to processes, `processes` lets those come and go; here is what they tell turned into
observations. What a turn of the loop brings is reported together at its end. Everything is driven by events;
a single timer serves what depends on time: announcing attempts that last, their output, limits, idleness.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from volery_telemetry.measures import Distribution
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, Failure
from voleryidl.worker.v1.worker_service_pb2 import Welcome

from volery_dataplane.domain.runs import Launched
from volery_dataplane.launch import outcomes
from volery_dataplane.launch.attempts import Attempt, Ending
from volery_dataplane.launch.bundles import FetchBundle
from volery_dataplane.launch.dispatch import Dispatch, DispatchEvents
from volery_dataplane.launch.frames import REPLACEMENTS, Result
from volery_dataplane.launch.plans import NotRunnable, Plans
from volery_dataplane.launch.processes import Processes, ProcessesEvents
from volery_dataplane.launch.queue_limits import QueueLimits
from volery_dataplane.launch.secrets import SecretUnavailable
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.launch.spool import Spools
from volery_dataplane.launch.task_process import TaskProcess
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    LauncherEvents,
    Load,
    LogPiece,
    Observation,
    Started,
    Succeeded,
)

_NEVER = float("inf")
_GRANULE = 0.01  # how soon after a start the timer looks at an attempt for the first time
_LOOKAHEAD = 0.01  # seconds of work that short tasks may have in store per slot
_DEEPEST = 64  # but no more than so many of them


class ProcessLauncher:
    """A launcher of local processes."""

    def __init__(self, settings: ProcessSettings, events: LauncherEvents, fetch_bundle: FetchBundle) -> None:
        self._settings = settings
        self._events = events
        directory = settings.directory
        self._fetch_bundle = fetch_bundle
        self._spools = Spools(
            directory / "spool", settings.inline_output, settings.output_cap, settings.tail_bytes
        )
        self._plans = Plans(settings)
        self._attempts: dict[AttemptKey, Attempt] = {}
        self._observed: list[Observation] = []
        self._pieces: list[LogPiece] = []
        self._turning = False
        self._queue_limits = QueueLimits(self._attempts)
        self._timer: asyncio.TimerHandle | None = None
        self._due = _NEVER
        self._cleaning: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._quiet: asyncio.Event | None = None
        self._pace = settings.prefetch_below
        self.waited = Distribution()

    @property
    def adopts(self) -> bool:
        """Local processes die with their worker."""
        return False

    @property
    def capacity(self) -> int:
        """How many attempts may be ordered and not yet ended.

        It grows while tasks are short, so that processes have work while their results are committed.
        """
        depth = self._settings.pipe_depth
        if self._pace < self._settings.prefetch_below:
            depth = max(depth, min(_DEEPEST, int(_LOOKAHEAD / max(self._pace, 1e-5))))
        return self._settings.slots * depth

    def load(self) -> Load:
        """What it is busy with. May be called on any thread."""
        processes = self._processes.all()
        busy = sum(1 for process in processes if process.pipe)
        counts = self._processes.started
        waiting = max(0, len(self._attempts) - busy)
        return Load(busy, waiting, len(processes), forked=counts["fork"], spawned=counts["spawn"])

    def bundles_in_use(self) -> frozenset[str]:
        """The bundles whose code processes may still import, or are about to."""
        return self._dispatch.bundles() | self._processes.bundles()

    async def start(self) -> None:
        """Clears what an earlier launcher has left in the directory."""
        self._loop = asyncio.get_running_loop()
        events = ProcessesEvents(
            begun=self._on_begun,
            result=self._on_result,
            told=lambda process: self._dispatch.next_for(process),
            taken_back=lambda pool, attempts: self._dispatch.put_back(pool, attempts),
            room=lambda: self._dispatch.room(),
            noted=self._on_noted,
            gone=self._on_gone,
            due=self._arm,
        )
        self._processes = Processes(self._settings, self._loop, events)
        self._dispatch = Dispatch(
            self._settings,
            self._loop,
            self._processes,
            self._fetch_bundle,
            DispatchEvents(woken=self._turn, began=self._began, idle=self._on_idle, failed=self._on_failed),
        )
        await asyncio.to_thread(_prepare, self._settings.directory)

    def welcomed(self, welcome: Welcome) -> None:
        """Processes need to know nothing of the installation."""

    def launch(self, order: AttemptOrder) -> None:
        """Queues an attempt. A repeat of the key of one that has not ended is a no-op."""
        if order.key in self._attempts:
            return
        try:
            plan = self._plans.plan(order)
        except NotRunnable as error:
            self._observe(Failed(order.key, None, _wall(), outcomes.not_runnable(str(error))))
            return
        except SecretUnavailable as error:
            self._observe(Failed(order.key, None, _wall(), outcomes.secret_unavailable(str(error))))
            return
        now = self._loop.time()
        attempt = Attempt(order, plan, now)
        self._attempts[order.key] = attempt
        if self._stopped:
            self._finish(attempt, Cancelled(order.key, None, _wall()))
            return
        self._dispatch.add(attempt)
        if order.queued_timeout is not None:
            self._queue_limits.add(attempt, now + order.queued_timeout)
            self._arm(now + order.queued_timeout)

    def cancel(self, keys: Sequence[AttemptKey]) -> None:
        """Ends attempts. One that runs gets SIGTERM first, and SIGKILL a little later."""
        for key in keys:
            attempt = self._attempts.get(key)
            if attempt is None or attempt.ending is not None:
                continue
            if attempt.process is not None:
                attempt.process.drain()
            if key in self._attempts:
                self._cancel(attempt)

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        """Ends attempts that nobody waits for any more."""
        self.cancel(keys)

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        """Nothing is kept of an attempt that was reported."""

    def _cancel(self, attempt: Attempt) -> None:
        if self._withdrawn(attempt):
            self._finish(attempt, Cancelled(attempt.key, None, _wall()))
        else:
            self._end(attempt, Ending.CANCEL)

    def _withdrawn(self, attempt: Attempt) -> bool:
        """Takes an attempt out of its queue, or back from a process that has not begun it."""
        if attempt.process is not None:
            self._processes.take_back(attempt.process)
        if attempt.process is not None:
            return False
        self._dispatch.remove(attempt)
        return True

    async def stop(self, grace: float) -> None:
        """Cancels what waits, gives what runs `grace` seconds, then ends it and all processes."""
        self._stopped = True
        for process in self._processes.all():
            if process.pipe:
                self._processes.take_back(process)
            else:
                self._processes.retire(process)
        for attempt in await self._dispatch.close():
            self._finish(attempt, Cancelled(attempt.key, None, _wall()))
        await self._until_quiet(grace)
        self.cancel(list(self._attempts))
        await self._until_quiet(self._settings.kill_grace + 1)
        await self._processes.close()
        await asyncio.gather(*self._cleaning)
        if self._timer is not None:
            self._timer.cancel()
        self._flush()
        await asyncio.to_thread(_leave, self._settings.directory)

    async def _until_quiet(self, limit: float) -> None:
        self._quiet = asyncio.Event()
        if self._attempts or self._processes:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), limit)

    # Turns of the loop

    def _turn(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._at_end_of_turn)

    def _at_end_of_turn(self) -> None:
        self._turning = False
        self._dispatch.run()
        self._flush()

    def _flush(self) -> None:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._events.logged(pieces)
        if self._observed:
            observed, self._observed = self._observed, []
            self._events.observed(observed)
        if self._quiet is not None and not self._attempts and not self._processes:
            self._quiet.set()

    def _observe(self, observation: Observation) -> None:
        self._observed.append(observation)
        self._turn()

    def _finish(self, attempt: Attempt, observation: Observation) -> None:
        del self._attempts[attempt.key]
        self._observe(observation)

    # What comes of processes

    def _on_begun(self, process: TaskProcess) -> None:
        if process.pipe:
            self._began(process)

    def _began(self, process: TaskProcess) -> None:
        """An attempt became the first in the pipe of a process."""
        now = process.pool.served = self._loop.time()
        attempt = process.pipe[0]
        if not attempt.launched:
            attempt.launched = _wall()
            self.waited.observe(now - attempt.ordered)
        if not process.begun:
            return  # its time does not run while the warden is busy with others
        attempt.began = now
        limit = attempt.order.running_timeout
        if limit is not None:
            attempt.deadline = now + limit
            self._arm(attempt.deadline)
        if self._due > now + _GRANULE:
            self._arm(now + _GRANULE)

    def _on_result(self, process: TaskProcess, result: Result) -> None:
        attempt = process.pipe.popleft()
        if not attempt.loads:
            took = (result.end - result.start) / 1e6
            attempt.plan.took(took)
            self._pace += (took - self._pace) / 16
        process.served += 1
        if result.logs is not None or attempt.dropped != [0, 0]:
            self._pieces += self._spools.ended(process, attempt, result.logs)
        if result.replace:
            note = f"the process was replaced after this attempt: {REPLACEMENTS[result.replace]}"
            self._pieces.append(self._spools.note(attempt, note))
        self._finish(attempt, _outcome(attempt, result))
        if (
            result.replace
            or process.served >= self._settings.attempts_per_process
            or (result.failure is not None and self._settings.replace_after_failure)
        ):
            self._processes.retire(process)
        if process.pipe:
            self._began(process)
        elif process.stopping:
            self._processes.let_leave(process)

    def _on_idle(self, process: TaskProcess) -> None:
        self._arm(process.idle_since + self._settings.idle_time)

    def _on_failed(self, attempt: Attempt, failure: Failure) -> None:
        self._finish(attempt, Failed(attempt.key, None, _wall(), failure, True))

    def _on_noted(self, process: TaskProcess, text: str) -> None:
        if process.pipe:
            self._pieces.append(self._spools.note(process.pipe[0], text))
            self._turn()

    def _on_gone(self, process: TaskProcess, failure: Failure, infrastructure: bool) -> None:
        """A process has ended: what it ran has failed, what it was sent ahead goes to others."""
        pool = process.pool
        if process.pipe:
            head, *ahead = process.pipe
            process.pipe.clear()
            self._dispatch.put_back(pool, ahead)
            self._pieces += self._spools.died(process, head)
            end = _wall()
            start = head.announced or (
                end - int((self._loop.time() - head.began) * 1e6) if head.began else None
            )
            if head.ending is None:
                launched = Launched(head.launched)
                self._finish(head, Failed(head.key, start, end, failure, infrastructure, launched))
            else:
                self._finish(head, _ended_by_us(head, start, end))
        self._spools.remove(process)
        folder = self._settings.directory / "work" / str(process.number)
        task = self._loop.create_task(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        self._dispatch.forget(pool)
        self._turn()

    # Time

    def _arm(self, due: float) -> None:
        if due >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._due = _NEVER
        now = self._loop.time()
        for process in self._processes.all():
            self._arm(self._look_at(process, now))
        for attempt in self._queue_limits.due(now):
            self._waited_too_long(attempt)
        if self._queue_limits.next is not None:
            self._arm(self._queue_limits.next)
        self._arm(self._processes.dismiss_idle(now))
        self._turn()

    def _waited_too_long(self, attempt: Attempt) -> None:
        if self._withdrawn(attempt):
            self._finish(attempt, _ended_by_us(attempt, None, _wall(), Ending.WAITED_TOO_LONG))
        else:
            self._end(attempt, Ending.WAITED_TOO_LONG)

    def _look_at(self, process: TaskProcess, now: float) -> float:
        """Does what is due for a process, and says when to look again."""
        if process.pipe:
            process.drain()
        due = self._processes.kill_overdue(process, now) or _NEVER
        if process.pipe:
            head = process.pipe[0]
            return min(due, self._look_at_attempt(process, head, now)) if head.began else due
        if process.stopping:
            return due
        idle_until = process.idle_since + self._settings.idle_time
        if now >= idle_until:
            self._processes.retire(process)
        return idle_until if now < idle_until else process.kill_at

    def _look_at_attempt(self, process: TaskProcess, attempt: Attempt, now: float) -> float:
        settings = self._settings
        age = now - attempt.began
        due = attempt.tail_due or attempt.began + settings.tail_after
        if now >= due:
            self._pieces += self._spools.look(process, attempt)
            attempt.tail_due = due = now + settings.tail_after
        if len(process.pipe) > 1:
            if age >= settings.recall_after:
                self._processes.take_back(process)
            else:
                due = min(due, attempt.began + settings.recall_after)
        if not attempt.announced:
            if age >= settings.announce_after:
                attempt.announced = _wall() - int(age * 1e6)
                self._observe(Started(attempt.key, attempt.announced, Launched(attempt.launched)))
            else:
                due = min(due, attempt.began + settings.announce_after)
        if attempt.deadline and attempt.ending is None:
            if now >= attempt.deadline:
                self._end(attempt, Ending.RAN_TOO_LONG)
            else:
                due = min(due, attempt.deadline)
        return due

    def _end(self, attempt: Attempt, ending: Ending) -> None:
        """Ends the attempt that a process runs, and the process with it."""
        assert attempt.process is not None, "only what runs is ended"
        attempt.ending = ending
        attempt.ended = _wall()
        self._processes.end(attempt.process)


def _outcome(attempt: Attempt, result: Result) -> Observation:
    start = attempt.announced or result.start
    if attempt.ending is not None and (result.failure is not None or result.end > attempt.ended):
        return _ended_by_us(attempt, start, result.end)
    if result.failure is None:
        return Succeeded(attempt.key, start, result.end, result.outputs, _launched(attempt, result))
    failure = outcomes.raised(result.failure)
    blamed = failure.kind == FAILURE_KIND_SYSTEM
    return Failed(attempt.key, start, result.end, failure, blamed, launched=_launched(attempt, result))


def _launched(attempt: Attempt, result: Result) -> Launched:
    # The host's clock is read after the frame was sent, so it is never earlier but for a clock set back.
    launched = min(attempt.launched, result.start) or result.start
    return Launched(launched, result.loaded if result.loaded > result.start else 0)


def _ended_by_us(attempt: Attempt, start: int | None, end: int, why: Ending | None = None) -> Observation:
    order, why = attempt.order, why or attempt.ending
    if why is Ending.CANCEL:
        return Cancelled(order.key, start, end)
    launched = Launched(attempt.launched)
    if why is Ending.RAN_TOO_LONG:
        failure = outcomes.ran_too_long(order.running_timeout or 0)
        return Failed(order.key, start, end, failure, launched=launched)
    return Failed(order.key, None, end, outcomes.waited_too_long(order.queued_timeout or 0))


def _wall() -> int:
    return time.time_ns() // 1000


def _prepare(directory: Path) -> None:
    for name in ("spool", "work"):
        shutil.rmtree(directory / name, ignore_errors=True)
        (directory / name).mkdir(parents=True)


def _leave(directory: Path) -> None:
    """Removes what is the launcher's own; files of output that were handed over are not any more."""
    shutil.rmtree(directory / "work", ignore_errors=True)
    with contextlib.suppress(OSError):
        (directory / "spool").rmdir()
