"""The order of nodes, and the cycles that keep them from having one.

No recursion, and time in proportion to nodes and edges: a graph may have tens of thousands of both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Order(Generic[N]):
    """What became of a graph.

    Attributes:
        nodes: those that can be ordered, each after everything it depends on.
        cycles: each as a walk around it: every node depends on the next, the last on the first.
        stuck: those that depend on a cycle without being on it, each with a node of the cycle.
    """

    nodes: Sequence[N]
    cycles: Sequence[Sequence[N]]
    stuck: Mapping[N, N]


def order(dependencies: Mapping[N, Sequence[N]]) -> Order[N]:
    """Orders a graph.

    Args:
        dependencies: what each node depends on, without duplicates. What is not in the graph itself is
            left out of account.
    """
    waiting_for = {node: sum(d in dependencies for d in found) for node, found in dependencies.items()}
    dependents: dict[N, list[N]] = {node: [] for node in dependencies}
    for node, found in dependencies.items():
        for dependency in found:
            if dependency in dependents:
                dependents[dependency].append(node)
    ready = deque(node for node, count in waiting_for.items() if count == 0)
    ordered: list[N] = []
    while ready:
        node = ready.popleft()
        ordered.append(node)
        for dependent in dependents[node]:
            waiting_for[dependent] -= 1
            if waiting_for[dependent] == 0:
                ready.append(dependent)
    if len(ordered) == len(dependencies):
        return Order(ordered, (), {})
    left = {
        node: [d for d in dependencies[node] if waiting_for.get(d)] for node, n in waiting_for.items() if n
    }
    components = _components(left)
    cycles = [_around(component, left) for component in components]
    return Order(ordered, cycles, _stuck(cycles, dependents, left))


def _components(edges: Mapping[N, Sequence[N]]) -> list[list[N]]:
    """The strongly connected components that hold a cycle (Tarjan's algorithm, with its own stack)."""
    index: dict[N, int] = {}
    low: dict[N, int] = {}
    path: list[N] = []
    on_path: set[N] = set()
    found: list[list[N]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        while work:
            node, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    path.append(target)
                    on_path.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in on_path:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == index[node]:
                    component = _popped(path, on_path, node)
                    if len(component) > 1 or node in edges[node]:
                        found.append(component)
    return found


def _popped(path: list[N], on_path: set[N], until: N) -> list[N]:
    component: list[N] = []
    while True:
        node = path.pop()
        on_path.discard(node)
        component.append(node)
        if node == until:
            return component


def _around(component: Sequence[N], edges: Mapping[N, Sequence[N]]) -> list[N]:
    """A walk around one cycle of a component: from its first node back to it, by a shortest way."""
    members = set(component)
    start = next(node for node in edges if node in members)
    came_from: dict[N, N] = {}
    reached = deque([start])
    while reached:
        node = reached.popleft()
        for target in edges[node]:
            if target == start:
                walk = [node]
                while walk[-1] != start:
                    walk.append(came_from[walk[-1]])
                return walk[::-1]
            if target in members and target not in came_from:
                came_from[target] = node
                reached.append(target)
    raise AssertionError("a strongly connected component has a cycle through each of its nodes")


def _stuck(
    cycles: Sequence[Sequence[N]], dependents: Mapping[N, Sequence[N]], left: Mapping[N, Sequence[N]]
) -> dict[N, N]:
    culprit: dict[N, N] = {node: node for cycle in cycles for node in cycle}
    in_cycle = set(culprit)
    reached = deque(culprit)
    while reached:
        node = reached.popleft()
        for dependent in dependents[node]:
            if dependent in left and dependent not in culprit:
                culprit[dependent] = culprit[node]
                reached.append(dependent)
    return {node: culprit[node] for node in left if node in culprit and node not in in_cycle}


def walk_text(cycle: Sequence[str], limit: int = 12) -> str:
    """A cycle as people read it: `a → b → a`; a long one is cut."""
    if len(cycle) <= limit:
        return " → ".join([*cycle, cycle[0]])
    return " → ".join([*cycle[: limit - 1], f"… ({len(cycle)} in all)", cycle[0]])
