from voleryidl.core.v1 import literals_pb2 as _literals_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SimpleType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIMPLE_TYPE_UNSPECIFIED: _ClassVar[SimpleType]
    SIMPLE_TYPE_NONE: _ClassVar[SimpleType]
    SIMPLE_TYPE_INTEGER: _ClassVar[SimpleType]
    SIMPLE_TYPE_FLOAT: _ClassVar[SimpleType]
    SIMPLE_TYPE_STRING: _ClassVar[SimpleType]
    SIMPLE_TYPE_BOOLEAN: _ClassVar[SimpleType]
    SIMPLE_TYPE_DATETIME: _ClassVar[SimpleType]
    SIMPLE_TYPE_DURATION: _ClassVar[SimpleType]
    SIMPLE_TYPE_STRUCT: _ClassVar[SimpleType]
    SIMPLE_TYPE_ERROR: _ClassVar[SimpleType]

class BlobDimensionality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLOB_DIMENSIONALITY_UNSPECIFIED: _ClassVar[BlobDimensionality]
    BLOB_DIMENSIONALITY_FILE: _ClassVar[BlobDimensionality]
    BLOB_DIMENSIONALITY_DIRECTORY: _ClassVar[BlobDimensionality]
SIMPLE_TYPE_UNSPECIFIED: SimpleType
SIMPLE_TYPE_NONE: SimpleType
SIMPLE_TYPE_INTEGER: SimpleType
SIMPLE_TYPE_FLOAT: SimpleType
SIMPLE_TYPE_STRING: SimpleType
SIMPLE_TYPE_BOOLEAN: SimpleType
SIMPLE_TYPE_DATETIME: SimpleType
SIMPLE_TYPE_DURATION: SimpleType
SIMPLE_TYPE_STRUCT: SimpleType
SIMPLE_TYPE_ERROR: SimpleType
BLOB_DIMENSIONALITY_UNSPECIFIED: BlobDimensionality
BLOB_DIMENSIONALITY_FILE: BlobDimensionality
BLOB_DIMENSIONALITY_DIRECTORY: BlobDimensionality

class LiteralType(_message.Message):
    __slots__ = ("simple", "enum_type", "union_type", "collection_type", "map_type", "record_type", "blob_type", "dataset_type", "binary_type", "annotations")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SIMPLE_FIELD_NUMBER: _ClassVar[int]
    ENUM_TYPE_FIELD_NUMBER: _ClassVar[int]
    UNION_TYPE_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MAP_TYPE_FIELD_NUMBER: _ClassVar[int]
    RECORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    BLOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATASET_TYPE_FIELD_NUMBER: _ClassVar[int]
    BINARY_TYPE_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    simple: SimpleType
    enum_type: EnumType
    union_type: UnionType
    collection_type: LiteralType
    map_type: LiteralType
    record_type: RecordType
    blob_type: BlobType
    dataset_type: StructuredDatasetType
    binary_type: BinaryType
    annotations: _containers.ScalarMap[str, str]
    def __init__(self, simple: _Optional[_Union[SimpleType, str]] = ..., enum_type: _Optional[_Union[EnumType, _Mapping]] = ..., union_type: _Optional[_Union[UnionType, _Mapping]] = ..., collection_type: _Optional[_Union[LiteralType, _Mapping]] = ..., map_type: _Optional[_Union[LiteralType, _Mapping]] = ..., record_type: _Optional[_Union[RecordType, _Mapping]] = ..., blob_type: _Optional[_Union[BlobType, _Mapping]] = ..., dataset_type: _Optional[_Union[StructuredDatasetType, _Mapping]] = ..., binary_type: _Optional[_Union[BinaryType, _Mapping]] = ..., annotations: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EnumType(_message.Message):
    __slots__ = ("name", "members")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    members: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ...) -> None: ...

class UnionType(_message.Message):
    __slots__ = ("variants",)
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    variants: _containers.RepeatedCompositeFieldContainer[UnionVariant]
    def __init__(self, variants: _Optional[_Iterable[_Union[UnionVariant, _Mapping]]] = ...) -> None: ...

class UnionVariant(_message.Message):
    __slots__ = ("tag", "type")
    TAG_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    tag: str
    type: LiteralType
    def __init__(self, tag: _Optional[str] = ..., type: _Optional[_Union[LiteralType, _Mapping]] = ...) -> None: ...

class RecordType(_message.Message):
    __slots__ = ("name", "fields")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    fields: _containers.RepeatedCompositeFieldContainer[RecordField]
    def __init__(self, name: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[RecordField, _Mapping]]] = ...) -> None: ...

class RecordField(_message.Message):
    __slots__ = ("name", "type", "default_value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: LiteralType
    default_value: _literals_pb2.Literal
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[LiteralType, _Mapping]] = ..., default_value: _Optional[_Union[_literals_pb2.Literal, _Mapping]] = ...) -> None: ...

class BlobType(_message.Message):
    __slots__ = ("dimensionality", "format")
    DIMENSIONALITY_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    dimensionality: BlobDimensionality
    format: str
    def __init__(self, dimensionality: _Optional[_Union[BlobDimensionality, str]] = ..., format: _Optional[str] = ...) -> None: ...

class StructuredDatasetType(_message.Message):
    __slots__ = ("columns", "format")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[DatasetColumn]
    format: str
    def __init__(self, columns: _Optional[_Iterable[_Union[DatasetColumn, _Mapping]]] = ..., format: _Optional[str] = ...) -> None: ...

class DatasetColumn(_message.Message):
    __slots__ = ("name", "type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: LiteralType
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[LiteralType, _Mapping]] = ...) -> None: ...

class BinaryType(_message.Message):
    __slots__ = ("tag",)
    TAG_FIELD_NUMBER: _ClassVar[int]
    tag: str
    def __init__(self, tag: _Optional[str] = ...) -> None: ...
