"""This module holds what the `on_failure` of a workflow is told."""

# ruff: noqa: D102 - the methods of a converter are described once, in `engine.Converter`
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from volery._literals import types, values
from volery._literals.values import ErrorValue, Literal
from volery.storage import Workspace
from volery.types.engine import Converter


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """What went wrong in a workflow.

    Attributes:
        node_path: the path of the node that failed.
        code: the stable name of what went wrong.
        message: what went wrong, for people.
    """

    node_path: str
    code: str
    message: str


class FailureConverter(Converter[NodeFailure]):
    """`NodeFailure`."""

    literal_type = types.ERROR

    def to_literal(self, value: NodeFailure, workspace: Workspace) -> Literal:
        if not isinstance(value, NodeFailure):
            raise self.refused(value)
        return Literal(values.ERROR, ErrorValue(value.node_path, value.code, value.message))

    def from_literal(self, literal: Literal, workspace: Workspace) -> NodeFailure:
        if literal.kind == values.ERROR:
            return NodeFailure(*literal.value)
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, NodeFailure)


def converter_for(annotation: Any) -> Converter[Any] | None:
    """The converter of an annotation of this family."""
    return FailureConverter() if annotation is NodeFailure else None
