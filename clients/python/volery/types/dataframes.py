"""This module converts pandas tables: as Parquet files in the object store, always.

pandas is never imported here before the user's code did: an annotation can only be a `DataFrame` once
pandas is loaded.
"""

# ruff: noqa: D102 - the methods of a converter are described once, in `engine.Converter`
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from volery._literals import types, values
from volery._literals.values import DatasetValue, Literal
from volery.errors import StorageError
from volery.storage import Workspace
from volery.types.engine import Converter, ValueMismatch

if TYPE_CHECKING:
    import pandas as pd


class DataFrameConverter(Converter["pd.DataFrame"]):
    """`pandas.DataFrame`."""

    literal_type = types.Dataset((), "parquet")

    def to_literal(self, value: pd.DataFrame, workspace: Workspace) -> Literal:
        import pandas

        if not isinstance(value, pandas.DataFrame):
            hint = "write value.to_frame()" if isinstance(value, pandas.Series) else ""
            raise self.refused(value, hint)
        if not workspace.can_store:
            raise StorageError("there is no storage here to put the table into")
        path = workspace.scratch_file("table.parquet")
        try:
            # Without columns, only the index still tells how many rows there are.
            value.to_parquet(path, index=None if len(value.columns) else True)
        except ImportError as error:
            raise ValueMismatch("DataFrame", str(error), "pip install 'volery[pandas]'") from error
        except (ValueError, TypeError, NotImplementedError) as error:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            raise ValueMismatch(
                "DataFrame",
                f"the table cannot be written as Parquet: {error}",
                "columns have one type each, and names that are text",
            ) from error
        stored = workspace.put_file(path)
        path.unlink()
        path.parent.rmdir()
        columns = tuple(map(str, value.columns))
        return Literal(
            values.DATASET,
            DatasetValue(stored.uri, "parquet", columns, len(value), stored.size_bytes, stored.sha256),
        )

    def from_literal(self, literal: Literal, workspace: Workspace) -> pd.DataFrame:
        if literal.kind != values.DATASET:
            return self.adapted(literal, workspace)
        import pandas

        table: DatasetValue = literal.value
        if table.format not in ("", "parquet"):
            raise ValueMismatch("DataFrame", f"the table is stored as {table.format}, not as parquet")
        return pandas.read_parquet(workspace.local(table.uri, table.sha256))

    def is_exactly(self, value: object) -> bool:
        pandas = sys.modules.get("pandas")
        return pandas is not None and isinstance(value, pandas.DataFrame)


def converter_for(annotation: Any) -> Converter[Any] | None:
    """The converter of an annotation of this family."""
    return DataFrameConverter()
