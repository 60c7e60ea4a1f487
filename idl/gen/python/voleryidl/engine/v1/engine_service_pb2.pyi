import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voleryidl.execution.v1 import execution_pb2 as _execution_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetEngineStatusRequest(_message.Message):
    __slots__ = ("listed",)
    LISTED_FIELD_NUMBER: _ClassVar[int]
    listed: int
    def __init__(self, listed: _Optional[int] = ...) -> None: ...

class GetEngineStatusResponse(_message.Message):
    __slots__ = ("control_plane", "workers", "queue", "rates", "running", "recent_failures", "read_time")
    CONTROL_PLANE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RECENT_FAILURES_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    control_plane: ControlPlaneStatus
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    queue: QueueStatus
    rates: Rates
    running: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Execution]
    recent_failures: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Execution]
    read_time: _timestamp_pb2.Timestamp
    def __init__(self, control_plane: _Optional[_Union[ControlPlaneStatus, _Mapping]] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., queue: _Optional[_Union[QueueStatus, _Mapping]] = ..., rates: _Optional[_Union[Rates, _Mapping]] = ..., running: _Optional[_Iterable[_Union[_execution_pb2.Execution, _Mapping]]] = ..., recent_failures: _Optional[_Iterable[_Union[_execution_pb2.Execution, _Mapping]]] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ControlPlaneStatus(_message.Message):
    __slots__ = ("version", "installation_id", "start_time", "database", "worker_streams", "calls", "watches")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    WORKER_STREAMS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    WATCHES_FIELD_NUMBER: _ClassVar[int]
    version: str
    installation_id: str
    start_time: _timestamp_pb2.Timestamp
    database: str
    worker_streams: int
    calls: int
    watches: int
    def __init__(self, version: _Optional[str] = ..., installation_id: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., database: _Optional[str] = ..., worker_streams: _Optional[int] = ..., calls: _Optional[int] = ..., watches: _Optional[int] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("worker_id", "session_id", "version", "pools", "open_time", "renew_time", "expire_time", "slots", "busy_slots", "waiting_attempts", "executions", "held_executions")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    OPEN_TIME_FIELD_NUMBER: _ClassVar[int]
    RENEW_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BUSY_SLOTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    HELD_EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    session_id: str
    version: str
    pools: _containers.RepeatedScalarFieldContainer[str]
    open_time: _timestamp_pb2.Timestamp
    renew_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    slots: int
    busy_slots: int
    waiting_attempts: int
    executions: int
    held_executions: int
    def __init__(self, worker_id: _Optional[str] = ..., session_id: _Optional[str] = ..., version: _Optional[str] = ..., pools: _Optional[_Iterable[str]] = ..., open_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., renew_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., slots: _Optional[int] = ..., busy_slots: _Optional[int] = ..., waiting_attempts: _Optional[int] = ..., executions: _Optional[int] = ..., held_executions: _Optional[int] = ...) -> None: ...

class QueueStatus(_message.Message):
    __slots__ = ("unclaimed", "oldest_unclaimed_age", "parked", "oldest_undelivered_age")
    UNCLAIMED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNCLAIMED_AGE_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_UNDELIVERED_AGE_FIELD_NUMBER: _ClassVar[int]
    unclaimed: int
    oldest_unclaimed_age: _duration_pb2.Duration
    parked: int
    oldest_undelivered_age: _duration_pb2.Duration
    def __init__(self, unclaimed: _Optional[int] = ..., oldest_unclaimed_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., parked: _Optional[int] = ..., oldest_undelivered_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Rates(_message.Message):
    __slots__ = ("window", "executions_created", "executions_ended", "nodes_ended", "commits", "waves", "reports_per_wave", "calls")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_CREATED_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_ENDED_FIELD_NUMBER: _ClassVar[int]
    NODES_ENDED_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    WAVES_FIELD_NUMBER: _ClassVar[int]
    REPORTS_PER_WAVE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    window: _duration_pb2.Duration
    executions_created: float
    executions_ended: float
    nodes_ended: float
    commits: float
    waves: float
    reports_per_wave: float
    calls: float
    def __init__(self, window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., executions_created: _Optional[float] = ..., executions_ended: _Optional[float] = ..., nodes_ended: _Optional[float] = ..., commits: _Optional[float] = ..., waves: _Optional[float] = ..., reports_per_wave: _Optional[float] = ..., calls: _Optional[float] = ...) -> None: ...
