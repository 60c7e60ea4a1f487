"""Uses: notes who refers to which object, in the transaction that makes the reference.

What an execution refers to among its own objects needs no note: they live as long as it does. Everything else
is noted where it begins: when somebody gives an input, when a node gives on what it was given, when a result
is put into the cache, when a version is registered. A hit takes over what its entry refers to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import Message

from volery_controlplane.domain.records import CacheRow, ExecutionHead, ExecutionKey, Micros, ValueRow
from volery_controlplane.domain.references import EXECUTIONS, LOGS, UPLOADS, References
from volery_controlplane.domain.retention import HolderKind, TombstoneKind
from volery_controlplane.services.ports import Transaction

TOUCH_AFTER: Final = 3_600_000_000
"""Microseconds: how far behind the time of an entry's last use may be, so that few hits write."""


def note_values(
    tx: Transaction, references: References, written: Sequence[tuple[ExecutionHead, Sequence[ValueRow]]]
) -> None:
    """Notes what nodes gave that lies among the objects of others."""
    uses = []
    for head, rows in written:
        for row in rows:
            for target in references.of_literal(row.content):
                if not target.startswith(f"{EXECUTIONS}/{head.project}/{head.domain}/{head.name}/"):
                    uses.append((str(head.key), target))
    if uses:
        tx.objects.use(HolderKind.EXECUTION, uses)


def note_inputs(tx: Transaction, references: References, key: ExecutionKey, rows: Sequence[ValueRow]) -> None:
    """Notes what somebody gave to an execution."""
    uses = [(str(key), target) for row in rows for target in references.of_literal(row.content)]
    if uses:
        tx.objects.use(HolderKind.EXECUTION, uses)


def note_hits(
    tx: Transaction, hits: Sequence[tuple[str, int]], found: Mapping[str, CacheRow], now: Micros
) -> None:
    """Notes that executions took over what cache entries, as (cache key, execution key), refer to."""
    with_objects = [(entry, str(key)) for entry, key in hits if b"://" in found[entry].outputs]
    if with_objects:
        tx.objects.share(with_objects)
    unnoted = {entry for entry, _ in hits if found[entry].last_use_time < now - TOUCH_AFTER}
    if unnoted:
        tx.cache.touch(sorted(unnoted), now)


def note_entries(tx: Transaction, references: References, rows: Sequence[CacheRow]) -> None:
    """Notes what cache entries refer to, and no longer what the entries they replaced did."""
    forget(tx, HolderKind.CACHE_ENTRY, [row.key for row in rows])
    uses = [(row.key, target) for row in rows for target in references.of_map(row.outputs)]
    if uses:
        tx.objects.use(HolderKind.CACHE_ENTRY, uses)


def note_entities(tx: Transaction, references: References, contents: Sequence[tuple[int, Message]]) -> None:
    """Notes what versions, by id, refer to: their code, and files among their defaults."""
    uses = [(str(id), target) for id, message in contents for target in references.of(message)]
    if uses:
        tx.objects.use(HolderKind.ENTITY, uses)


def note_orphans(tx: Transaction, references: References, uris: Sequence[str]) -> None:
    """Notes logs that were stored for an execution that is not there any more."""
    targets = [target for uri in uris if (target := references.target(uri)) and target.startswith(f"{LOGS}/")]
    if targets:
        tx.objects.bury(TombstoneKind.OBJECTS, targets)


def forget(tx: Transaction, kind: HolderKind, holders: Sequence[str]) -> None:
    """Holders are gone: what they referred to is removed, unless somebody else refers to it or made it.

    Uploads need no tombstone; they are looked through in any case.
    """
    freed = tx.objects.release(kind, holders)
    others = [target for target in freed if not target.startswith(f"{UPLOADS}/")]
    if others:
        tx.objects.bury(TombstoneKind.OBJECTS, others)
