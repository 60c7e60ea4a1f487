"""Wire types: the types and interfaces a server tells, for entities that are known by name only."""

from __future__ import annotations

from dataclasses import dataclass

from volery._idl.voleryidl.core import v1 as core
from volery._literals import decode, types, values
from volery._literals.types import LiteralType, Variable

_SIMPLE = {
    core.SimpleType.NONE: values.NONE,
    core.SimpleType.INTEGER: values.INTEGER,
    core.SimpleType.FLOAT: values.FLOAT,
    core.SimpleType.STRING: values.STRING,
    core.SimpleType.BOOLEAN: values.BOOLEAN,
    core.SimpleType.DATETIME: values.DATETIME,
    core.SimpleType.DURATION: values.DURATION,
    core.SimpleType.STRUCT: values.STRUCT,
    core.SimpleType.ERROR: values.ERROR,
}


@dataclass(frozen=True, slots=True)
class WireInterface:
    """What an entity takes and gives, as the server tells it."""

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]


def interface_from_wire(message: core.TypedInterface | None) -> WireInterface:
    """Read an interface."""
    if message is None:
        return WireInterface((), ())
    return WireInterface(tuple(map(_variable, message.inputs)), tuple(map(_variable, message.outputs)))


def type_from_wire(message: core.LiteralType | None) -> LiteralType:
    """Read a type.

    Raises:
        ValueError: when it is of a kind that this release does not know.
    """
    if message is None:
        raise ValueError("a type is missing")
    if message.simple is not None and message.simple in _SIMPLE:
        return types.Simple(_SIMPLE[message.simple])
    if message.enum_type is not None:
        return types.Enumeration(message.enum_type.name, tuple(message.enum_type.members))
    if message.union_type is not None:
        variants = message.union_type.variants
        return types.Union(tuple(types.Variant(each.tag, type_from_wire(each.type)) for each in variants))
    if message.collection_type is not None:
        return types.Collection(type_from_wire(message.collection_type))
    if message.map_type is not None:
        return types.Mapping(type_from_wire(message.map_type))
    if message.record_type is not None:
        return types.Record(message.record_type.name, tuple(map(_field, message.record_type.fields)))
    if message.blob_type is not None:
        is_directory = message.blob_type.dimensionality is core.BlobDimensionality.DIRECTORY
        return types.Blob(is_directory, message.blob_type.format)
    if message.dataset_type is not None:
        columns = message.dataset_type.columns
        return types.Dataset(
            tuple((each.name, type_from_wire(each.type)) for each in columns), message.dataset_type.format
        )
    if message.binary_type is not None:
        return types.Binary(message.binary_type.tag)
    raise ValueError("a type of a kind that this release does not know")


def _variable(message: core.Variable) -> Variable:
    default = decode(bytes(message.default_value)) if message.default_value is not None else None
    return Variable(message.name, type_from_wire(message.type), default, message.description)


def _field(message: core.RecordField) -> types.Field:
    default = decode(bytes(message.default_value)) if message.default_value is not None else None
    return types.Field(message.name, type_from_wire(message.type), default)
