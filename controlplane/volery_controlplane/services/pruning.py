"""Pruning: removes what is no longer kept, a little at a time, by one control plane at a time.

Rows go before objects: the transaction that makes an execution disappear leaves tombstones, and what they
name is removed afterwards. A tombstone goes last. So whoever is killed in between is followed by somebody
who does the rest, and doing it twice does no harm.

Each transaction holds the one lease there is, is sized to take a few milliseconds, and is followed by a rest
several times as long, so that those who commit waves hardly notice. What belongs to an execution that has
not ended is never looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

import structlog
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.errors import Stale
from volery_controlplane.domain.records import ExecutionKey, ExecutionName, Micros
from volery_controlplane.domain.references import (
    EXECUTIONS,
    LOGS,
    References,
    ancestors,
    execution_logs,
)
from volery_controlplane.domain.retention import Cut, HolderKind, Policy, TombstoneKind
from volery_controlplane.services.ports import Clock, Database, Transaction
from volery_controlplane.services.pruning_ports import ObjectSweep
from volery_controlplane.services.removal import remove_executions
from volery_controlplane.services.uses import forget, note_entities

log = structlog.get_logger(__name__)

T = TypeVar("T")

LEASE: Final = timedelta(minutes=1)
TURN: Final = 0.005
"""Seconds that a transaction should take; the next one is sized by the last."""
ROWS: Final = (20, 2000)
"""Rows that one transaction deletes, least and most."""
EXECUTIONS_AT_ONCE: Final = 50
OBJECTS_AT_ONCE: Final = 100
SHARDS: Final = 256
SHARDS_AT_ONCE: Final = 16
MARKS: Final = 64
"""How finely the log of changes can be cut: a mark each such part of the time it is kept."""

_TEMPLATES: Final[dict[int, type[TaskTemplate | WorkflowTemplate | LaunchPlanTemplate]]] = {
    EntityKind.ENTITY_KIND_TASK: TaskTemplate,
    EntityKind.ENTITY_KIND_WORKFLOW: WorkflowTemplate,
    EntityKind.ENTITY_KIND_LAUNCH_PLAN: LaunchPlanTemplate,
}
_REST_OF: Final = {Cut.JOURNAL: TombstoneKind.JOURNAL_ROWS, Cut.LOGS: TombstoneKind.LOG_ROWS}
_ROW_KINDS: Final = (TombstoneKind.ROWS, TombstoneKind.JOURNAL_ROWS, TombstoneKind.LOG_ROWS)


@dataclass(slots=True)
class Pruned:
    """What was removed, or in a report would be."""

    executions: int = 0
    journals: int = 0
    logs: int = 0
    rows: int = 0
    cache_entries: int = 0
    requests: int = 0
    sessions: int = 0
    changes: int = 0
    objects: int = 0
    uploads: int = 0
    notes: list[str] = field(default_factory=list)


class Pruner:
    """Use cases of pruning.

    Args:
        database: the truth.
        sweep: removes objects.
        references: tells targets.
        policy: what is kept for how long.
        clock: times transactions.
        holder: who this is, for the lease.
        rest: how many times as long as a transaction the pause after it is.
    """

    def __init__(
        self,
        database: Database,
        sweep: ObjectSweep,
        references: References,
        policy: Policy,
        clock: Clock,
        holder: str,
        rest: float = 9.0,
    ) -> None:
        self._database = database
        self._sweep = sweep
        self._references = references
        self._policy = policy
        self._clock = clock
        self._holder = holder
        self._rest = rest
        self._rows = ROWS[0] * 5
        self._shard = 0

    async def round(self) -> Pruned | None:
        """Removes all that is due; None when another control plane is at it."""
        pruned = Pruned()
        try:
            await self._executions(pruned)
            await self._small_things(pruned)
            await self._objects(pruned)
        except Stale:
            return None
        return pruned

    async def let_go(self) -> None:
        """Lets others prune without waiting for the lease to run out; does nothing where they do already."""
        await self._database.transact(lambda tx: tx.pruning.let_go(self._holder))

    async def report(self) -> Pruned:
        """What a round would remove of executions and cache entries, counted without changing anything."""

        def query(tx: Transaction) -> Pruned:
            found = Pruned()
            for project, domain in _places(tx):
                for cut, before in self._policy.due(project, domain, tx.now).items():
                    count = tx.pruning.count_over(cut, project, domain, before)
                    if cut is Cut.ALL:
                        found.executions += count
                    elif cut is Cut.JOURNAL:
                        found.journals += count
                    else:
                        found.logs += count
            if tx.pruning.has_legacy():
                found.notes.append(_LEGACY_NOTE)
            return found

        return await self._database.read(query)

    # Executions

    async def _executions(self, pruned: Pruned) -> None:
        await self._clear(pruned)  # what somebody left who was killed
        for project, domain in await self._database.read(_places):
            while await self._turn(partial(self._cut, project=project, domain=domain)):
                await self._clear(pruned)
            await self._clear(pruned)

    def _cut(self, tx: Transaction, project: str, domain: str) -> bool:
        """Cuts what is due of some executions; says whether there may be more."""
        more = False
        for cut, before in self._policy.due(project, domain, tx.now).items():
            over = tx.pruning.over(cut, project, domain, before, EXECUTIONS_AT_ONCE)
            if not over:
                continue
            more |= len(over) == EXECUTIONS_AT_ONCE
            if cut is Cut.ALL:
                remove_executions(tx, over)
                continue
            keys = [each.key for each in over]
            tx.pruning.set_cut(cut, keys)
            tx.objects.bury(_REST_OF[cut], [str(key) for key in keys])
            if cut is Cut.LOGS:
                tx.objects.bury(TombstoneKind.OBJECTS, [execution_logs(key) for key in keys])
        return more

    async def _clear(self, pruned: Pruned) -> None:
        for kind in _ROW_KINDS:
            while True:
                ended, rows, more = await self._turn(partial(self._clear_some, kind=kind))
                pruned.rows += rows
                if kind is TombstoneKind.ROWS:
                    pruned.executions += ended
                elif kind is TombstoneKind.JOURNAL_ROWS:
                    pruned.journals += ended
                else:
                    pruned.logs += ended
                if not more:
                    break

    def _clear_some(self, tx: Transaction, kind: TombstoneKind) -> tuple[int, int, bool]:
        """Deletes rows of executions that are not there any more; (executions done, rows, more)."""
        found = tx.objects.buried(kind, 0, EXECUTIONS_AT_ONCE)
        if not found:
            return 0, 0, False
        keys = [ExecutionKey(int(target)) for _, target in found]
        limit = self._rows
        rows = tx.pruning.clear(kind, keys, limit)
        if rows >= limit:
            return 0, rows, True
        tx.objects.forget([id for id, _ in found])
        return len(found), rows, len(found) == EXECUTIONS_AT_ONCE

    # What stands by itself

    async def _small_things(self, pruned: Pruned) -> None:
        policy = self._policy
        while (count := await self._turn(self._cache_entries)) is not None:
            pruned.cache_entries += count
        if policy.cache_entries:
            held = await self._database.read(lambda tx: tx.pruning.count_cache())
            while held > policy.cache_entries:
                surplus = min(held - policy.cache_entries, self._rows)
                count = await self._turn(partial(_remove_surplus, limit=surplus))
                if not count:
                    break
                pruned.cache_entries += count
                held -= count
        pruned.requests += await self._repeat(
            lambda tx, n: (
                0
                if (before := policy.requests.before(tx.now)) is None
                else tx.pruning.remove_requests(before, n)
            )
        )
        pruned.sessions += await self._repeat(
            lambda tx, n: (
                0
                if (before := policy.sessions.before(tx.now)) is None
                else tx.pruning.remove_sessions(before, n)
            )
        )
        if policy.changes.kept is not None:
            await self._turn(self._mark)
            pruned.changes += await self._repeat(lambda tx, n: tx.pruning.remove_changes(n))

    def _cache_entries(self, tx: Transaction) -> int | None:
        return _remove_entries(tx, self._policy.cache.before(tx.now), self._rows) or None

    def _mark(self, tx: Transaction) -> None:
        kept = self._policy.changes
        assert kept.kept is not None  # asked before
        newest = tx.pruning.newest_mark()
        if newest is None or newest <= tx.now - kept.kept // MARKS // timedelta(microseconds=1):
            tx.pruning.mark_changes(tx.now)
        before = kept.before(tx.now)
        if before is not None:
            tx.pruning.cut_changes(before)

    async def _repeat(self, remove: Callable[[Transaction, int], int]) -> int:
        total = 0
        while True:
            limit = self._rows
            count = await self._turn(partial(_call, work=remove, limit=limit))
            total += count
            if count < limit:
                return total

    # Objects

    async def _objects(self, pruned: Pruned) -> None:
        while await self._turn(self._index):
            pass
        if await self._database.read(lambda tx: tx.pruning.has_legacy()):
            pruned.notes.append(_LEGACY_NOTE)
            return
        if not await self._sweep.belongs(self._database.installation_id()):
            pruned.notes.append("no objects were removed: the store belongs to another installation")
            return
        await self._buried_objects(pruned)
        age = self._policy.uploads.kept
        if age is None:
            return
        for _ in range(SHARDS_AT_ONCE):
            stale = await self._sweep.stale_uploads(self._shard, age)
            self._shard = (self._shard + 1) % SHARDS
            for begin in range(0, len(stale), OBJECTS_AT_ONCE):
                pruned.uploads += await self._remove_uploads(stale[begin : begin + OBJECTS_AT_ONCE], age)
        pruned.uploads += await self._sweep.remove_incoming(age)

    def _index(self, tx: Transaction) -> bool:
        """Notes what versions refer to that were registered before such notes were taken."""
        found = tx.pruning.entities_to_index(OBJECTS_AT_ONCE)
        if not found:
            return False
        contents = [(id, _TEMPLATES[kind].FromString(content)) for id, kind, content in found]
        note_entities(tx, self._references, contents)
        tx.pruning.set_indexed(found[-1][0])
        return True

    async def _buried_objects(self, pruned: Pruned) -> None:
        after = 0
        while True:
            judged = await self._database.read(partial(_judged, after=after))
            if not judged:
                return
            done = []
            for id, target, stays in judged:
                try:
                    if stays is not None:
                        pruned.objects += await self._sweep.remove(target, stays)
                except OSError as problem:  # it is tried again in the next round
                    log.warning("objects were not removed", target=target, why=str(problem))
                else:
                    done.append(id)
            after = judged[-1][0]
            await self._turn(partial(_forget_tombstones, ids=done))

    async def _remove_uploads(self, stale: Sequence[str], age: timedelta) -> int:
        used = await self._database.read(
            lambda tx: tx.objects.used_at([place for target in stale for place in ancestors(target)])
        )
        free = [target for target in stale if not set(used).intersection(ancestors(target))]
        return await self._sweep.remove_uploads(free, age)

    # Turns

    async def _turn(self, work: Callable[[Transaction], T]) -> T:
        """One transaction under the lease, then a rest; the next one is sized by how long this one took.

        Raises:
            Stale: another control plane prunes.
        """

        def intention(tx: Transaction) -> tuple[T, float]:
            lease = Micros(tx.now + LEASE // timedelta(microseconds=1))
            if not tx.pruning.hold(self._holder, lease, tx.now):
                raise Stale("another control plane prunes")
            begun = self._clock.monotonic()
            result = work(tx)
            return result, self._clock.monotonic() - begun

        begun = self._clock.monotonic()
        result, worked = await self._database.transact(intention)
        took = self._clock.monotonic() - begun
        factor = 2.0 if worked < TURN / 2 else 0.5 if worked > TURN * 2 else 1.0
        self._rows = max(ROWS[0], min(ROWS[1], int(self._rows * factor)))
        if self._rest:
            await asyncio.sleep(min(took * self._rest, 1.0))
        return result


_LEGACY_NOTE: Final = (
    "no objects are removed as long as there are executions from before their references were noted"
)


def _call(tx: Transaction, work: Callable[[Transaction, int], int], limit: int) -> int:
    return work(tx, limit)


def _forget_tombstones(tx: Transaction, ids: Sequence[int]) -> None:
    tx.objects.forget(ids)


def _remove_surplus(tx: Transaction, limit: int) -> int:
    return _remove_entries(tx, tx.now, limit)


def _remove_entries(tx: Transaction, unused_since: Micros | None, limit: int) -> int:
    keys = tx.pruning.cache_entries(unused_since, tx.now, limit)
    if keys:
        forget(tx, HolderKind.CACHE_ENTRY, keys)
        tx.pruning.remove_cache(keys)
    return len(keys)


def _places(tx: Transaction) -> list[tuple[str, str]]:
    """All projects and domains that have executions."""
    places = []
    place = tx.pruning.places("", "")
    while place is not None:
        places.append(place)
        place = tx.pruning.places(*place)
    return places


def _judged(tx: Transaction, after: int) -> list[tuple[int, str, Sequence[str] | None]]:
    """Some buried objects, with what stays below each; None where all of it stays."""
    return [
        (id, target, None if _is_kept(tx, target) else tx.objects.used_below(target))
        for id, target in tx.objects.buried(TombstoneKind.OBJECTS, after, OBJECTS_AT_ONCE)
    ]


def _is_kept(tx: Transaction, target: str) -> bool:
    """Whether somebody refers to all of a target, or its owner is still there."""
    match target.split("/"):
        case [str(kind), project, domain, name, uid, *_] if kind == EXECUTIONS:
            id = ExecutionName(project, domain, name)
            if any(found.startswith(uid) for found in tx.pruning.uids(id)):
                return True
        case [str(kind), key, *_] if kind == LOGS and key.isdecimal():
            if tx.pruning.keeps_logs(ExecutionKey(int(key))):
                return True
        case _:
            return True  # nothing that one execution owns
    return bool(tx.objects.used_at(ancestors(target)))
