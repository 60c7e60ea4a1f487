"""Sessions, cache, logs, requests."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.store.rows import insert
from volery_controlplane.domain.errors import RequestIdReused, Stale
from volery_controlplane.domain.records import (
    CacheRow,
    ExecutionKey,
    ExecutionName,
    LogRow,
    Micros,
    SessionRecord,
    StoredRequest,
)
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase


def session(name: str, worker: str = "w1", expire: int = 100) -> SessionRecord:
    return SessionRecord(name, worker, Micros(expire), False)


async def test_a_new_session_ends_older_ones_of_its_worker(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        assert tx.sessions.open(session("s1")) == []
        assert tx.sessions.open(session("other", "w2")) == []
        assert tx.sessions.open(session("s2")) == ["s1"]
        assert tx.sessions.open(session("s3")) == ["s2"]
        found = tx.sessions.get("s1")
        assert found == SessionRecord("s1", "w1", Micros(100), True)
        assert tx.sessions.get("other") == session("other", "w2")
        assert tx.sessions.get("none") is None

    await database.transact(intention)


async def test_a_session_is_taken_up_again_unless_it_has_ended(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        tx.sessions.open(session("s1"))
        assert tx.sessions.open(session("s1", expire=200)) == []
        assert tx.sessions.get("s1") == session("s1", expire=200)
        tx.sessions.end("s1")

    await database.transact(intention)
    with pytest.raises(Stale):
        await database.transact(lambda tx: tx.sessions.open(session("s1")))


async def test_a_lease_is_extended_while_the_session_lives(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        tx.sessions.open(session("s1"))
        assert tx.sessions.renew("s1", Micros(300), Micros(250), 1, 2)
        renewed = replace(session("s1", expire=300), renew_time=Micros(250), busy_slots=1, waiting_attempts=2)
        assert tx.sessions.get("s1") == renewed
        assert tx.sessions.all_open(10) == [renewed]
        tx.sessions.end("s1")
        assert tx.sessions.all_open(10) == []
        assert not tx.sessions.renew("s1", Micros(400), Micros(250), 1, 2)
        assert not tx.sessions.renew("none", Micros(400), Micros(250), 1, 2)

    await database.transact(intention)


async def test_leases_run_out_once(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        tx.sessions.open(session("s1", "w1", 100))
        tx.sessions.open(session("s2", "w2", 101))
        assert tx.sessions.expire(Micros(99)) == []
        assert tx.sessions.expire(Micros(100)) == ["s1"]
        assert tx.sessions.expire(Micros(100)) == []
        assert not tx.sessions.renew("s1", Micros(900), Micros(250), 1, 2)

    await database.transact(intention)


async def test_leases_that_end_later_than_any_can_are_shortened(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        tx.sessions.open(session("s1", "w1", 100))
        tx.sessions.open(session("s2", "w2", 9_000))
        tx.sessions.open(session("s3", "w3", 9_000))
        tx.sessions.end("s3")
        assert tx.sessions.bound(Micros(1_000), Micros(200)) == 1
        assert tx.sessions.get("s1") == session("s1", "w1", 100)
        assert tx.sessions.get("s2") == session("s2", "w2", 200)

    await database.transact(intention)


def cached(key: str, outputs: bytes = b"outputs", created: int = 10, expire: int | None = None) -> CacheRow:
    return CacheRow(
        key=key,
        execution=ExecutionName("shop", "development", "one"),
        node_path="n1/2",
        attempt=3,
        create_time=Micros(created),
        expire_time=None if expire is None else Micros(expire),
        key_parts={"task": "é", "inputs": "x"},
        task="shop/development/load@v1",
        outputs=outputs,
    )


async def test_a_result_is_kept_until_it_expires(database: SqlDatabase) -> None:
    forever, short = cached("forever"), cached("short", expire=20)

    def intention(tx: Transaction) -> None:
        assert tx.cache.put(forever, overwrite=False)
        assert tx.cache.put(short, overwrite=False)
        both = {"forever": forever, "short": short}
        assert tx.cache.get(["short", "forever", "none"], Micros(19)) == both
        assert tx.cache.get(["short", "forever"], Micros(20)) == {"forever": forever}
        assert tx.cache.get([], Micros(1)) == {}

    await database.transact(intention)


async def test_a_result_is_replaced_on_request_or_when_expired(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        assert tx.cache.put(cached("k", b"1", created=10, expire=20), overwrite=False)
        assert not tx.cache.put(cached("k", b"2", created=19), overwrite=False)
        assert tx.cache.get(["k"], Micros(11))["k"].outputs == b"1"
        assert tx.cache.put(cached("k", b"3", created=20), overwrite=False)
        assert not tx.cache.put(cached("k", b"4", created=99), overwrite=False)
        assert tx.cache.put(cached("k", b"5", created=99), overwrite=True)
        assert tx.cache.get(["k"], Micros(11))["k"] == cached("k", b"5", created=99)

    await database.transact(intention)


def request(id: str = "r1", fingerprint: str = "f") -> StoredRequest:
    return StoredRequest(id, "CreateExecution", fingerprint, b"answer", Micros(1))


async def test_an_answer_is_kept_under_its_request_id(database: SqlDatabase) -> None:
    await database.transact(lambda tx: tx.requests.put(request()))
    assert await database.read(lambda tx: tx.requests.get("r1")) == request()
    assert await database.read(lambda tx: tx.requests.get("r2")) is None
    with pytest.raises(RequestIdReused):
        await database.transact(lambda tx: tx.requests.put(request(fingerprint="other")))


async def test_racing_repeats_of_a_request_act_once(database: SqlDatabase) -> None:
    def create(tx: Transaction) -> str:
        standing = tx.requests.get("r1")
        if standing is not None:
            return "repeat"
        insert(tx, f"e{id(tx)}")
        tx.requests.put(request())
        return "first"

    answers = await asyncio.gather(*(database.transact(create) for _ in range(12)))
    assert sorted(answers) == ["first"] + ["repeat"] * 11


def piece(path: str, offset: int, data: bytes = b"text", **changes: object) -> LogRow:
    fields: dict[str, object] = {"attempt": 1, "stream": 1, "uri": "", "size": len(data), "time": Micros(3)}
    return LogRow(path=path, offset=offset, data=data, **{**fields, **changes})  # type: ignore[arg-type]  # fields by name


def texts(rows: object) -> list[bytes]:
    return [row.data or row.uri.encode() for row in rows]  # type: ignore[attr-defined]  # log rows


async def test_logs_come_in_the_order_of_collection(database: SqlDatabase) -> None:
    key = await database.transact(insert)
    other = await database.transact(lambda tx: insert(tx, "two"))
    await database.transact(lambda tx: tx.logs.append(key, [piece("n1/10", 0, b"a"), piece("n1/2", 0, b"b")]))
    await database.transact(lambda tx: tx.logs.append(other, [piece("n1", 0, b"other")]))
    await database.transact(
        lambda tx: tx.logs.append(
            key, [piece("n1", 0, b"c"), piece("n10", 0, b"d"), piece("n1/2", 0, b"e", attempt=2)]
        )
    )

    def query(tx: Transaction) -> None:
        rows = tx.logs.read(key, "", 0, 0, 99)
        assert texts(rows) == [b"a", b"b", b"c", b"d", b"e"]
        assert [row.path for row in rows] == ["n1/10", "n1/2", "n1", "n10", "n1/2"]
        assert texts(tx.logs.read(key, "", 0, rows[1].serial, 2)) == [b"c", b"d"]
        assert texts(tx.logs.read(key, "n1", 0, 0, 99)) == [b"a", b"b", b"c", b"e"]
        assert texts(tx.logs.read(key, "n1/2", 0, 0, 99)) == [b"b", b"e"]
        assert texts(tx.logs.read(key, "n1/2", 2, 0, 99)) == [b"e"]
        assert texts(tx.logs.read(key, "n2", 0, 0, 99)) == []
        assert texts(tx.logs.read(ExecutionKey(other), "", 0, 0, 99)) == [b"other"]

    await database.read(query)


async def test_a_piece_that_comes_twice_is_kept_once(database: SqlDatabase) -> None:
    key = await database.transact(insert)
    rows = [piece("n1", 0, b"ab"), piece("n1", 2, b"cd"), piece("n1", 0, b"err", stream=2)]
    for _ in range(2):
        await database.transact(lambda tx: tx.logs.append(key, rows))
    await database.transact(lambda tx: tx.logs.append(key, []))
    assert texts(await database.read(lambda tx: tx.logs.read(key, "", 0, 0, 9))) == [b"ab", b"cd", b"err"]


async def test_a_whole_log_replaces_its_pieces_for_good(database: SqlDatabase) -> None:
    key = await database.transact(insert)
    early = [piece("n1", 0, b"ab"), piece("n1", 0, b"err", stream=2), piece("n1", 0, b"again", attempt=2)]
    whole = piece("n1", 0, b"", uri="file:///log", size=4)
    await database.transact(lambda tx: tx.logs.append(key, early))
    await database.transact(
        lambda tx: tx.logs.append(key, [piece("n1", 2, b"cd"), whole, piece("n1", 4, b"x")])
    )
    await database.transact(lambda tx: tx.logs.append(key, [*early, piece("n1", 9, b"late"), whole]))
    rows = await database.read(lambda tx: tx.logs.read(key, "", 0, 0, 9))
    assert texts(rows) == [b"err", b"again", b"file:///log"]
    assert rows[2].size == 4


async def test_a_log_whose_beginning_its_node_had_thrown_away_does_not_replace_it(
    database: SqlDatabase,
) -> None:
    """A worker that takes a pod over reads what is left of its log, which may be the newest part alone."""
    key = await database.transact(insert)
    early = [piece("n1", 0, b"first "), piece("n1", 6, b"second "), piece("n1", 0, b"other", stream=2)]
    rest = piece("n1", 0, b"", uri="file:///log", size=5)
    await database.transact(lambda tx: tx.logs.append(key, early))
    for _ in range(2):  # it may be told twice
        await database.transact(lambda tx: tx.logs.append(key, [rest]))
    rows = await database.read(lambda tx: tx.logs.read(key, "", 0, 0, 9))
    assert texts(rows) == [b"first ", b"second ", b"other", b"file:///log"]
    assert rows[-1].offset == 13
    await database.transact(
        lambda tx: tx.logs.append(key, [piece("n2", 0, b"long"), piece("n2", 0, b"", uri="u", size=2)])
    )
    assert texts(await database.read(lambda tx: tx.logs.read(key, "n2", 0, 0, 9))) == [b"long", b"u"]


async def test_who_follows_a_log_misses_nothing(database: SqlDatabase) -> None:
    """Serials rise in the order of commits: a reader never finds a smaller one later."""
    key = await database.transact(insert)
    seen: list[bytes] = []
    done = asyncio.Event()

    async def follow() -> None:
        after = 0
        while True:
            last = done.is_set()
            rows = await database.read(lambda tx, after=after: tx.logs.read(key, "", 0, after, 7))  # type: ignore[misc]  # mypy infers no lambda defaults
            seen.extend(texts(rows))
            if rows:
                after = rows[-1].serial
            elif last:
                return

    async def write(path: str) -> None:
        for offset in range(20):
            text = f"{path}-{offset}".encode()
            row = piece(path, offset, text)
            await database.transact(lambda tx, row=row: tx.logs.append(key, [row]))  # type: ignore[misc]  # as above

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        async with asyncio.TaskGroup() as writers:
            for number in range(5):
                writers.create_task(write(f"n{number}"))
        done.set()
    assert len(seen) == len(set(seen)) == 100


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=64),
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
async def test_bytes_and_text_come_back_as_they_were(database: SqlDatabase, data: bytes, text: str) -> None:
    row = cached("k", data)
    row = CacheRow(
        **{**{name: getattr(row, name) for name in row.__slots__}, "task": text, "key_parts": {text: text}}
    )  # type: ignore[attr-defined]  # slots of a dataclass
    await database.transact(lambda tx: tx.cache.put(row, overwrite=True))
    assert (await database.read(lambda tx: tx.cache.get(["k"], Micros(0))))["k"] == row
