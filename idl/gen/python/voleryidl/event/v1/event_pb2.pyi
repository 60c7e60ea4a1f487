import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voleryidl.core.v1 import failure_pb2 as _failure_pb2
from voleryidl.core.v1 import phase_pb2 as _phase_pb2
from voleryidl.core.v1 import reason_pb2 as _reason_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_KIND_UNSPECIFIED: _ClassVar[NodeKind]
    NODE_KIND_TASK: _ClassVar[NodeKind]
    NODE_KIND_WORKFLOW: _ClassVar[NodeKind]
    NODE_KIND_LAUNCH_PLAN: _ClassVar[NodeKind]
    NODE_KIND_BRANCH: _ClassVar[NodeKind]
    NODE_KIND_GATE: _ClassVar[NodeKind]
    NODE_KIND_MAP: _ClassVar[NodeKind]
NODE_KIND_UNSPECIFIED: NodeKind
NODE_KIND_TASK: NodeKind
NODE_KIND_WORKFLOW: NodeKind
NODE_KIND_LAUNCH_PLAN: NodeKind
NODE_KIND_BRANCH: NodeKind
NODE_KIND_GATE: NodeKind
NODE_KIND_MAP: NodeKind

class Event(_message.Message):
    __slots__ = ("sequence", "execution", "node", "abort", "lease")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    ABORT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    execution: ExecutionEvent
    node: NodeEvent
    abort: AbortEvent
    lease: LeaseEvent
    def __init__(self, sequence: _Optional[int] = ..., execution: _Optional[_Union[ExecutionEvent, _Mapping]] = ..., node: _Optional[_Union[NodeEvent, _Mapping]] = ..., abort: _Optional[_Union[AbortEvent, _Mapping]] = ..., lease: _Optional[_Union[LeaseEvent, _Mapping]] = ...) -> None: ...

class ExecutionEvent(_message.Message):
    __slots__ = ("phase", "time", "failure")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    phase: _phase_pb2.ExecutionPhase
    time: _timestamp_pb2.Timestamp
    failure: _failure_pb2.Failure
    def __init__(self, phase: _Optional[_Union[_phase_pb2.ExecutionPhase, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ...) -> None: ...

class NodeEvent(_message.Message):
    __slots__ = ("path", "kind", "phase", "attempt", "attempt_phase", "queue_time", "start_time", "end_time", "failure", "waiting_reason", "wake_time", "cache_status", "cache_source", "retry_decision", "item_count", "name", "target_name", "infrastructure_failure", "launch_time", "code_time", "waiting_message")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_PHASE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    CACHE_STATUS_FIELD_NUMBER: _ClassVar[int]
    CACHE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DECISION_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_NAME_FIELD_NUMBER: _ClassVar[int]
    INFRASTRUCTURE_FAILURE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_TIME_FIELD_NUMBER: _ClassVar[int]
    CODE_TIME_FIELD_NUMBER: _ClassVar[int]
    WAITING_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: NodeKind
    phase: _phase_pb2.NodePhase
    attempt: int
    attempt_phase: _phase_pb2.AttemptPhase
    queue_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: _failure_pb2.Failure
    waiting_reason: _reason_pb2.WaitingReason
    wake_time: _timestamp_pb2.Timestamp
    cache_status: _phase_pb2.CacheStatus
    cache_source: CacheSource
    retry_decision: str
    item_count: int
    name: str
    target_name: str
    infrastructure_failure: bool
    launch_time: _timestamp_pb2.Timestamp
    code_time: _timestamp_pb2.Timestamp
    waiting_message: str
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[_Union[NodeKind, str]] = ..., phase: _Optional[_Union[_phase_pb2.NodePhase, str]] = ..., attempt: _Optional[int] = ..., attempt_phase: _Optional[_Union[_phase_pb2.AttemptPhase, str]] = ..., queue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., waiting_reason: _Optional[_Union[_reason_pb2.WaitingReason, str]] = ..., wake_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cache_status: _Optional[_Union[_phase_pb2.CacheStatus, str]] = ..., cache_source: _Optional[_Union[CacheSource, _Mapping]] = ..., retry_decision: _Optional[str] = ..., item_count: _Optional[int] = ..., name: _Optional[str] = ..., target_name: _Optional[str] = ..., infrastructure_failure: _Optional[bool] = ..., launch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waiting_message: _Optional[str] = ...) -> None: ...

class CacheSource(_message.Message):
    __slots__ = ("execution_id", "node_path", "attempt", "create_time")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_PATH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    execution_id: ExecutionId
    node_path: str
    attempt: int
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, execution_id: _Optional[_Union[ExecutionId, _Mapping]] = ..., node_path: _Optional[str] = ..., attempt: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExecutionId(_message.Message):
    __slots__ = ("project", "domain", "name")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    project: str
    domain: str
    name: str
    def __init__(self, project: _Optional[str] = ..., domain: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class AbortEvent(_message.Message):
    __slots__ = ("cause", "principal", "time")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    cause: str
    principal: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, cause: _Optional[str] = ..., principal: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LeaseEvent(_message.Message):
    __slots__ = ("worker_id", "fencing_token", "time")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    fencing_token: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, worker_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
