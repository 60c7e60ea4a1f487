import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voleryidl.core.v1 import failure_pb2 as _failure_pb2
from voleryidl.core.v1 import identifier_pb2 as _identifier_pb2
from voleryidl.core.v1 import launch_plan_pb2 as _launch_plan_pb2
from voleryidl.core.v1 import phase_pb2 as _phase_pb2
from voleryidl.core.v1 import reason_pb2 as _reason_pb2
from voleryidl.event.v1 import event_pb2 as _event_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogStream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_STREAM_UNSPECIFIED: _ClassVar[LogStream]
    LOG_STREAM_STDOUT: _ClassVar[LogStream]
    LOG_STREAM_STDERR: _ClassVar[LogStream]
    LOG_STREAM_PLATFORM: _ClassVar[LogStream]
LOG_STREAM_UNSPECIFIED: LogStream
LOG_STREAM_STDOUT: LogStream
LOG_STREAM_STDERR: LogStream
LOG_STREAM_PLATFORM: LogStream

class Execution(_message.Message):
    __slots__ = ("id", "uid", "target", "phase", "options", "create_time", "start_time", "end_time", "failure", "counts", "last_sequence", "principal", "abort", "worker_id", "warnings", "traceparent")
    ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ABORT_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    uid: str
    target: _identifier_pb2.Identifier
    phase: _phase_pb2.ExecutionPhase
    options: _launch_plan_pb2.ExecutionOptions
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: _failure_pb2.Failure
    counts: PhaseCounts
    last_sequence: int
    principal: str
    abort: _event_pb2.AbortEvent
    worker_id: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    traceparent: str
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., uid: _Optional[str] = ..., target: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., phase: _Optional[_Union[_phase_pb2.ExecutionPhase, str]] = ..., options: _Optional[_Union[_launch_plan_pb2.ExecutionOptions, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., counts: _Optional[_Union[PhaseCounts, _Mapping]] = ..., last_sequence: _Optional[int] = ..., principal: _Optional[str] = ..., abort: _Optional[_Union[_event_pb2.AbortEvent, _Mapping]] = ..., worker_id: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class PhaseCounts(_message.Message):
    __slots__ = ("queued", "running", "waiting", "succeeded", "failed", "aborted", "skipped", "total")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    queued: int
    running: int
    waiting: int
    succeeded: int
    failed: int
    aborted: int
    skipped: int
    total: int
    def __init__(self, queued: _Optional[int] = ..., running: _Optional[int] = ..., waiting: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., aborted: _Optional[int] = ..., skipped: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class NodeExecution(_message.Message):
    __slots__ = ("path", "kind", "phase", "attempt", "name", "target_name", "queue_time", "start_time", "end_time", "failure", "waiting_reason", "wake_time", "cache_status", "cache_source", "counts", "waiting_message")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    CACHE_STATUS_FIELD_NUMBER: _ClassVar[int]
    CACHE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: _event_pb2.NodeKind
    phase: _phase_pb2.NodePhase
    attempt: int
    name: str
    target_name: str
    queue_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: _failure_pb2.Failure
    waiting_reason: _reason_pb2.WaitingReason
    wake_time: _timestamp_pb2.Timestamp
    cache_status: _phase_pb2.CacheStatus
    cache_source: _event_pb2.CacheSource
    counts: PhaseCounts
    waiting_message: str
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[_Union[_event_pb2.NodeKind, str]] = ..., phase: _Optional[_Union[_phase_pb2.NodePhase, str]] = ..., attempt: _Optional[int] = ..., name: _Optional[str] = ..., target_name: _Optional[str] = ..., queue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., waiting_reason: _Optional[_Union[_reason_pb2.WaitingReason, str]] = ..., wake_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cache_status: _Optional[_Union[_phase_pb2.CacheStatus, str]] = ..., cache_source: _Optional[_Union[_event_pb2.CacheSource, _Mapping]] = ..., counts: _Optional[_Union[PhaseCounts, _Mapping]] = ..., waiting_message: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("path", "attempt", "phase", "queue_time", "start_time", "end_time", "failure", "retry_decision", "worker_id", "infrastructure_failure", "launch_time", "code_time", "commit_time")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DECISION_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    INFRASTRUCTURE_FAILURE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_TIME_FIELD_NUMBER: _ClassVar[int]
    CODE_TIME_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    path: str
    attempt: int
    phase: _phase_pb2.AttemptPhase
    queue_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: _failure_pb2.Failure
    retry_decision: str
    worker_id: str
    infrastructure_failure: bool
    launch_time: _timestamp_pb2.Timestamp
    code_time: _timestamp_pb2.Timestamp
    commit_time: _timestamp_pb2.Timestamp
    def __init__(self, path: _Optional[str] = ..., attempt: _Optional[int] = ..., phase: _Optional[_Union[_phase_pb2.AttemptPhase, str]] = ..., queue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., retry_decision: _Optional[str] = ..., worker_id: _Optional[str] = ..., infrastructure_failure: _Optional[bool] = ..., launch_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LogChunk(_message.Message):
    __slots__ = ("path", "attempt", "stream", "offset", "data", "time")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    path: str
    attempt: int
    stream: LogStream
    offset: int
    data: bytes
    time: _timestamp_pb2.Timestamp
    def __init__(self, path: _Optional[str] = ..., attempt: _Optional[int] = ..., stream: _Optional[_Union[LogStream, str]] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
