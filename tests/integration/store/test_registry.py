from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from integration.store.rows import new_execution
from volery_controlplane.domain.errors import AlreadyExists, NotFound
from volery_controlplane.domain.filters import Condition, Operator, Order, Query
from volery_controlplane.domain.records import EntityName, EntityRecord, Micros, ProjectRecord
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase

NIGHTLY = EntityName(3, "shop", "development", "nightly")
RESTOCK = EntityName(2, "shop", "development", "restock")


def entity(name: EntityName, version: str, time: int = 1, **changes: object) -> EntityRecord:
    record = EntityRecord(name, version, f"d-{version}", b"content", "closure", "summary", Micros(time))
    return replace(record, **changes)  # type: ignore[arg-type]  # fields by name


async def test_versions_read_back_and_closures_are_kept_once(database: SqlDatabase) -> None:
    first, second = entity(RESTOCK, "v1"), entity(RESTOCK, "v2", 2)

    def intention(tx: Transaction) -> None:
        tx.entities.insert([first], {"a": b"A", "b": b"B"})
        tx.entities.insert([second], {"b": b"B", "c": b"C"})
        tx.entities.insert([], {})

    await database.transact(intention)

    def query(tx: Transaction) -> None:
        asked = [(RESTOCK, "v1"), (RESTOCK, "v9"), (NIGHTLY, "v1"), (RESTOCK, "v1")]
        assert tx.entities.get(asked) == {(RESTOCK, "v1"): first}
        assert tx.entities.newest(RESTOCK) == second
        assert tx.entities.newest(NIGHTLY) is None
        assert [tx.entities.closure(digest) for digest in "abcd"] == [b"A", b"B", b"C", None]

    await database.read(query)


async def test_the_newest_is_the_one_registered_last_whatever_the_clock_says(database: SqlDatabase) -> None:
    await database.transact(lambda tx: tx.entities.insert([entity(RESTOCK, "v2", 9)], {}))
    await database.transact(lambda tx: tx.entities.insert([entity(RESTOCK, "v1", 1)], {}))
    newest = await database.read(lambda tx: tx.entities.newest(RESTOCK))
    assert newest is not None
    assert newest.version == "v1"


async def test_a_version_is_never_written_again(database: SqlDatabase) -> None:
    await database.transact(lambda tx: tx.entities.insert([entity(RESTOCK, "v1")], {}))
    again = [entity(NIGHTLY, "v1"), entity(RESTOCK, "v1", content=b"other")]
    with pytest.raises(AlreadyExists) as refused:
        await database.transact(lambda tx: tx.entities.insert(again, {"a": b"A"}))
    assert refused.value.metadata["resource_name"] == "shop/development/restock@v1"

    def query(tx: Transaction) -> None:
        assert tx.entities.newest(NIGHTLY) is None
        assert tx.entities.closure("a") is None
        assert tx.entities.newest(RESTOCK) == entity(RESTOCK, "v1")

    await database.read(query)


async def test_lists_of_versions_and_of_names(database: SqlDatabase) -> None:
    names = [EntityName(2, "shop", "development", name) for name in ("b", "a", "c")]
    versions = [
        entity(name, version, time)
        for time, version in enumerate(("v1", "v2", "v3"))
        for name in names
        if (name.name, version) != ("c", "v3")
    ]
    elsewhere = entity(EntityName(2, "shop", "production", "a"), "v9", 99)
    await database.transact(lambda tx: tx.entities.insert([*versions, elsewhere], {}))

    def listed(tx: Transaction, name: str, newest: bool, order: Order | None, limit: int) -> list[str]:
        found: list[EntityRecord] = []
        after = None
        while page := tx.entities.page(
            2, "shop", "development", name, newest, Query(limit, None, order, after)
        ):
            found += page
            after = tx.entities.cursor_of(page[-1], order)
        return [f"{record.name.name}-{record.version}" for record in found]

    def query(tx: Transaction) -> None:
        for limit in (1, 2, 3, 99):
            assert listed(tx, "a", False, None, limit) == ["a-v3", "a-v2", "a-v1"]
            assert listed(tx, "", True, Order("name"), limit) == ["a-v3", "b-v3", "c-v2"]
            assert listed(tx, "", True, Order("name", True), limit) == ["c-v2", "b-v3", "a-v3"]
            assert listed(tx, "", True, None, limit) == ["b-v3", "a-v3", "c-v2"]
            by_time = ["a-v1", "b-v1", "c-v1", "a-v2", "b-v2", "c-v2", "a-v3", "b-v3"]
            assert listed(tx, "", False, Order("create_time"), limit) == by_time
        late = Condition("create_time", Operator.GREATER_OR_EQUAL, 2)
        page = tx.entities.page(2, "shop", "development", "", False, Query(9, late))
        assert [record.name.name for record in page] == ["b", "a"]

    await database.read(query)


async def test_one_version_is_active_at_a_time(database: SqlDatabase) -> None:
    plans = [entity(NIGHTLY, version) for version in ("v1", "v2")]
    await database.transact(lambda tx: tx.entities.insert(plans, {}))

    def intention(tx: Transaction) -> None:
        assert tx.entities.active(NIGHTLY) is None
        first = tx.entities.activate(NIGHTLY, "v1", "ada", Micros(10))
        assert (first.version, first.activate_time, first.deactivate_time) == ("v1", 10, None)
        assert tx.entities.activate(NIGHTLY, "v1", "bob", Micros(11)) == first
        tx.entities.activate(NIGHTLY, "v2", "bob", Micros(20))
        active = tx.entities.active(NIGHTLY)
        assert active == replace(plans[1], active=True)
        assert tx.entities.get([(NIGHTLY, "v1")])[NIGHTLY, "v1"].active is False
        page = tx.entities.page(3, "shop", "development", "nightly", False, Query(9))
        assert {record.version: record.active for record in page} == {"v1": False, "v2": True}

    await database.transact(intention)


async def test_a_rollback_is_an_activation_and_history_tells(database: SqlDatabase) -> None:
    plans = [entity(NIGHTLY, version) for version in ("v1", "v2")]

    def intention(tx: Transaction) -> None:
        tx.entities.insert(plans, {})
        for version in ("v1", "v2", "v1"):  # all at the same time, by the clock
            tx.entities.activate(NIGHTLY, version, version, Micros(10))
        ended = tx.entities.deactivate(NIGHTLY, Micros(5))
        assert ended is not None
        assert (ended.version, ended.activate_time, ended.deactivate_time) == ("v1", 12, 12)
        assert tx.entities.deactivate(NIGHTLY, Micros(30)) is None
        assert tx.entities.active(NIGHTLY) is None

    await database.transact(intention)

    def query(tx: Transaction) -> list[tuple[str, int, int | None, str]]:
        found = []
        after = None
        while page := tx.entities.activations(NIGHTLY, Query(1, after=after)):
            after = tx.entities.activation_cursor_of(page[-1])
            found += [(row.version, row.activate_time, row.deactivate_time, row.principal) for row in page]
        return found

    assert await database.read(query) == [
        ("v1", 12, 12, "v1"),
        ("v2", 11, 12, "v2"),
        ("v1", 10, 11, "v1"),
    ]


async def test_what_is_not_registered_cannot_be_activated(database: SqlDatabase) -> None:
    with pytest.raises(NotFound):
        await database.transact(lambda tx: tx.entities.activate(NIGHTLY, "v1", "ada", Micros(1)))


async def test_simultaneous_activations_leave_one_active(database: SqlDatabase) -> None:
    plans = [entity(NIGHTLY, f"v{number}") for number in range(8)]
    await database.transact(lambda tx: tx.entities.insert(plans, {}))
    await asyncio.gather(
        *(
            database.transact(
                lambda tx, version=plan.version: tx.entities.activate(NIGHTLY, version, "ada", tx.now)  # type: ignore[misc]  # mypy infers no lambda defaults
            )
            for plan in plans
        )
    )
    history = await database.read(lambda tx: tx.entities.activations(NIGHTLY, Query(99)))
    assert len(history) == 8
    assert [row.deactivate_time is None for row in history] == [True] + [False] * 7


def project(name: str, **changes: object) -> ProjectRecord:
    record = ProjectRecord(name, name.title(), "", {}, False, Micros(7))
    return replace(record, **changes)  # type: ignore[arg-type]  # fields by name


async def test_projects_are_added_changed_and_listed(database: SqlDatabase) -> None:
    shop, lab = project("shop", labels={"team": "a"}), project("lab", labels={"team": "b", "x": ""})
    changed = replace(lab, display_name="Laboratory", labels={"team": "a"}, archived=True)

    def intention(tx: Transaction) -> None:
        tx.projects.insert(shop)
        tx.projects.insert(lab)
        tx.projects.update(replace(changed, create_time=Micros(99)))

    await database.transact(intention)

    def query(tx: Transaction) -> None:
        assert tx.projects.get("lab") == changed
        assert tx.projects.get("none") is None
        assert tx.projects.page(Query(9)) == [changed, shop]
        (first,) = tx.projects.page(Query(1))
        assert tx.projects.page(Query(1, after=tx.projects.cursor_of(first, None))) == [shop]
        descending = Order("project_id", descending=True)
        (last,) = tx.projects.page(Query(1, order=descending))
        after = tx.projects.cursor_of(last, descending)
        assert tx.projects.page(Query(9, order=descending, after=after)) == [changed]
        assert tx.projects.page(Query(9, Condition("state", Operator.EQUAL, 2))) == [changed]
        assert tx.projects.page(Query(9, Condition("state", Operator.NOT_EQUAL, 2))) == [shop]
        assert tx.projects.page(Query(9, Condition("labels.team", Operator.EQUAL, "a"))) == [changed, shop]
        assert tx.projects.page(Query(9, Condition("labels.x", Operator.HAS, "*"))) == []
        assert tx.projects.page(Query(9, Condition("project_id", Operator.HAS, "ho"))) == [shop]

    await database.read(query)


async def test_a_project_is_added_once_and_changed_only_when_there(database: SqlDatabase) -> None:
    await database.transact(lambda tx: tx.projects.insert(project("shop")))
    with pytest.raises(AlreadyExists):
        await database.transact(lambda tx: tx.projects.insert(project("shop", display_name="Other")))
    with pytest.raises(NotFound):
        await database.transact(lambda tx: tx.projects.update(project("lab")))
    found = await database.read(lambda tx: tx.projects.get("shop"))
    assert found == project("shop")


async def test_the_installation_keeps_its_id(database: SqlDatabase, url: str) -> None:
    again = SqlDatabase.open(url)
    try:
        assert again.installation_id() == database.installation_id() != ""
        await again.transact(lambda tx: tx.executions.insert(new_execution("one"), []))
    finally:
        again.close()
