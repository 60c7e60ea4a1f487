import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Literal(_message.Message):
    __slots__ = ("none_value", "integer_value", "float_value", "string_value", "boolean_value", "datetime_value", "duration_value", "binary_value", "struct_value", "collection_value", "map_value", "record_value", "union_value", "blob_value", "dataset_value", "error_value", "offloaded_value", "hash")
    NONE_VALUE_FIELD_NUMBER: _ClassVar[int]
    INTEGER_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLOAT_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_VALUE_FIELD_NUMBER: _ClassVar[int]
    DATETIME_VALUE_FIELD_NUMBER: _ClassVar[int]
    DURATION_VALUE_FIELD_NUMBER: _ClassVar[int]
    BINARY_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRUCT_VALUE_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_VALUE_FIELD_NUMBER: _ClassVar[int]
    MAP_VALUE_FIELD_NUMBER: _ClassVar[int]
    RECORD_VALUE_FIELD_NUMBER: _ClassVar[int]
    UNION_VALUE_FIELD_NUMBER: _ClassVar[int]
    BLOB_VALUE_FIELD_NUMBER: _ClassVar[int]
    DATASET_VALUE_FIELD_NUMBER: _ClassVar[int]
    ERROR_VALUE_FIELD_NUMBER: _ClassVar[int]
    OFFLOADED_VALUE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    none_value: NoneValue
    integer_value: int
    float_value: float
    string_value: str
    boolean_value: bool
    datetime_value: _timestamp_pb2.Timestamp
    duration_value: _duration_pb2.Duration
    binary_value: BinaryValue
    struct_value: _struct_pb2.Struct
    collection_value: LiteralCollection
    map_value: LiteralMap
    record_value: RecordValue
    union_value: UnionValue
    blob_value: BlobValue
    dataset_value: DatasetValue
    error_value: ErrorValue
    offloaded_value: OffloadedValue
    hash: str
    def __init__(self, none_value: _Optional[_Union[NoneValue, _Mapping]] = ..., integer_value: _Optional[int] = ..., float_value: _Optional[float] = ..., string_value: _Optional[str] = ..., boolean_value: _Optional[bool] = ..., datetime_value: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration_value: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., binary_value: _Optional[_Union[BinaryValue, _Mapping]] = ..., struct_value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., collection_value: _Optional[_Union[LiteralCollection, _Mapping]] = ..., map_value: _Optional[_Union[LiteralMap, _Mapping]] = ..., record_value: _Optional[_Union[RecordValue, _Mapping]] = ..., union_value: _Optional[_Union[UnionValue, _Mapping]] = ..., blob_value: _Optional[_Union[BlobValue, _Mapping]] = ..., dataset_value: _Optional[_Union[DatasetValue, _Mapping]] = ..., error_value: _Optional[_Union[ErrorValue, _Mapping]] = ..., offloaded_value: _Optional[_Union[OffloadedValue, _Mapping]] = ..., hash: _Optional[str] = ...) -> None: ...

class NoneValue(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LiteralCollection(_message.Message):
    __slots__ = ("literals",)
    LITERALS_FIELD_NUMBER: _ClassVar[int]
    literals: _containers.RepeatedCompositeFieldContainer[Literal]
    def __init__(self, literals: _Optional[_Iterable[_Union[Literal, _Mapping]]] = ...) -> None: ...

class LiteralMap(_message.Message):
    __slots__ = ("literals",)
    class LiteralsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Literal
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Literal, _Mapping]] = ...) -> None: ...
    LITERALS_FIELD_NUMBER: _ClassVar[int]
    literals: _containers.MessageMap[str, Literal]
    def __init__(self, literals: _Optional[_Mapping[str, Literal]] = ...) -> None: ...

class RecordValue(_message.Message):
    __slots__ = ("fields",)
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Literal
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Literal, _Mapping]] = ...) -> None: ...
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.MessageMap[str, Literal]
    def __init__(self, fields: _Optional[_Mapping[str, Literal]] = ...) -> None: ...

class UnionValue(_message.Message):
    __slots__ = ("tag", "value")
    TAG_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    tag: str
    value: Literal
    def __init__(self, tag: _Optional[str] = ..., value: _Optional[_Union[Literal, _Mapping]] = ...) -> None: ...

class BinaryValue(_message.Message):
    __slots__ = ("value", "tag")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    value: bytes
    tag: str
    def __init__(self, value: _Optional[bytes] = ..., tag: _Optional[str] = ...) -> None: ...

class BlobValue(_message.Message):
    __slots__ = ("uri", "format", "directory", "size_bytes", "sha256")
    URI_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    uri: str
    format: str
    directory: bool
    size_bytes: int
    sha256: str
    def __init__(self, uri: _Optional[str] = ..., format: _Optional[str] = ..., directory: _Optional[bool] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class DatasetValue(_message.Message):
    __slots__ = ("uri", "format", "columns", "row_count", "size_bytes", "sha256")
    URI_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    uri: str
    format: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    row_count: int
    size_bytes: int
    sha256: str
    def __init__(self, uri: _Optional[str] = ..., format: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., row_count: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class ErrorValue(_message.Message):
    __slots__ = ("node_path", "code", "message")
    NODE_PATH_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    node_path: str
    code: str
    message: str
    def __init__(self, node_path: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class OffloadedValue(_message.Message):
    __slots__ = ("uri", "size_bytes", "sha256", "element_count", "references")
    URI_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    uri: str
    size_bytes: int
    sha256: str
    element_count: int
    references: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uri: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., element_count: _Optional[int] = ..., references: _Optional[_Iterable[str]] = ...) -> None: ...
