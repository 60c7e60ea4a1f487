from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_cli.output import ago, cut, jsonable, size_text, span


class Colour(StrEnum):
    RED = "red"


class Number(Enum):
    ONE = 1


@dataclass
class Point:
    x: int
    when: datetime


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Point(1, datetime(2026, 1, 1, tzinfo=UTC)), {"x": 1, "when": "2026-01-01T00:00:00+00:00"}),
        (timedelta(minutes=1.5), 90.0),
        (b"hi", "aGk="),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (float("nan"), "nan"),
        (Path("/a/b"), "/a/b"),
        ((1, {2}), [1, [2]]),
        ({1: None}, {"1": None}),
        (object, "<class 'object'>"),
    ],
)
def test_any_value_becomes_json(value: Any, told: Any) -> None:
    assert jsonable(value) == told
    json.dumps(jsonable(value), allow_nan=False)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 ms"),
        (0.0854, "85 ms"),
        (0.9996, "1.0 s"),
        (3.24, "3.2 s"),
        (59.96, "1 min"),
        (247, "4 min 7 s"),
        (7500, "2 h 5 min"),
        (3 * 86400 + 3600, "3 d 1 h"),
        (-1, "0 ms"),
    ],
)
def test_a_span_is_said_as_people_say_it(seconds: float, told: str) -> None:
    assert span(seconds) == told
    assert span(timedelta(seconds=seconds)) == told


@given(st.floats(0, 10**7))
def test_a_span_never_shows_sixty_of_anything(seconds: float) -> None:
    told = span(seconds).split()
    assert "60.0" not in told
    assert "60" not in told[1:]
    assert "1000" not in told


def test_times_ago_have_one_unit() -> None:
    now = datetime(2026, 1, 10, tzinfo=UTC)
    spans = [timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=5), timedelta(days=5)]
    assert [ago(now - each, now) for each in spans] == ["5 s ago", "5 min ago", "5 h ago", "5 d ago"]
    assert ago(None, now) == ""


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (2360, "2.3 KiB"),
        (1 << 20, "1.0 MiB"),
        (41 << 30, "41 GiB"),
    ],
)
def test_a_size_is_said_as_people_say_it(size: int, told: str) -> None:
    assert size_text(size) == told


def test_a_text_that_is_cut_shows_it_and_keeps_to_its_length() -> None:
    assert cut("penguins", 8, unicode=True) == "penguins"
    assert cut("penguins", 5, unicode=True) == "peng…"
    assert cut("penguins", 5, unicode=False) == "pe..."
