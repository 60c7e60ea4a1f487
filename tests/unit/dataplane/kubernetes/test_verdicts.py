"""Verdicts that lie in an object store which is away, or has lost them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from volery_dataplane.launch.kubernetes import verdicts
from volery_dataplane.launch.kubernetes.verdicts import LONGEST, VerdictLost, fetched, worth
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder, Unreachable
from volery_rules.verdicts import Elsewhere, attempt_tag
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

HOUR = 3600.0


@dataclass
class Store:
    """The `Blobs` port over a store that is away for a while; time passes only where somebody rests."""

    content: bytes | None
    back: float = 0.0
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def get(self, uri: str) -> bytes:
        if self.now < self.back:
            raise Unreachable("it is away")
        if self.content is None:
            raise LookupError(uri)
        return self.content

    async def put(self, uri: str, data: bytes) -> None:
        raise NotImplementedError

    async def put_file(self, path: str, uri: str) -> None:
        raise NotImplementedError


ORDER = AttemptOrder(
    AttemptKey(1, "n", 1, 1), TaskTemplate(), b"", "p/d/e", "p/d", {}, "s3://bucket/executions/e", 0, uid="u"
)
CONTENT = AttemptVerdict(execution_uid="u", path="n", attempt=1, outputs=LiteralMap()).SerializeToString(
    deterministic=True
)
PLACE = Elsewhere(
    "s3://bucket/executions/e/verdict.pb",
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
    attempt_tag("u", "n", 1),
)


async def found(
    monkeypatch: pytest.MonkeyPatch, store: Store, away: float, wanted_until: float = float("inf")
) -> AttemptVerdict:
    monkeypatch.setattr(verdicts, "time", store)
    monkeypatch.setattr(verdicts, "asyncio", SimpleNamespace(sleep=store.sleep))
    return await fetched(ORDER, PLACE, store, 120.0, away, lambda: store.now < wanted_until)


async def test_a_verdict_of_a_long_attempt_waits_for_a_store_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = worth(120.0, 10 * 24 * HOUR)
    assert (await found(monkeypatch, Store(CONTENT, back=HOUR), away)).path == "n"


@pytest.mark.parametrize(("ran", "waits"), [(1.0, 120.0), (HOUR, HOUR), (240 * HOUR, LONGEST)])
async def test_a_store_that_stays_away_is_given_up_after_as_long_as_the_attempt_ran(
    monkeypatch: pytest.MonkeyPatch, ran: float, waits: float
) -> None:
    store = Store(CONTENT, back=float("inf"))
    with pytest.raises(VerdictLost, match="it is away"):
        await found(monkeypatch, store, worth(120.0, ran))
    assert waits - 10.0 <= store.now <= waits


async def test_a_verdict_that_is_not_there_is_not_waited_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(None)
    with pytest.raises(VerdictLost, match="nothing lies"):
        await found(monkeypatch, store, LONGEST)
    assert store.now <= 120.0


async def test_a_verdict_that_nobody_wants_any_more_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(CONTENT, back=LONGEST)
    with pytest.raises(VerdictLost):
        await found(monkeypatch, store, LONGEST, wanted_until=300.0)
    assert store.now <= 310.0
