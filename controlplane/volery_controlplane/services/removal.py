"""Removal: makes executions disappear, and leaves notes of what is then to be cleared away."""

from __future__ import annotations

from collections.abc import Sequence

from volery_controlplane.domain.records import OverExecution
from volery_controlplane.domain.references import execution_logs, execution_objects
from volery_controlplane.domain.retention import HolderKind, TombstoneKind
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.uses import forget


def remove_executions(tx: Transaction, over: Sequence[OverExecution]) -> None:
    """Makes executions that have ended disappear; what is left of them goes by its tombstones."""
    keys = [each.key for each in over]
    forget(tx, HolderKind.EXECUTION, [str(key) for key in keys])
    tx.pruning.remove(keys)
    tx.objects.bury(TombstoneKind.ROWS, [str(key) for key in keys])
    objects = [execution_objects(each.id.project, each.id.domain, each.id.name, each.uid) for each in over]
    tx.objects.bury(TombstoneKind.OBJECTS, [*objects, *(execution_logs(key) for key in keys)])
