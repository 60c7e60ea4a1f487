"""Values written in YAML, for vectors and tests.

Plain YAML stands for itself: `3`, `1.5`, `text`, `true`, `null`, a list, a map. A map with one of the keys
below is of another kind:

    {$record: {depth: 3}}          {$union: [integer, 3]}        {$file: s3://b/x, format: csv}
    {$directory: s3://b/x/}        {$dataset: s3://b/x, columns: [a, b], format: parquet}
    {$offloaded: s3://b/x, count: 7}   {$binary: text, tag: pickle}   {$struct: {a: 1}}
    {$datetime: 2026-01-31T00:00:00Z}  {$duration: 90s}   {$hashed: 3, hash: abc}   {$error: {code: Boom}}
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from voleryidl.core.v1.literals_pb2 import (
    BinaryValue,
    BlobValue,
    DatasetValue,
    ErrorValue,
    Literal,
    LiteralCollection,
    LiteralMap,
    NoneValue,
    OffloadedValue,
    RecordValue,
    UnionValue,
)


def literal(value: Any) -> Literal:
    """The literal of a YAML value."""
    match value:
        case None:
            return Literal(none_value=NoneValue())
        case bool():
            return Literal(boolean_value=value)
        case int():
            return Literal(integer_value=value)
        case float():
            return Literal(float_value=value)
        case str():
            return Literal(string_value=value)
        case list():
            return Literal(collection_value=LiteralCollection(literals=map(literal, value)))
        case dict():
            special = next((key for key in value if str(key).startswith("$")), None)
            if special:
                return _special(special, value)
            return Literal(map_value=LiteralMap(literals=literals(value)))
    raise TypeError(f"{value!r} is no value")


def literals(values: dict[str, Any]) -> dict[str, Literal]:
    """The literals of a map of YAML values."""
    return {str(name): literal(value) for name, value in values.items()}


def _special(kind: str, value: dict[str, Any]) -> Literal:
    inner = value[kind]
    match kind:
        case "$record":
            return Literal(record_value=RecordValue(fields=literals(inner)))
        case "$union":
            return Literal(union_value=UnionValue(tag=inner[0], value=literal(inner[1])))
        case "$file" | "$directory":
            blob = BlobValue(uri=inner, format=value.get("format", ""), directory=kind == "$directory")
            blob.sha256 = value.get("sha256", "")
            return Literal(blob_value=blob)
        case "$dataset":
            dataset = DatasetValue(
                uri=inner, format=value.get("format", ""), columns=value.get("columns", ())
            )
            dataset.sha256 = value.get("sha256", "")
            return Literal(dataset_value=dataset)
        case "$offloaded":
            offloaded = OffloadedValue(uri=inner, element_count=value.get("count", 0))
            offloaded.sha256 = value.get("sha256", "")
            return Literal(offloaded_value=offloaded)
        case "$binary":
            return Literal(binary_value=BinaryValue(value=inner.encode(), tag=value.get("tag", "")))
        case "$struct":
            return Literal(struct_value=json_format.ParseDict(inner, Struct()))
        case "$datetime":
            moment = Timestamp()
            moment.FromJsonString(str(inner))
            return Literal(datetime_value=moment)
        case "$duration":
            span = Duration()
            span.FromJsonString(inner)
            return Literal(duration_value=span)
        case "$hashed":
            hashed = literal(inner)
            hashed.hash = value["hash"]
            return hashed
        case "$error":
            return Literal(error_value=ErrorValue(**inner))
        case "$empty":
            return Literal()
    raise ValueError(f"{kind} is no kind of value")
