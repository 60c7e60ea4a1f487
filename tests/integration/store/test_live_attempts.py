from __future__ import annotations

from integration.store.rows import NODE_QUEUED, NODE_RUNNING, NODE_SUCCEEDED, NODE_WAITING, apply, held, node
from volery_controlplane.domain.records import AttemptRef, ExecutionName, ExecutionRecord
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase


async def test_attempts_are_live_from_their_intention_to_their_end(database: SqlDatabase) -> None:
    def scene(tx: Transaction) -> ExecutionRecord:
        key = held(tx)
        apply(
            tx,
            key,
            [
                node("n0", NODE_QUEUED),
                node("n1", NODE_RUNNING, attempt=3),
                node("n2", NODE_WAITING, attempt=1),
                node("n3", NODE_SUCCEEDED),
                node("m/7", NODE_RUNNING),
            ],
        )
        return tx.executions.by_key([key])[key]

    record = await database.transact(scene)
    one, uid = record.id, record.uid
    asked = {
        ("n0", 1): True,
        ("n0", 2): False,
        ("n1", 2): False,
        ("n1", 3): True,
        ("n2", 1): False,
        ("n3", 1): False,
        ("n4", 1): False,
        ("m/7", 1): True,
    }
    refs = [AttemptRef(one, uid, path, attempt) for path, attempt in asked]
    others = [
        AttemptRef(one, "another", "n0", 1),
        AttemptRef(ExecutionName(one.project, one.domain, "two"), uid, "n0", 1),
        AttemptRef(ExecutionName("", "", ""), "", "", 0),
        AttemptRef(one, uid, "m/99999999999", 1),
        AttemptRef(one, uid, "n0\0", 1),
    ]
    found = await database.read(lambda tx: tx.executions.live([*others, *refs]))
    assert found == [*[False] * len(others), *asked.values()]
    assert await database.read(lambda tx: tx.executions.live([])) == []
