"""What workers read: values of executions that they hold, and which attempts are live."""

from __future__ import annotations

from collections.abc import Sequence

from voleryidl.worker.v1.worker_service_pb2 import AttemptName, ItemValues, NodeOutput, ValueRef

from volery_controlplane.domain.errors import Stale
from volery_controlplane.domain.records import AttemptRef, ExecutionKey, ExecutionName
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.value_runs import runs, to_output
from volery_controlplane.services.values import INPUTS, OUTPUTS


def live_attempts(tx: Transaction, attempts: Sequence[AttemptName]) -> Sequence[bool]:
    """Which of some attempts have begun and not ended, in their order."""
    refs = [
        AttemptRef(
            ExecutionName(name.execution_id.project, name.execution_id.domain, name.execution_id.name),
            name.execution_uid,
            name.path,
            name.attempt,
        )
        for name in attempts
    ]
    return tx.executions.live(refs)


def values(
    tx: Transaction, key: int, fencing_token: int, refs: Sequence[ValueRef]
) -> list[NodeOutput | ItemValues]:
    """Values of an execution by its holder's token; raises Stale where somebody else holds it."""
    execution = ExecutionKey(key)
    if tx.executions.token(execution) != fencing_token:
        raise Stale("this execution belongs to another holder now")
    found: list[NodeOutput | ItemValues] = []
    for ref in refs:
        if ref.items:
            found.extend(runs(ref.path, tx.executions.item_contents(execution, ref.path, ref.name)))
        else:
            direction = OUTPUTS if ref.path else INPUTS
            rows = tx.executions.values(execution, ref.path, direction, ref.name)
            found.extend(to_output(row) for row in rows)
    return found
