import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from voleryidl.core.v1 import identifier_pb2 as _identifier_pb2
from voleryidl.core.v1 import interface_pb2 as _interface_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CacheScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_SCOPE_UNSPECIFIED: _ClassVar[CacheScope]
    CACHE_SCOPE_PROJECT_DOMAIN: _ClassVar[CacheScope]
    CACHE_SCOPE_GLOBAL: _ClassVar[CacheScope]
CACHE_SCOPE_UNSPECIFIED: CacheScope
CACHE_SCOPE_PROJECT_DOMAIN: CacheScope
CACHE_SCOPE_GLOBAL: CacheScope

class TaskTemplate(_message.Message):
    __slots__ = ("id", "type", "type_version", "interface", "python", "container", "retries", "timeouts", "cache", "resources", "environment", "secrets", "interruptible", "dynamic", "deprecated", "pod_template", "config", "docs", "container_image")
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TYPE_VERSION_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIBLE_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    POD_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    DOCS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    id: _identifier_pb2.Identifier
    type: str
    type_version: int
    interface: _interface_pb2.TypedInterface
    python: PythonTarget
    container: ContainerTarget
    retries: RetryPolicy
    timeouts: Timeouts
    cache: CachePolicy
    resources: Resources
    environment: _containers.ScalarMap[str, str]
    secrets: _containers.RepeatedCompositeFieldContainer[SecretRequest]
    interruptible: bool
    dynamic: bool
    deprecated: str
    pod_template: PodTemplate
    config: _struct_pb2.Struct
    docs: Documentation
    container_image: str
    def __init__(self, id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., type: _Optional[str] = ..., type_version: _Optional[int] = ..., interface: _Optional[_Union[_interface_pb2.TypedInterface, _Mapping]] = ..., python: _Optional[_Union[PythonTarget, _Mapping]] = ..., container: _Optional[_Union[ContainerTarget, _Mapping]] = ..., retries: _Optional[_Union[RetryPolicy, _Mapping]] = ..., timeouts: _Optional[_Union[Timeouts, _Mapping]] = ..., cache: _Optional[_Union[CachePolicy, _Mapping]] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., environment: _Optional[_Mapping[str, str]] = ..., secrets: _Optional[_Iterable[_Union[SecretRequest, _Mapping]]] = ..., interruptible: _Optional[bool] = ..., dynamic: _Optional[bool] = ..., deprecated: _Optional[str] = ..., pod_template: _Optional[_Union[PodTemplate, _Mapping]] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., docs: _Optional[_Union[Documentation, _Mapping]] = ..., container_image: _Optional[str] = ...) -> None: ...

class PythonTarget(_message.Message):
    __slots__ = ("module", "qualname", "bundle")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    QUALNAME_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    module: str
    qualname: str
    bundle: CodeBundle
    def __init__(self, module: _Optional[str] = ..., qualname: _Optional[str] = ..., bundle: _Optional[_Union[CodeBundle, _Mapping]] = ...) -> None: ...

class CodeBundle(_message.Message):
    __slots__ = ("sha256", "size_bytes", "format")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size_bytes: int
    format: str
    def __init__(self, sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., format: _Optional[str] = ...) -> None: ...

class ContainerTarget(_message.Message):
    __slots__ = ("image", "command", "args", "input_path", "output_path", "working_dir")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    INPUT_PATH_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PATH_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIR_FIELD_NUMBER: _ClassVar[int]
    image: str
    command: _containers.RepeatedScalarFieldContainer[str]
    args: _containers.RepeatedScalarFieldContainer[str]
    input_path: str
    output_path: str
    working_dir: str
    def __init__(self, image: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., args: _Optional[_Iterable[str]] = ..., input_path: _Optional[str] = ..., output_path: _Optional[str] = ..., working_dir: _Optional[str] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("count", "backoff", "retry_on", "never_on", "infrastructure_count", "memory_escalation")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_FIELD_NUMBER: _ClassVar[int]
    NEVER_ON_FIELD_NUMBER: _ClassVar[int]
    INFRASTRUCTURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ESCALATION_FIELD_NUMBER: _ClassVar[int]
    count: int
    backoff: Backoff
    retry_on: _containers.RepeatedScalarFieldContainer[str]
    never_on: _containers.RepeatedScalarFieldContainer[str]
    infrastructure_count: int
    memory_escalation: MemoryEscalation
    def __init__(self, count: _Optional[int] = ..., backoff: _Optional[_Union[Backoff, _Mapping]] = ..., retry_on: _Optional[_Iterable[str]] = ..., never_on: _Optional[_Iterable[str]] = ..., infrastructure_count: _Optional[int] = ..., memory_escalation: _Optional[_Union[MemoryEscalation, _Mapping]] = ...) -> None: ...

class Backoff(_message.Message):
    __slots__ = ("initial", "factor", "cap", "jitter")
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    initial: _duration_pb2.Duration
    factor: float
    cap: _duration_pb2.Duration
    jitter: float
    def __init__(self, initial: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., factor: _Optional[float] = ..., cap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., jitter: _Optional[float] = ...) -> None: ...

class MemoryEscalation(_message.Message):
    __slots__ = ("factor", "limit")
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    factor: float
    limit: str
    def __init__(self, factor: _Optional[float] = ..., limit: _Optional[str] = ...) -> None: ...

class Timeouts(_message.Message):
    __slots__ = ("queued", "running", "total")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    queued: _duration_pb2.Duration
    running: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, queued: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., running: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CachePolicy(_message.Message):
    __slots__ = ("version", "ignored_inputs", "serialize", "ttl", "scope")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IGNORED_INPUTS_FIELD_NUMBER: _ClassVar[int]
    SERIALIZE_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    version: str
    ignored_inputs: _containers.RepeatedScalarFieldContainer[str]
    serialize: bool
    ttl: _duration_pb2.Duration
    scope: CacheScope
    def __init__(self, version: _Optional[str] = ..., ignored_inputs: _Optional[_Iterable[str]] = ..., serialize: _Optional[bool] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., scope: _Optional[_Union[CacheScope, str]] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("requests", "limits", "accelerator", "shared_memory")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ACCELERATOR_FIELD_NUMBER: _ClassVar[int]
    SHARED_MEMORY_FIELD_NUMBER: _ClassVar[int]
    requests: ResourceSet
    limits: ResourceSet
    accelerator: str
    shared_memory: str
    def __init__(self, requests: _Optional[_Union[ResourceSet, _Mapping]] = ..., limits: _Optional[_Union[ResourceSet, _Mapping]] = ..., accelerator: _Optional[str] = ..., shared_memory: _Optional[str] = ...) -> None: ...

class ResourceSet(_message.Message):
    __slots__ = ("cpu", "memory", "gpu", "ephemeral_storage")
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_STORAGE_FIELD_NUMBER: _ClassVar[int]
    cpu: str
    memory: str
    gpu: str
    ephemeral_storage: str
    def __init__(self, cpu: _Optional[str] = ..., memory: _Optional[str] = ..., gpu: _Optional[str] = ..., ephemeral_storage: _Optional[str] = ...) -> None: ...

class SecretRequest(_message.Message):
    __slots__ = ("group", "key", "environment_variable", "file")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_VARIABLE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    group: str
    key: str
    environment_variable: str
    file: str
    def __init__(self, group: _Optional[str] = ..., key: _Optional[str] = ..., environment_variable: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class PodTemplate(_message.Message):
    __slots__ = ("name", "spec", "primary_container", "labels", "annotations", "service_account")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_CONTAINER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: _struct_pb2.Struct
    primary_container: str
    labels: _containers.ScalarMap[str, str]
    annotations: _containers.ScalarMap[str, str]
    service_account: str
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., primary_container: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., service_account: _Optional[str] = ...) -> None: ...

class Documentation(_message.Message):
    __slots__ = ("summary", "description", "source_uri")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    summary: str
    description: str
    source_uri: str
    def __init__(self, summary: _Optional[str] = ..., description: _Optional[str] = ..., source_uri: _Optional[str] = ...) -> None: ...
