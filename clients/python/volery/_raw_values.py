"""Raw values: the messages of the execution service, with what is read otherwise left as bytes.

On the wire a nested message and a byte string are the same. Values are read and written by
`volery._literals`, many times faster than by generated code; so where a message carries a LiteralMap, these
variants carry its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import betterproto2

from volery._idl.voleryidl.execution import v1 as execution

_VARINT, _BYTES = 0, 2
_PATH_FIELD, _PHASE_FIELD = 1, 3

M = TypeVar("M", bound=betterproto2.Message)


def _own_fields(message: type[M]) -> type[M]:
    """Let a derived message describe its own fields, and find their types where its base does."""
    message.__module__ = message.__mro__[1].__module__
    message._betterproto_meta = betterproto2.ProtoClassMetadata(message)
    return message


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] > 127:
        number |= (data[at] & 127) << shift
        shift += 7
        at += 1
    return number | data[at] << shift, at + 1


def glance(node: bytes) -> tuple[str, int]:
    """The path and the phase of a serialised NodeExecution, without reading the rest."""
    path, phase, at = "", 0, 0
    while at < len(node):
        tag = node[at]
        number, kind = tag >> 3, tag & 7
        if number > _PHASE_FIELD or kind not in (_VARINT, _BYTES):
            break
        value, at = _varint(node, at + 1)
        if kind == _BYTES:
            if number == _PATH_FIELD:
                path = node[at : at + value].decode()
            at += value
        elif number == _PHASE_FIELD:
            phase = value
    return path, phase


@_own_fields
@dataclass(eq=False, repr=False)
class CreateExecutionRequest(execution.CreateExecutionRequest):
    """Asks for a new execution; `inputs` is a serialised LiteralMap."""

    inputs: bytes = betterproto2.field(5, betterproto2.TYPE_BYTES)  # type: ignore[assignment]  # same on the wire


@_own_fields
@dataclass(eq=False, repr=False)
class CreateExecutionResponse(execution.CreateExecutionResponse):
    """Gives the execution; `outputs` is a serialised LiteralMap, or nothing."""

    outputs: bytes | None = betterproto2.field(3, betterproto2.TYPE_BYTES, optional=True)  # type: ignore[assignment]  # same on the wire


@_own_fields
@dataclass(eq=False, repr=False)
class WaitExecutionResponse(execution.WaitExecutionResponse):
    """Gives the execution as it stands; `outputs` is a serialised LiteralMap, or nothing."""

    outputs: bytes | None = betterproto2.field(2, betterproto2.TYPE_BYTES, optional=True)  # type: ignore[assignment]  # same on the wire


@_own_fields
@dataclass(eq=False, repr=False)
class GetExecutionDataResponse(execution.GetExecutionDataResponse):
    """Gives what went in and what came out, each as a serialised LiteralMap."""

    given_inputs: bytes = betterproto2.field(1, betterproto2.TYPE_BYTES)  # type: ignore[assignment]  # same on the wire
    inputs: bytes = betterproto2.field(2, betterproto2.TYPE_BYTES)  # type: ignore[assignment]  # same on the wire
    outputs: bytes | None = betterproto2.field(3, betterproto2.TYPE_BYTES, optional=True)  # type: ignore[assignment]  # same on the wire


@_own_fields
@dataclass(eq=False, repr=False)
class GetNodeExecutionDataResponse(execution.GetNodeExecutionDataResponse):
    """Gives what came out of a node, as a serialised LiteralMap, or nothing."""

    outputs: bytes | None = betterproto2.field(1, betterproto2.TYPE_BYTES, optional=True)  # type: ignore[assignment]  # same on the wire


@_own_fields
@dataclass(eq=False, repr=False)
class WatchExecutionResponse(execution.WatchExecutionResponse):
    """What changed, or a sign of life; nodes are serialised, since most need no more than a `glance`."""

    # ruff sees a shared default in what makes a field of its own.
    node_executions: list[bytes] = betterproto2.field(3, betterproto2.TYPE_BYTES, repeated=True)  # type: ignore[assignment]  # noqa: RUF009  # same on the wire
