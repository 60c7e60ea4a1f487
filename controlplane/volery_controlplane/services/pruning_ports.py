"""The ports of pruning: who refers to which object, what is no longer kept, and how objects are removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from volery_controlplane.domain.records import ExecutionKey, ExecutionName, Micros, OverExecution
from volery_controlplane.domain.retention import Cut, HolderKind, TombstoneKind


class ObjectStore(Protocol):
    """Who refers to which object; targets are paths below the root of the object store."""

    def use(self, kind: HolderKind, uses: Sequence[tuple[str, str]]) -> None:
        """Records that holders refer to targets, as (holder, target); a repeat is a no-op."""

    def share(self, shares: Sequence[tuple[str, str]]) -> None:
        """Gives executions what cache entries refer to, as (cache key, execution key)."""

    def release(self, kind: HolderKind, holders: Sequence[str]) -> Sequence[str]:
        """Forgets what holders refer to; gives the targets."""

    def used_at(self, targets: Sequence[str]) -> Sequence[str]:
        """Those of the targets that somebody refers to, exactly as they are."""

    def is_used_by(self, kind: HolderKind, holder: str, targets: Sequence[str]) -> bool:
        """Whether a holder refers to one of the targets, exactly as it is."""

    def used_below(self, target: str) -> Sequence[str]:
        """The targets somebody refers to that lie below one."""

    def bury(self, kind: TombstoneKind, targets: Sequence[str]) -> None:
        """Notes what is to be removed."""

    def buried(self, kind: TombstoneKind, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """(id, target) of what is to be removed, oldest first."""

    def forget(self, ids: Sequence[int]) -> None:
        """Tombstones whose work is done."""


class PruningStore(Protocol):
    """What is no longer kept, found and removed a little at a time."""

    def hold(self, holder: str, until: Micros, now: Micros) -> bool:
        """Takes, or goes on with, the one lease there is; False while somebody else has it."""

    def let_go(self, holder: str) -> None:
        """Gives the lease back."""

    def places(self, project: str, domain: str) -> tuple[str, str] | None:
        """The project and domain after these that has executions."""

    def over(
        self, cut: Cut, project: str, domain: str, before: Micros, limit: int
    ) -> Sequence[OverExecution]:
        """Executions that ended at a time or before and have something to be cut, locked, oldest first."""

    def count_over(self, cut: Cut, project: str, domain: str, before: Micros) -> int:
        """How many there are."""

    def remove(self, keys: Sequence[ExecutionKey]) -> None:
        """Removes the rows that make executions visible."""

    def set_cut(self, cut: Cut, keys: Sequence[ExecutionKey]) -> None:
        """Notes that a part of executions is no longer kept."""

    def clear(self, kind: TombstoneKind, keys: Sequence[ExecutionKey], limit: int) -> int:
        """Deletes rows of executions, up to a limit; fewer than the limit means that none is left."""

    def cache_entries(self, unused_since: Micros | None, now: Micros, limit: int) -> Sequence[str]:
        """Keys of entries that have expired or were not used since a time, locked."""

    def count_cache(self) -> int:
        """How many entries there are."""

    def remove_cache(self, keys: Sequence[str]) -> None:
        """Removes entries."""

    def remove_requests(self, before: Micros, limit: int) -> int:
        """Removes answers given at a time or before."""

    def remove_sessions(self, before: Micros, limit: int) -> int:
        """Removes sessions that ended, and whose lease would have run out, at a time or before."""

    def newest_mark(self) -> Micros | None:
        """When the log of changes was marked last."""

    def mark_changes(self, now: Micros) -> None:
        """Marks where the log of changes stands."""

    def cut_changes(self, before: Micros) -> None:
        """Moves the horizon to the newest mark from a time or before."""

    def remove_changes(self, limit: int) -> int:
        """Removes changes before the horizon."""

    def entities_to_index(self, limit: int) -> Sequence[tuple[int, int, bytes]]:
        """(id, kind, content) of versions whose references nobody has noted yet."""

    def set_indexed(self, id: int) -> None:
        """Notes that the references of versions up to an id are known."""

    def has_legacy(self) -> bool:
        """Whether there are executions whose references nobody has noted."""

    def uids(self, id: ExecutionName) -> Sequence[str]:
        """The uid of the execution of a name, if there is one."""

    def keeps_logs(self, key: ExecutionKey) -> bool:
        """Whether there is an execution of a key whose logs are kept."""


class ObjectSweep(Protocol):
    """Removes objects. It removes what it is told, without asking who refers to it."""

    async def belongs(self, installation_id: str) -> bool:
        """Whether the store belongs to an installation; one that belongs to nobody does from now on."""

    async def remove(self, target: str, but: Sequence[str]) -> int:
        """Removes an object or all below a path, except some; gives how many objects went."""

    async def stale_uploads(self, shard: int, age: timedelta) -> Sequence[str]:
        """Uploads in one of 256 parts of the store that nobody uploaded or asked for since."""

    async def remove_uploads(self, targets: Sequence[str], age: timedelta) -> int:
        """Removes uploads of one part of the store, those that are stale even now; gives how many went."""

    async def remove_incoming(self, age: timedelta) -> int:
        """Removes what is left of uploads that broke off."""
