from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain.compiler.graph import order, walk_text

GRAPHS = st.integers(0, 8).flatmap(
    lambda size: st.fixed_dictionaries(
        {node: st.lists(st.integers(0, max(size, 1)), unique=True, max_size=4) for node in range(size)}
    )
)
Graph = dict[int, list[int]]


def reachable(graph: Graph) -> dict[int, set[int]]:
    found = {node: {d for d in dependencies if d in graph} for node, dependencies in graph.items()}
    for _ in graph:
        for node in graph:
            found[node] |= {far for near in list(found[node]) for far in found[near]}
    return found


@given(GRAPHS)
def test_every_node_is_ordered_on_a_cycle_or_stuck(graph: Graph) -> None:
    found = order(graph)
    on_cycles = {node for cycle in found.cycles for node in cycle}
    assert len(found.nodes) + len(on_cycles) + len(found.stuck) == len(graph)
    assert {*found.nodes, *on_cycles, *found.stuck} == set(graph)


@given(GRAPHS)
def test_a_node_comes_after_all_it_depends_on(graph: Graph) -> None:
    found = order(graph)
    position = {node: index for index, node in enumerate(found.nodes)}
    for node in found.nodes:
        assert all(position[d] < position[node] for d in graph[node] if d in graph)


@given(GRAPHS)
def test_exactly_what_can_reach_a_cycle_is_not_ordered(graph: Graph) -> None:
    found, far = order(graph), reachable(graph)
    hopeless = {node for node in graph if node in far[node] or any(d in far[d] for d in far[node])}
    assert set(graph) - set(found.nodes) == hopeless
    for cycle in found.cycles:
        assert len(set(cycle)) == len(cycle)
        for node, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert target in graph[node], "each depends on the next"
    for node, culprit in found.stuck.items():
        assert culprit in far[node]
        assert any(culprit in cycle for cycle in found.cycles)


def test_a_long_chain_and_a_long_cycle_take_no_recursion() -> None:
    size = 20_000
    chain = {node: [node - 1] if node else [] for node in range(size)}
    assert list(order(chain).nodes) == list(range(size))
    circle = {node: [(node - 1) % size] for node in range(size)}
    assert [len(cycle) for cycle in order(circle).cycles] == [size]


def test_a_wide_graph_takes_time_in_proportion() -> None:
    wide: Graph = {node: [] for node in range(20_000)}
    wide[20_000] = list(range(20_000))
    assert order(wide).nodes[-1] == 20_000


def test_a_long_cycle_is_cut_when_told() -> None:
    assert walk_text(["a", "b"]) == "a → b → a"
    assert walk_text([str(n) for n in range(100)], limit=3) == "0 → 1 → … (100 in all) → 0"
