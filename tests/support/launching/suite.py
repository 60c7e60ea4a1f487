"""Plays the conformance cases, all at once on one launcher, and keeps what came of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from inspect import iscoroutinefunction

import pytest
from support.launching.stage import Stage

pytest.register_assert_rewrite("support.launching.cases")

from support.launching.cases import ends, failures, output, values  # noqa: E402  # rewritten by the line above

Case = Callable[[Stage], Awaitable[None]]
PATIENCE = 200.0

CASES: dict[str, Case] = {
    name: found
    for module in (values, failures, ends, output)
    for name, found in vars(module).items()
    if iscoroutinefunction(found) and found.__module__ == module.__name__ and "stage" in found.__annotations__
}
"""By name; what only serves the cases takes no stage."""


@dataclass
class Played:
    """What came of cases: their exceptions, and what was wrong beside them or afterwards."""

    problems: dict[str, Exception] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    closing: Exception | None = None

    def judge(self, case: str) -> None:
        """Fails where a case failed."""
        if case in self.problems:
            raise self.problems[case]

    def judge_the_rest(self) -> None:
        """Fails where a launcher told what it must not, or left something behind."""
        assert self.told == []
        if self.closing is not None:
            raise self.closing


def chosen(request: pytest.FixtureRequest) -> list[str]:
    """The cases that a run of pytest asks for, where it asks for a part of a module's tests."""
    items = [item for item in request.session.items if item.path == request.path]
    calls = [
        item.callspec.params
        for item in items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    return [call["case"] for call in calls if "case" in call]


def play(staged: Callable[[], AbstractAsyncContextManager[Stage]], names: Collection[str]) -> Played:
    """Plays cases at once."""
    return asyncio.run(_play(staged, names))


async def _play(staged: Callable[[], AbstractAsyncContextManager[Stage]], names: Collection[str]) -> Played:
    played = Played()
    try:
        async with staged() as stage:
            await asyncio.gather(*(_play_one(stage, name, played) for name in names))
            played.told = stage.harness.problems
    except Exception as problem:
        played.closing = problem
    return played


async def _play_one(stage: Stage, name: str, played: Played) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await CASES[name](stage)
    except Exception as problem:
        last = "\n".join(str(told)[:300] for told in stage.harness.observations[-20:])
        problem.add_note(f"told last of all cases:\n{last}")
        played.problems[name] = problem
