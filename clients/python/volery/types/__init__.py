"""This package converts Python values to literals and back, one module per family of types.

The families are asked in order whether they know an annotation. Simple types and containers are nearly
always needed; the other families are imported when an annotation looks like one of theirs.
"""

from __future__ import annotations

import sys
import typing
from importlib import import_module
from typing import Annotated, Any

from volery.types import simple as simple
from volery.types.engine import Converter, add_factory


@add_factory
def _of_a_family(annotation: Any) -> Converter[Any] | None:
    bare = typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation
    family = _family(bare)
    if not family:
        return None
    converter: Converter[Any] | None = import_module(f"volery.types.{family}").converter_for(annotation)
    return converter


def _family(annotation: Any) -> str:
    if not isinstance(annotation, type):
        return ""
    if annotation.__module__ in ("volery.types.files", "volery.types.failures"):
        return annotation.__module__.rpartition(".")[2]
    if hasattr(annotation, "__dataclass_fields__") or hasattr(annotation, "_fields"):
        return "records"
    pandas = sys.modules.get("pandas")
    if pandas is not None and annotation is getattr(pandas, "DataFrame", None):
        return "dataframes"
    return ""


from volery.types import containers as containers  # noqa: E402 - it is asked after the families
