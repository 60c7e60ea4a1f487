from __future__ import annotations

import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.store.rows import NODE_FAILED, NODE_SUCCEEDED, apply, claim, held, insert, node, output
from volery_controlplane.domain.filters import And, Condition, Filter, Not, Operator, Or, Query
from volery_controlplane.domain.records import ExecutionKey, NodeRow
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase
from volery_rules import paths

TREE = ["n0", "n1", "n1/0", "n1/2", "n1/2/n0", "n1/2/n0/7", "n1/10", "n1/10/n0", "n10", "n1a", "n2"]


def planted(tx: Transaction) -> ExecutionKey:
    key = held(tx)
    apply(tx, key, [node(path) for path in reversed(TREE)])
    return key


async def test_a_snapshot_is_read_in_the_order_of_paths(database: SqlDatabase) -> None:
    key = await database.transact(planted)

    def query(tx: Transaction) -> list[str]:
        found: list[str] = []
        while page := tx.executions.nodes(key, found[-1] if found else "", 3):
            found += [row.path for row in page]
        return found

    assert await database.read(query) == sorted(TREE, key=paths.sort_key)
    assert await database.read(lambda tx: tx.executions.nodes(ExecutionKey(key + 1), "", 9)) == []


async def test_children_and_descendants_are_paged(database: SqlDatabase) -> None:
    key = await database.transact(planted)

    def listed(tx: Transaction, parent: str, recursive: bool) -> list[str]:
        found: list[NodeRow] = []
        after = None
        while page := tx.executions.node_page(key, parent, recursive, Query(2, after=after)):
            found += page
            after = tx.executions.node_cursor_of(page[-1])
        return [row.path for row in found]

    def query(tx: Transaction) -> None:
        assert listed(tx, "", recursive=False) == ["n0", "n1", "n10", "n1a", "n2"]
        assert listed(tx, "n1", recursive=False) == ["n1/0", "n1/2", "n1/10"]
        assert listed(tx, "n1", recursive=True) == [
            "n1/0",
            "n1/2",
            "n1/2/n0",
            "n1/2/n0/7",
            "n1/10",
            "n1/10/n0",
        ]
        assert listed(tx, "n1/2", recursive=False) == ["n1/2/n0"]
        assert listed(tx, "n0", recursive=True) == []
        assert listed(tx, "", recursive=True) == sorted(TREE, key=paths.sort_key)

    await database.read(query)


async def test_nodes_are_found_by_path(database: SqlDatabase) -> None:
    key = await database.transact(planted)

    def query(tx: Transaction) -> None:
        found = tx.executions.nodes_by_path(key, ["n2", "n1/10", "none", "n1/2"])
        assert [row.path for row in found] == ["n1/2", "n1/10", "n2"]
        assert tx.executions.nodes_by_path(key, []) == []
        assert tx.executions.node(key, "n1/10") == node("n1/10")
        assert tx.executions.node(key, "n1/1") is None

    await database.read(query)


async def test_outputs_of_items_come_in_the_order_of_indexes(database: SqlDatabase) -> None:
    values = [
        output("n1/10", "a", b"ten"),
        output("n1/2", "b", b"two-b"),
        output("n1/2", "a", b"two-1", chunk=1, of=2),
        output("n1/2", "a", b"two-0", chunk=0, of=2),
        output("n1/2/n0", "a", b"inner"),
        output("n1", "a", b"map"),
        output("n10/0", "a", b"other map"),
    ]

    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [], [], values)
        return key

    key = await database.transact(intention)

    def query(tx: Transaction) -> None:
        items = tx.executions.item_values(key, "n1")
        assert [row.content for row in items] == [b"two-0", b"two-1", b"two-b", b"ten"]
        assert items[0].path == "n1/2"
        assert [row.content for row in tx.executions.item_values(key, "n1", "b")] == [b"two-b"]
        assert [row.content for row in tx.executions.values(key, "n1/2", 2)] == [b"two-0", b"two-1", b"two-b"]
        assert tx.executions.values(key, "n1/2", 1) == []

    await database.read(query)


async def test_a_value_is_written_again_by_the_next_attempt(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [], [], [output("n0", content=b"first")])
        apply(tx, key, [], [], [output("n0", content=b"second")])
        return key

    key = await database.transact(intention)
    (value,) = await database.read(lambda tx: tx.executions.values(key, "n0", 2))
    assert value.content == b"second"


async def test_pages_of_output_names_never_tear_a_node_apart(database: SqlDatabase) -> None:
    values = [
        output("n0", "a"),
        output("n1/2", "a", chunk=0, of=2),
        output("n1/2", "a", chunk=1, of=2),
        *(output("n1/10", name) for name in "abcde"),
        output("n2", "z"),
        output("", "result"),
    ]

    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [], [], values)
        return key

    key = await database.transact(intention)
    expected = [("n0", "a"), ("n1/2", "a"), *(("n1/10", name) for name in "abcde"), ("n2", "z")]
    for limit in range(1, 10):

        def query(tx: Transaction, limit: int = limit) -> list[tuple[str, str]]:
            found: list[tuple[str, str]] = []
            while page := tx.executions.output_names(key, found[-1][0] if found else "", limit):
                found += page
            return found

        assert await database.read(query) == expected


FILTERS: list[tuple[Filter, list[str]]] = [
    (Condition("phase", Operator.EQUAL, NODE_FAILED), ["n1/2", "n1/10"]),
    (Condition("phase", Operator.NOT_EQUAL, NODE_FAILED), ["n0", "n1"]),
    (Condition("path", Operator.EQUAL, "n1/10"), ["n1/10"]),
    (Condition("path", Operator.HAS, "1/2"), ["n1/2"]),
    (Condition("path", Operator.HAS, "0"), ["n0", "n1/10"]),
    (Condition("path", Operator.LESS, "n1/10"), ["n0", "n1", "n1/2"]),
    (Condition("path", Operator.HAS, "*"), []),
    (Condition("target_name", Operator.HAS, "*"), ["n0"]),
    (Condition("target_name", Operator.HAS, "oa"), ["n0"]),
    (Condition("target_name", Operator.HAS, "OA"), []),
    (And((Condition("kind", Operator.EQUAL, 1), Not(Condition("path", Operator.HAS, "n1")))), ["n0"]),
    (Or(()), []),
    (And(()), ["n0", "n1", "n1/2", "n1/10"]),
]


async def test_lists_of_nodes_are_filtered(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        rows = [node("n0", NODE_SUCCEEDED, target_name="load"), node("n1")]
        apply(tx, key, [*rows, node("n1/2", NODE_FAILED), node("n1/10", NODE_FAILED)])
        return key

    key = await database.transact(intention)

    def query(tx: Transaction) -> None:
        for filter, expected in FILTERS:
            found = tx.executions.node_page(key, "", True, Query(99, filter))
            assert [row.path for row in found] == expected, filter

    await database.read(query)


SEGMENT = st.one_of(
    st.integers(0, 200).map(str), st.text("abn_-0129", min_size=1, max_size=3).map(lambda s: "n" + s)
)
PATHS = st.lists(
    st.lists(SEGMENT, min_size=1, max_size=4).map("/".join), min_size=1, max_size=25, unique_by=paths.sort_key
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=PATHS, limit=st.integers(1, 5), data=st.data())
async def test_any_tree_is_listed_as_its_sorted_paths_would_be(
    database: SqlDatabase, tree: list[str], limit: int, data: st.DataObject
) -> None:
    parent = data.draw(st.sampled_from(["", *tree]))
    name = uuid.uuid4().hex  # no example sees another's rows

    def intention(tx: Transaction) -> ExecutionKey:
        key = insert(tx, name)
        assert claim(tx, name, name) == [key]
        apply(tx, key, [node(path) for path in tree])
        return key

    key = await database.transact(intention)
    ordered = sorted(tree, key=paths.sort_key)

    def listed(tx: Transaction, recursive: bool) -> list[str]:
        found: list[NodeRow] = []
        after = None
        while page := tx.executions.node_page(key, parent, recursive, Query(limit, after=after)):
            found += page
            after = tx.executions.node_cursor_of(page[-1])
        return [row.path for row in found]

    assert await database.read(lambda tx: listed(tx, recursive=True)) == [
        path for path in ordered if paths.is_below(path, parent)
    ]
    assert await database.read(lambda tx: listed(tx, recursive=False)) == [
        path for path in ordered if paths.parent(path) == parent
    ]


async def test_a_snapshot_tells_of_items_that_have_succeeded_in_runs(database: SqlDatabase) -> None:
    named_like_an_index = "n1234567890"  # as long as an index, and a node all the same
    nodes = [
        node("n1", kind=2),
        *(node(f"n1/{index}", NODE_SUCCEEDED) for index in (0, 1, 2, 5, 6, 10)),
        node("n1/3", NODE_FAILED),
        node("n1/7", NODE_SUCCEEDED, kind=3),
        node("n1/7/n2", kind=2),
        *(node(f"n1/7/n2/{index}", NODE_SUCCEEDED) for index in (0, 1)),
        node(named_like_an_index, NODE_SUCCEEDED),
    ]

    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, nodes)
        return key

    key = await database.transact(intention)

    def query(tx: Transaction) -> None:
        whole = tx.executions.standings(key, "", 100)
        assert [row.path for row in whole.nodes] == ["n1", "n1/3", "n1/7", "n1/7/n2", named_like_an_index]
        runs = {("n1", 0, 3), ("n1", 5, 2), ("n1/7/n2", 0, 2), ("n1", 10, 1)}
        assert set(whole.settled) == runs
        assert not whole.more
        after, settled, seen = "", 0, 0
        while (page := tx.executions.standings(key, after, 2)).more:
            after = page.after
            seen += len(page.nodes)
            settled += sum(count for _, _, count in page.settled)
        seen += len(page.nodes)
        settled += sum(count for _, _, count in page.settled)
        assert (seen, settled) == (len(whole.nodes), 8)

    await database.read(query)
