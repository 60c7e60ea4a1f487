"""Tables travel as Parquet files, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pandas.testing import assert_frame_equal
from volery import task, workflow
from volery._literals import decode, encode
from volery.errors import DeclarationError, StorageError
from volery.storage import Workspace
from volery.types.engine import ValueMismatch, converter_of

columns = st.sampled_from(["x", "y", "größe"])
rows = st.integers(0, 5)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(rows)
    cells = {
        "x": st.integers(-(2**63), 2**63 - 1),
        "y": st.floats(allow_nan=False),
        "größe": st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    }
    chosen = draw(st.lists(columns, unique=True, min_size=1))
    kinds = {"x": "int64", "y": "float64", "größe": "str"}
    return pd.DataFrame(
        {
            name: pd.Series(draw(st.lists(cells[name], min_size=size, max_size=size)), dtype=kinds[name])
            for name in chosen
        },
        index=pd.RangeIndex(size),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(frames())
def test_a_table_comes_back_as_it_was(tmp_path: Path, frame: pd.DataFrame) -> None:
    workspace, converter = Workspace(tmp_path.as_uri(), tmp_path / "work"), converter_of(pd.DataFrame)
    literal = decode(encode(converter.to_literal(frame, workspace)))
    assert literal.value.columns == tuple(frame.columns)
    assert literal.value.row_count == len(frame)
    assert_frame_equal(converter.from_literal(literal, workspace), frame)


def test_index_and_types_are_kept(tmp_path: Path) -> None:
    workspace, converter = Workspace(tmp_path.as_uri(), tmp_path / "work"), converter_of(pd.DataFrame)
    frame = pd.DataFrame(
        {"when": pd.to_datetime(["2026-01-01", None], utc=True), "kind": pd.Categorical(["a", "b"])},
        index=pd.Index([10, 20], name="id"),
    )
    literal = converter.to_literal(frame, workspace)
    assert_frame_equal(converter.from_literal(literal, workspace), frame)
    assert literal.value.size_bytes > 0
    assert len(literal.value.sha256) == 64


def test_rows_without_columns_are_counted(tmp_path: Path) -> None:
    workspace, converter = Workspace(tmp_path.as_uri(), tmp_path / "work"), converter_of(pd.DataFrame)
    literal = converter.to_literal(pd.DataFrame(index=pd.RangeIndex(3)), workspace)
    assert converter.from_literal(literal, workspace).shape == (3, 0)
    literal = converter.to_literal(pd.DataFrame(), workspace)
    assert converter.from_literal(literal, workspace).shape == (0, 0)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    workspace, converter = Workspace(tmp_path.as_uri(), tmp_path / "work"), converter_of(pd.DataFrame)
    with pytest.raises(ValueMismatch, match="the value is Series") as refusal:
        converter.to_literal(pd.Series([1]), workspace)
    assert refusal.value.hint == "write value.to_frame()"
    with pytest.raises(ValueMismatch, match="cannot be written as Parquet"):
        converter.to_literal(pd.DataFrame({"x": [1, "a", object()]}), workspace)
    assert not list((tmp_path / "work").rglob("*.parquet"))
    with pytest.raises(StorageError, match="no storage"):
        converter.to_literal(pd.DataFrame(), Workspace())


def test_a_table_is_not_part_of_a_declaration() -> None:
    @task
    def describe(frame: pd.DataFrame) -> int:
        return len(frame)

    frame = pd.DataFrame({"x": [1]})
    with pytest.raises(
        DeclarationError, match=r"describe\(frame=…\): a DataFrame cannot be written"
    ) as refusal:

        @workflow
        def flow() -> int:
            return describe(frame)

    assert "make it in a task" in refusal.value.hint
    with pytest.raises(DeclarationError, match=r"the default of parameter frame .* is too large"):

        @task
        def with_default(frame: pd.DataFrame = frame) -> int:
            return 1


def test_a_table_that_is_not_there_yet_is_not_picked_apart() -> None:
    @task
    def load() -> pd.DataFrame:
        return pd.DataFrame({"x": [1]})

    with pytest.raises(DeclarationError, match=r"\['x'\] of output o0 of load, a promise of DataFrame"):

        @workflow
        def flow() -> int:
            return load()["x"]
