"""Dispatch: gives waiting attempts to processes: idle ones, new ones, and, of short tasks, ahead of time.

Each pool has a queue. A pool goes on with its own queue unless another one has waited for a turn without
having a process; then it gives a process up. Attempts of tasks that took next to no time lately are sent
to a process while it still runs others, so that it never waits for the launcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voleryidl.core.v1.failure_pb2 import Failure

from volery_dataplane.launch import outcomes
from volery_dataplane.launch.attempts import Attempt, Pool
from volery_dataplane.launch.bundles import BundleUnavailable, FetchBundle, folder_of
from volery_dataplane.launch.plans import PoolKey
from volery_dataplane.launch.processes import CannotStart, Processes
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.launch.task_process import TaskProcess
from volery_dataplane.worker.ports import BundleRefused


@dataclass(frozen=True, slots=True)
class DispatchEvents:
    """What comes of dispatching.

    Attributes:
        woken: `run` has something to do.
        began: a process was given an attempt to run at once.
        idle: a process has nothing to do.
        failed: an attempt cannot be given to any process; the infrastructure is to blame.
    """

    woken: Callable[[], None]
    began: Callable[[TaskProcess], None]
    idle: Callable[[TaskProcess], None]
    failed: Callable[[Attempt, Failure], None]


class Dispatch:
    """The queues of a launcher."""

    def __init__(
        self,
        settings: ProcessSettings,
        loop: asyncio.AbstractEventLoop,
        processes: Processes,
        fetch_bundle: FetchBundle,
        events: DispatchEvents,
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._processes = processes
        self._fetch_bundle = fetch_bundle
        self._events = events
        self._pools: dict[PoolKey, Pool] = {}
        self._waking: dict[Pool, None] = {}
        self._fetching: set[asyncio.Task[None]] = set()
        self._closed = False

    def add(self, attempt: Attempt) -> None:
        """Queues an attempt."""
        key = attempt.plan.pool
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(key)
        pool.queue.append(attempt)
        self._wake(pool)

    def remove(self, attempt: Attempt) -> None:
        """Takes an attempt out of its queue."""
        self._pools[attempt.plan.pool].queue.remove(attempt)

    def bundles(self) -> frozenset[str]:
        """The bundles of all pools there are."""
        return frozenset(key.kind.bundle for key in list(self._pools))

    def put_back(self, pool: Pool, attempts: Sequence[Attempt]) -> None:
        """Queues attempts again, first, that were sent to a process and not begun."""
        if not attempts:
            return
        for attempt in attempts:
            attempt.process = None
            attempt.launched = 0
        # The process may come from a pool that was forgotten, and others may wait in a newer one.
        current = self._pools.setdefault(pool.key, pool)
        current.queue.extendleft(reversed(attempts))
        self._wake(current)

    def forget(self, pool: Pool) -> None:
        """After a process of a pool has ended: keeps the pool only if there is something in it."""
        is_empty = not pool.queue and not pool.processes and not pool.preparing
        if is_empty and self._pools.get(pool.key) is pool:
            del self._pools[pool.key]

    def room(self) -> None:
        """A slot is free: whoever waits may have it."""
        for pool in self._pools.values():
            if pool.queue:
                self._wake(pool)

    def next_for(self, process: TaskProcess) -> None:
        """After results of a process: it goes on with its queue, is given up, or is idle."""
        if process.stopping:
            return
        pool = process.pool
        if process.pipe:
            if pool.queue and not self._others_wait(pool):
                self._top_up(process)
        elif self._closed or self._others_wait(pool):
            self._processes.retire(process)
        elif pool.queue:
            self._send(process, ahead=True)
        elif process not in pool.idle:
            process.idle_since = self._loop.time()
            pool.idle.append(process)
            self._events.idle(process)
            if len(self._pools) > 1:
                self.room()

    def run(self) -> None:
        """Fills processes from the queues that were woken."""
        while self._waking:
            waking, self._waking = self._waking, {}
            for pool in sorted(waking, key=_need) if len(waking) > 1 else waking:
                self._fill(pool)

    async def close(self) -> list[Attempt]:
        """Dispatches no more; gives what waits."""
        self._closed = True
        waiting = [attempt for pool in self._pools.values() for attempt in pool.queue]
        for pool in self._pools.values():
            pool.queue.clear()
        for task in self._fetching:
            task.cancel()
        await asyncio.gather(*self._fetching, return_exceptions=True)
        return waiting

    def _wake(self, pool: Pool) -> None:
        self._waking[pool] = None
        self._events.woken()

    def _fill(self, pool: Pool) -> None:
        queue = pool.queue
        if not queue:
            return
        if pool.code is None and pool.key.kind.bundle:
            self._fetch(pool)
            return
        while queue:
            process = pool.idle.pop() if pool.idle else self._new_process(pool)
            if process is None:
                break
            self._send(process)
        if queue and self._is_short(queue[0]):
            for process in sorted(pool.processes, key=lambda process: len(process.pipe)):
                self._top_up(process)

    def _new_process(self, pool: Pool) -> TaskProcess | None:
        if not self._processes.has_slot():
            others = (other for other in self._pools.values() if other is not pool)
            self._processes.evict(process for other in others for process in other.idle)
        if not self._processes.has_slot():
            return None
        try:
            return self._processes.begin(pool, pool.queue[0].plan.module)
        except CannotStart as error:
            self._fail(pool, outcomes.process_lost(str(error)))
            return None

    def _fail(self, pool: Pool, failure: Failure) -> None:
        attempts = list(pool.queue)
        pool.queue.clear()
        for attempt in attempts:
            self._events.failed(attempt, failure)

    def _send(self, process: TaskProcess, *, ahead: bool = False) -> None:
        """Gives the next attempt to a process that has none, and more ahead of time where that is right."""
        queue = process.pool.queue
        batch = [queue.popleft()]
        if ahead and self._is_short(batch[0]):
            self._take_short(process, batch)
        if process.send(batch):
            self._events.began(process)
        else:
            self._processes.retire(process)
            self.put_back(process.pool, batch)

    def _top_up(self, process: TaskProcess) -> None:
        """Sends attempts ahead to a process whose pipe has run half empty."""
        pipe = process.pipe
        if not pipe or process.stopping or len(pipe) > self._settings.pipe_depth // 2:
            return
        if self._is_short(pipe[0]) and self._loop.time() - pipe[0].began < self._settings.recall_after:
            batch: list[Attempt] = []
            self._take_short(process, batch)
            if batch and not process.send(batch):
                self.put_back(process.pool, batch)

    def _take_short(self, process: TaskProcess, batch: list[Attempt]) -> None:
        """Moves attempts of short tasks from the queue into a batch, as many as the pipe takes."""
        queue, settings = process.pool.queue, self._settings
        most = min(settings.pipe_depth, settings.attempts_per_process - process.served) - len(process.pipe)
        while queue and len(batch) < most and self._is_short(queue[0]):
            batch.append(queue.popleft())

    def _is_short(self, attempt: Attempt) -> bool:
        duration = attempt.plan.duration
        return duration is not None and duration < self._settings.prefetch_below

    def _others_wait(self, pool: Pool) -> bool:
        """Whether another pool has no process and has waited for longer than a slice."""
        if len(self._pools) == 1:
            return False
        since = self._loop.time() - self._settings.slice
        return any(
            not other.processes and other.waits_since < since
            for other in self._pools.values()
            if other is not pool
        )

    def _fetch(self, pool: Pool) -> None:
        if pool.preparing:
            return
        pool.preparing = True
        task = self._loop.create_task(self._get_code(pool))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _get_code(self, pool: Pool) -> None:
        try:
            pool.code = await folder_of(pool.key.kind.bundle, self._fetch_bundle)
        except BundleRefused as refusal:
            self._fail(pool, outcomes.bundle_refused(str(refusal)))
        except BundleUnavailable as error:
            self._fail(pool, outcomes.bundle_unavailable(str(error)))
        finally:
            pool.preparing = False
        self._wake(pool)
        self.forget(pool)


def _need(pool: Pool) -> tuple[bool, float]:
    """Pools without a process come first, then the longest wait."""
    return bool(pool.processes), pool.waits_since
