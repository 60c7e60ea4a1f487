import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from voleryidl.core.v1 import closure_pb2 as _closure_pb2
from voleryidl.core.v1 import failure_pb2 as _failure_pb2
from voleryidl.core.v1 import identifier_pb2 as _identifier_pb2
from voleryidl.core.v1 import launch_plan_pb2 as _launch_plan_pb2
from voleryidl.core.v1 import literals_pb2 as _literals_pb2
from voleryidl.core.v1 import phase_pb2 as _phase_pb2
from voleryidl.core.v1 import reason_pb2 as _reason_pb2
from voleryidl.core.v1 import task_pb2 as _task_pb2
from voleryidl.event.v1 import event_pb2 as _event_pb2
from voleryidl.execution.v1 import execution_pb2 as _execution_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkRequest(_message.Message):
    __slots__ = ("hello", "capacity", "report_batch", "renewal", "log_batch", "goodbye")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    REPORT_BATCH_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    LOG_BATCH_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    capacity: Capacity
    report_batch: ReportBatch
    renewal: Renewal
    log_batch: LogBatch
    goodbye: Goodbye
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., capacity: _Optional[_Union[Capacity, _Mapping]] = ..., report_batch: _Optional[_Union[ReportBatch, _Mapping]] = ..., renewal: _Optional[_Union[Renewal, _Mapping]] = ..., log_batch: _Optional[_Union[LogBatch, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class WorkResponse(_message.Message):
    __slots__ = ("welcome", "assignment_batch", "acknowledgement_batch", "renewed", "inbox_batch", "go_away", "goodbye")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_BATCH_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_BATCH_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    INBOX_BATCH_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignment_batch: AssignmentBatch
    acknowledgement_batch: AcknowledgementBatch
    renewed: Renewed
    inbox_batch: InboxBatch
    go_away: GoAway
    goodbye: Goodbye
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignment_batch: _Optional[_Union[AssignmentBatch, _Mapping]] = ..., acknowledgement_batch: _Optional[_Union[AcknowledgementBatch, _Mapping]] = ..., renewed: _Optional[_Union[Renewed, _Mapping]] = ..., inbox_batch: _Optional[_Union[InboxBatch, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class WorkOpening(_message.Message):
    __slots__ = ("version", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    version: int
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, version: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("worker_id", "session_id", "version", "pools", "held", "slots", "executions")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    session_id: str
    version: str
    pools: _containers.RepeatedScalarFieldContainer[str]
    held: _containers.RepeatedCompositeFieldContainer[HeldExecution]
    slots: int
    executions: int
    def __init__(self, worker_id: _Optional[str] = ..., session_id: _Optional[str] = ..., version: _Optional[str] = ..., pools: _Optional[_Iterable[str]] = ..., held: _Optional[_Iterable[_Union[HeldExecution, _Mapping]]] = ..., slots: _Optional[int] = ..., executions: _Optional[int] = ...) -> None: ...

class HeldExecution(_message.Message):
    __slots__ = ("execution_key", "fencing_token")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    fencing_token: int
    def __init__(self, execution_key: _Optional[int] = ..., fencing_token: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("lease_duration", "renewal_interval", "lost_execution_keys", "inline_value_limit", "storage_uri", "installation_id", "task_server", "data_server", "platform_resources")
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    LOST_EXECUTION_KEYS_FIELD_NUMBER: _ClassVar[int]
    INLINE_VALUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    STORAGE_URI_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_SERVER_FIELD_NUMBER: _ClassVar[int]
    DATA_SERVER_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_RESOURCES_FIELD_NUMBER: _ClassVar[int]
    lease_duration: _duration_pb2.Duration
    renewal_interval: _duration_pb2.Duration
    lost_execution_keys: _containers.RepeatedScalarFieldContainer[int]
    inline_value_limit: int
    storage_uri: str
    installation_id: str
    task_server: str
    data_server: str
    platform_resources: PlatformResources
    def __init__(self, lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., renewal_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., lost_execution_keys: _Optional[_Iterable[int]] = ..., inline_value_limit: _Optional[int] = ..., storage_uri: _Optional[str] = ..., installation_id: _Optional[str] = ..., task_server: _Optional[str] = ..., data_server: _Optional[str] = ..., platform_resources: _Optional[_Union[PlatformResources, _Mapping]] = ...) -> None: ...

class PlatformResources(_message.Message):
    __slots__ = ("default_requests", "default_limits", "maximum")
    DEFAULT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_LIMITS_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    default_requests: _task_pb2.ResourceSet
    default_limits: _task_pb2.ResourceSet
    maximum: _task_pb2.ResourceSet
    def __init__(self, default_requests: _Optional[_Union[_task_pb2.ResourceSet, _Mapping]] = ..., default_limits: _Optional[_Union[_task_pb2.ResourceSet, _Mapping]] = ..., maximum: _Optional[_Union[_task_pb2.ResourceSet, _Mapping]] = ...) -> None: ...

class Capacity(_message.Message):
    __slots__ = ("executions", "attempts")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    executions: int
    attempts: int
    def __init__(self, executions: _Optional[int] = ..., attempts: _Optional[int] = ...) -> None: ...

class Renewal(_message.Message):
    __slots__ = ("number", "busy_slots", "waiting_attempts")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BUSY_SLOTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    busy_slots: int
    waiting_attempts: int
    def __init__(self, number: _Optional[int] = ..., busy_slots: _Optional[int] = ..., waiting_attempts: _Optional[int] = ...) -> None: ...

class Renewed(_message.Message):
    __slots__ = ("number", "alive")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    number: int
    alive: bool
    def __init__(self, number: _Optional[int] = ..., alive: _Optional[bool] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AssignmentBatch(_message.Message):
    __slots__ = ("assignments",)
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("execution_key", "fencing_token", "id", "uid", "closure_digest", "phase", "options", "create_time", "inputs", "inputs_complete", "nodes", "inbox", "complete", "last_report_number", "failure", "starts_committed", "settled", "traceparent", "attempt_key")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    CLOSURE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    INBOX_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    LAST_REPORT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    STARTS_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_KEY_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    fencing_token: int
    id: _event_pb2.ExecutionId
    uid: str
    closure_digest: str
    phase: _phase_pb2.ExecutionPhase
    options: _launch_plan_pb2.ExecutionOptions
    create_time: _timestamp_pb2.Timestamp
    inputs: _literals_pb2.LiteralMap
    inputs_complete: bool
    nodes: _containers.RepeatedCompositeFieldContainer[NodeSnapshot]
    inbox: _containers.RepeatedCompositeFieldContainer[InboxEntry]
    complete: bool
    last_report_number: int
    failure: _failure_pb2.Failure
    starts_committed: bool
    settled: _containers.RepeatedCompositeFieldContainer[SettledItems]
    traceparent: str
    attempt_key: bytes
    def __init__(self, execution_key: _Optional[int] = ..., fencing_token: _Optional[int] = ..., id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., uid: _Optional[str] = ..., closure_digest: _Optional[str] = ..., phase: _Optional[_Union[_phase_pb2.ExecutionPhase, str]] = ..., options: _Optional[_Union[_launch_plan_pb2.ExecutionOptions, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., inputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ..., inputs_complete: _Optional[bool] = ..., nodes: _Optional[_Iterable[_Union[NodeSnapshot, _Mapping]]] = ..., inbox: _Optional[_Iterable[_Union[InboxEntry, _Mapping]]] = ..., complete: _Optional[bool] = ..., last_report_number: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., starts_committed: _Optional[bool] = ..., settled: _Optional[_Iterable[_Union[SettledItems, _Mapping]]] = ..., traceparent: _Optional[str] = ..., attempt_key: _Optional[bytes] = ...) -> None: ...

class SettledItems(_message.Message):
    __slots__ = ("path", "first", "count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    path: str
    first: int
    count: int
    def __init__(self, path: _Optional[str] = ..., first: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class NodeSnapshot(_message.Message):
    __slots__ = ("path", "phase", "attempt", "queue_time", "infrastructure_failures", "wake_time", "item_count", "failure", "user_failures", "outputs")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    INFRASTRUCTURE_FAILURES_FIELD_NUMBER: _ClassVar[int]
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    USER_FAILURES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    path: str
    phase: _phase_pb2.NodePhase
    attempt: int
    queue_time: _timestamp_pb2.Timestamp
    infrastructure_failures: int
    wake_time: _timestamp_pb2.Timestamp
    item_count: int
    failure: _failure_pb2.Failure
    user_failures: int
    outputs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, path: _Optional[str] = ..., phase: _Optional[_Union[_phase_pb2.NodePhase, str]] = ..., attempt: _Optional[int] = ..., queue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., infrastructure_failures: _Optional[int] = ..., wake_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., item_count: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., user_failures: _Optional[int] = ..., outputs: _Optional[_Iterable[str]] = ...) -> None: ...

class InboxEntry(_message.Message):
    __slots__ = ("position", "abort", "signal", "child")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ABORT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CHILD_FIELD_NUMBER: _ClassVar[int]
    position: int
    abort: _event_pb2.AbortEvent
    signal: SignalSet
    child: ChildEnded
    def __init__(self, position: _Optional[int] = ..., abort: _Optional[_Union[_event_pb2.AbortEvent, _Mapping]] = ..., signal: _Optional[_Union[SignalSet, _Mapping]] = ..., child: _Optional[_Union[ChildEnded, _Mapping]] = ...) -> None: ...

class SignalSet(_message.Message):
    __slots__ = ("signal_id", "value", "principal")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    value: _literals_pb2.Literal
    principal: str
    def __init__(self, signal_id: _Optional[str] = ..., value: _Optional[_Union[_literals_pb2.Literal, _Mapping]] = ..., principal: _Optional[str] = ...) -> None: ...

class ChildEnded(_message.Message):
    __slots__ = ("node_path", "id", "phase", "failure")
    NODE_PATH_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    node_path: str
    id: _event_pb2.ExecutionId
    phase: _phase_pb2.ExecutionPhase
    failure: _failure_pb2.Failure
    def __init__(self, node_path: _Optional[str] = ..., id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., phase: _Optional[_Union[_phase_pb2.ExecutionPhase, str]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ...) -> None: ...

class InboxBatch(_message.Message):
    __slots__ = ("inboxes",)
    INBOXES_FIELD_NUMBER: _ClassVar[int]
    inboxes: _containers.RepeatedCompositeFieldContainer[ExecutionInbox]
    def __init__(self, inboxes: _Optional[_Iterable[_Union[ExecutionInbox, _Mapping]]] = ...) -> None: ...

class ExecutionInbox(_message.Message):
    __slots__ = ("execution_key", "fencing_token", "entries")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    fencing_token: int
    entries: _containers.RepeatedCompositeFieldContainer[InboxEntry]
    def __init__(self, execution_key: _Optional[int] = ..., fencing_token: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[InboxEntry, _Mapping]]] = ...) -> None: ...

class ReportBatch(_message.Message):
    __slots__ = ("number", "reports")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    reports: _containers.RepeatedCompositeFieldContainer[ExecutionReport]
    def __init__(self, number: _Optional[int] = ..., reports: _Optional[_Iterable[_Union[ExecutionReport, _Mapping]]] = ...) -> None: ...

class ExecutionReport(_message.Message):
    __slots__ = ("execution_key", "fencing_token", "number", "inbox_position", "events", "outputs", "counts", "node_counts", "cache_lookups", "cache_writes", "release", "abandoned")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    INBOX_POSITION_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    NODE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_LOOKUPS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    ABANDONED_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    fencing_token: int
    number: int
    inbox_position: int
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    outputs: _containers.RepeatedCompositeFieldContainer[NodeOutput]
    counts: _execution_pb2.PhaseCounts
    node_counts: _containers.RepeatedCompositeFieldContainer[NodeCounts]
    cache_lookups: _containers.RepeatedCompositeFieldContainer[CacheLookup]
    cache_writes: _containers.RepeatedCompositeFieldContainer[CacheWrite]
    release: Release
    abandoned: bool
    def __init__(self, execution_key: _Optional[int] = ..., fencing_token: _Optional[int] = ..., number: _Optional[int] = ..., inbox_position: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[NodeOutput, _Mapping]]] = ..., counts: _Optional[_Union[_execution_pb2.PhaseCounts, _Mapping]] = ..., node_counts: _Optional[_Iterable[_Union[NodeCounts, _Mapping]]] = ..., cache_lookups: _Optional[_Iterable[_Union[CacheLookup, _Mapping]]] = ..., cache_writes: _Optional[_Iterable[_Union[CacheWrite, _Mapping]]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., abandoned: _Optional[bool] = ...) -> None: ...

class NodeOutput(_message.Message):
    __slots__ = ("path", "name", "value", "chunk", "chunk_count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    path: str
    name: str
    value: _literals_pb2.Literal
    chunk: int
    chunk_count: int
    def __init__(self, path: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[_Union[_literals_pb2.Literal, _Mapping]] = ..., chunk: _Optional[int] = ..., chunk_count: _Optional[int] = ...) -> None: ...

class NodeCounts(_message.Message):
    __slots__ = ("path", "counts")
    PATH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    path: str
    counts: _execution_pb2.PhaseCounts
    def __init__(self, path: _Optional[str] = ..., counts: _Optional[_Union[_execution_pb2.PhaseCounts, _Mapping]] = ...) -> None: ...

class CacheLookup(_message.Message):
    __slots__ = ("path", "key", "reserve", "max_age")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    path: str
    key: str
    reserve: bool
    max_age: _duration_pb2.Duration
    def __init__(self, path: _Optional[str] = ..., key: _Optional[str] = ..., reserve: _Optional[bool] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CacheWrite(_message.Message):
    __slots__ = ("path", "key", "key_parts", "attempt", "overwrite", "task_id", "ttl")
    class KeyPartsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PATH_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_PARTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    path: str
    key: str
    key_parts: _containers.ScalarMap[str, str]
    attempt: int
    overwrite: bool
    task_id: _identifier_pb2.Identifier
    ttl: _duration_pb2.Duration
    def __init__(self, path: _Optional[str] = ..., key: _Optional[str] = ..., key_parts: _Optional[_Mapping[str, str]] = ..., attempt: _Optional[int] = ..., overwrite: _Optional[bool] = ..., task_id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("park", "drain")
    PARK_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    park: Park
    drain: Drain
    def __init__(self, park: _Optional[_Union[Park, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ...) -> None: ...

class Park(_message.Message):
    __slots__ = ("wake_time", "wake_after")
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    WAKE_AFTER_FIELD_NUMBER: _ClassVar[int]
    wake_time: _timestamp_pb2.Timestamp
    wake_after: _duration_pb2.Duration
    def __init__(self, wake_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., wake_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AcknowledgementBatch(_message.Message):
    __slots__ = ("number", "acknowledgements")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    acknowledgements: _containers.RepeatedCompositeFieldContainer[Acknowledgement]
    def __init__(self, number: _Optional[int] = ..., acknowledgements: _Optional[_Iterable[_Union[Acknowledgement, _Mapping]]] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("execution_key", "number", "refusal", "message", "cache_answers")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CACHE_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    number: int
    refusal: _reason_pb2.ErrorReason
    message: str
    cache_answers: _containers.RepeatedCompositeFieldContainer[CacheAnswer]
    def __init__(self, execution_key: _Optional[int] = ..., number: _Optional[int] = ..., refusal: _Optional[_Union[_reason_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ..., cache_answers: _Optional[_Iterable[_Union[CacheAnswer, _Mapping]]] = ...) -> None: ...

class CacheAnswer(_message.Message):
    __slots__ = ("path", "status", "outputs", "source", "reserved_elsewhere")
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    path: str
    status: _phase_pb2.CacheStatus
    outputs: _literals_pb2.LiteralMap
    source: _event_pb2.CacheSource
    reserved_elsewhere: bool
    def __init__(self, path: _Optional[str] = ..., status: _Optional[_Union[_phase_pb2.CacheStatus, str]] = ..., outputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ..., source: _Optional[_Union[_event_pb2.CacheSource, _Mapping]] = ..., reserved_elsewhere: _Optional[bool] = ...) -> None: ...

class LogBatch(_message.Message):
    __slots__ = ("logs",)
    LOGS_FIELD_NUMBER: _ClassVar[int]
    logs: _containers.RepeatedCompositeFieldContainer[ExecutionLogs]
    def __init__(self, logs: _Optional[_Iterable[_Union[ExecutionLogs, _Mapping]]] = ...) -> None: ...

class ExecutionLogs(_message.Message):
    __slots__ = ("execution_key", "fencing_token", "chunks", "stored")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    fencing_token: int
    chunks: _containers.RepeatedCompositeFieldContainer[_execution_pb2.LogChunk]
    stored: _containers.RepeatedCompositeFieldContainer[StoredLog]
    def __init__(self, execution_key: _Optional[int] = ..., fencing_token: _Optional[int] = ..., chunks: _Optional[_Iterable[_Union[_execution_pb2.LogChunk, _Mapping]]] = ..., stored: _Optional[_Iterable[_Union[StoredLog, _Mapping]]] = ...) -> None: ...

class StoredLog(_message.Message):
    __slots__ = ("path", "attempt", "stream", "uri", "size_bytes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    path: str
    attempt: int
    stream: _execution_pb2.LogStream
    uri: str
    size_bytes: int
    def __init__(self, path: _Optional[str] = ..., attempt: _Optional[int] = ..., stream: _Optional[_Union[_execution_pb2.LogStream, str]] = ..., uri: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class GetClosureRequest(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class GetClosureResponse(_message.Message):
    __slots__ = ("closure",)
    CLOSURE_FIELD_NUMBER: _ClassVar[int]
    closure: _closure_pb2.WorkflowClosure
    def __init__(self, closure: _Optional[_Union[_closure_pb2.WorkflowClosure, _Mapping]] = ...) -> None: ...

class GetValuesRequest(_message.Message):
    __slots__ = ("execution_key", "fencing_token", "values")
    EXECUTION_KEY_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    execution_key: int
    fencing_token: int
    values: _containers.RepeatedCompositeFieldContainer[ValueRef]
    def __init__(self, execution_key: _Optional[int] = ..., fencing_token: _Optional[int] = ..., values: _Optional[_Iterable[_Union[ValueRef, _Mapping]]] = ...) -> None: ...

class ValueRef(_message.Message):
    __slots__ = ("path", "name", "items")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    path: str
    name: str
    items: bool
    def __init__(self, path: _Optional[str] = ..., name: _Optional[str] = ..., items: _Optional[bool] = ...) -> None: ...

class GetValuesResponse(_message.Message):
    __slots__ = ("values", "items")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[NodeOutput]
    items: _containers.RepeatedCompositeFieldContainer[ItemValues]
    def __init__(self, values: _Optional[_Iterable[_Union[NodeOutput, _Mapping]]] = ..., items: _Optional[_Iterable[_Union[ItemValues, _Mapping]]] = ...) -> None: ...

class ItemValues(_message.Message):
    __slots__ = ("path", "name", "first", "values")
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    path: str
    name: str
    first: int
    values: _literals_pb2.Literal
    def __init__(self, path: _Optional[str] = ..., name: _Optional[str] = ..., first: _Optional[int] = ..., values: _Optional[_Union[_literals_pb2.Literal, _Mapping]] = ...) -> None: ...

class ListLiveAttemptsRequest(_message.Message):
    __slots__ = ("attempts",)
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptName]
    def __init__(self, attempts: _Optional[_Iterable[_Union[AttemptName, _Mapping]]] = ...) -> None: ...

class AttemptName(_message.Message):
    __slots__ = ("execution_uid", "path", "attempt", "execution_id")
    EXECUTION_UID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    execution_uid: str
    path: str
    attempt: int
    execution_id: _event_pb2.ExecutionId
    def __init__(self, execution_uid: _Optional[str] = ..., path: _Optional[str] = ..., attempt: _Optional[int] = ..., execution_id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ...) -> None: ...

class ListLiveAttemptsResponse(_message.Message):
    __slots__ = ("live",)
    LIVE_FIELD_NUMBER: _ClassVar[int]
    live: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, live: _Optional[_Iterable[bool]] = ...) -> None: ...
