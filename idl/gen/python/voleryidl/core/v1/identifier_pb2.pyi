from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTITY_KIND_UNSPECIFIED: _ClassVar[EntityKind]
    ENTITY_KIND_TASK: _ClassVar[EntityKind]
    ENTITY_KIND_WORKFLOW: _ClassVar[EntityKind]
    ENTITY_KIND_LAUNCH_PLAN: _ClassVar[EntityKind]
ENTITY_KIND_UNSPECIFIED: EntityKind
ENTITY_KIND_TASK: EntityKind
ENTITY_KIND_WORKFLOW: EntityKind
ENTITY_KIND_LAUNCH_PLAN: EntityKind

class Identifier(_message.Message):
    __slots__ = ("kind", "project", "domain", "name", "version")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    kind: EntityKind
    project: str
    domain: str
    name: str
    version: str
    def __init__(self, kind: _Optional[_Union[EntityKind, str]] = ..., project: _Optional[str] = ..., domain: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...
