"""Why: what an execution is waiting for, in sentences. Pure: what was read goes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from volery.executions import Execution, ExecutionPhase, Node, NodePhase

from volery_cli.output import span
from volery_cli.tree import label_of, waiting_words

if TYPE_CHECKING:
    from volery.health import EngineHealth, WorkerHealth

MOST_NODES = 20


def reasons(execution: Execution, nodes: Sequence[Node], health: EngineHealth, now: datetime) -> list[str]:
    """Why an execution stands where it does: one sentence a line."""
    return list(_reasons(execution, nodes, health, now))


def _reasons(
    execution: Execution, nodes: Sequence[Node], health: EngineHealth, now: datetime
) -> Iterator[str]:
    phase = execution.phase
    if phase is ExecutionPhase.SUCCEEDED:
        yield "it waits for nothing: it has succeeded"
    elif phase.is_terminal:
        why = execution.failure or (execution.abort.cause if execution.abort else "")
        yield f"it has ended: {phase.value.lower().replace('_', ' ')}{f', {why}' if why else ''}"
    elif not execution.worker_id:
        yield from _unheld(execution, nodes, health, now)
    else:
        yield from _held(execution, nodes, health, now)


def _unheld(
    execution: Execution, nodes: Sequence[Node], health: EngineHealth, now: datetime
) -> Iterator[str]:
    waiting = [node for node in nodes if node.phase is NodePhase.WAITING]
    if waiting and execution.phase is not ExecutionPhase.QUEUED:
        yield "no worker holds it: it is parked until one of these is over"
        yield from _nodes(waiting, now)
        return
    if not health.workers:
        yield "it waits for a worker: none is connected. Start one with `volery worker` or `volery up`"
        return
    full = [each for each in health.workers if each.executions and each.held_executions >= each.executions]
    if len(full) == len(health.workers):
        yield "it waits for a worker with room: every one holds as many executions as it walks"
    else:
        yield "it waits to be given to a worker; one with room takes it at once unless it serves another pool"
    for worker in health.workers:
        pools = ", ".join(worker.pools) or "the default pool"
        limit = f" of {worker.executions}" if worker.executions else ""
        yield f"  {worker.worker_id} holds {worker.held_executions}{limit} and serves {pools}"
    ahead = health.queues.unclaimed - 1
    if ahead > 0:
        yield f"  {ahead} others wait too"


def _held(execution: Execution, nodes: Sequence[Node], health: EngineHealth, now: datetime) -> Iterator[str]:
    worker = next((each for each in health.workers if each.worker_id == execution.worker_id), None)
    if worker is None:
        yield f"its worker {execution.worker_id} has no open session; another one takes it over soon"
    elif worker.expire_time is not None and worker.expire_time < now:
        since = span(now - worker.expire_time)
        yield f"the lease of its worker {worker.worker_id} ran out {since} ago; another takes it over soon"
    open_nodes = [node for node in nodes if not node.phase.is_terminal and not node.counts]
    if not open_nodes:
        yield f"worker {execution.worker_id} decides what comes next"
        return
    yield from _nodes(open_nodes, now)
    queued = [node for node in open_nodes if node.phase is NodePhase.QUEUED]
    if worker is not None and any(node.waiting_reason in ("", "SLOTS") for node in queued):
        yield from _slots(worker)


def _nodes(nodes: Sequence[Node], now: datetime) -> Iterator[str]:
    order = {NodePhase.RUNNING: 0, NodePhase.WAITING: 1, NodePhase.QUEUED: 2}
    for node in sorted(nodes, key=lambda each: order.get(each.phase, 3))[:MOST_NODES]:
        name = label_of(node)
        label = f"{name} ({node.path})" if name != node.path else node.path
        if node.phase is NodePhase.RUNNING:
            since = f" for {span(now - node.start_time)}" if node.start_time else ""
            yield f"  {label} runs{since}"
            continue
        words = waiting_words(node, now) or "waits for a slot of its worker"
        after = f", after {node.failure}" if node.failure else ""
        until = f" until {node.wake_time.astimezone():%H:%M:%S}" if node.wake_time else ""
        yield f"  {label} {words}{until}{after}"
    left = Counter(node.phase.value.lower() for node in nodes[MOST_NODES:])
    if left:
        yield f"  and {', '.join(f'{count} more {phase}' for phase, count in left.items())}"


def _slots(worker: WorkerHealth) -> Iterator[str]:
    if worker.slots and worker.busy_slots >= worker.slots:
        yield (
            f"  worker {worker.worker_id} is full: {worker.busy_slots} of {worker.slots} slots run a task, "
            f"{worker.waiting_attempts} attempts wait in it"
        )
    elif worker.slots:
        slots = f"{worker.busy_slots} of {worker.slots} slots"
        yield f"  worker {worker.worker_id} uses {slots}, and starts them soon"
