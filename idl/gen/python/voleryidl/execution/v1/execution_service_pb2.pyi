import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from voleryidl.core.v1 import identifier_pb2 as _identifier_pb2
from voleryidl.core.v1 import launch_plan_pb2 as _launch_plan_pb2
from voleryidl.core.v1 import literals_pb2 as _literals_pb2
from voleryidl.event.v1 import event_pb2 as _event_pb2
from voleryidl.execution.v1 import execution_pb2 as _execution_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCH_VIEW_UNSPECIFIED: _ClassVar[WatchView]
    WATCH_VIEW_SUMMARY: _ClassVar[WatchView]
    WATCH_VIEW_FULL: _ClassVar[WatchView]
WATCH_VIEW_UNSPECIFIED: WatchView
WATCH_VIEW_SUMMARY: WatchView
WATCH_VIEW_FULL: WatchView

class CreateExecutionRequest(_message.Message):
    __slots__ = ("project", "domain", "name", "target", "inputs", "options", "request_id", "wait_timeout")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    project: str
    domain: str
    name: str
    target: _identifier_pb2.Identifier
    inputs: _literals_pb2.LiteralMap
    options: _launch_plan_pb2.ExecutionOptions
    request_id: str
    wait_timeout: _duration_pb2.Duration
    def __init__(self, project: _Optional[str] = ..., domain: _Optional[str] = ..., name: _Optional[str] = ..., target: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., inputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ..., options: _Optional[_Union[_launch_plan_pb2.ExecutionOptions, _Mapping]] = ..., request_id: _Optional[str] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateExecutionResponse(_message.Message):
    __slots__ = ("execution", "existed", "outputs")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    existed: bool
    outputs: _literals_pb2.LiteralMap
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ..., existed: _Optional[bool] = ..., outputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ...) -> None: ...

class GetExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ...) -> None: ...

class WaitExecutionRequest(_message.Message):
    __slots__ = ("id", "timeout")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    timeout: _duration_pb2.Duration
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitExecutionResponse(_message.Message):
    __slots__ = ("execution", "outputs")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    outputs: _literals_pb2.LiteralMap
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ..., outputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ...) -> None: ...

class ListExecutionsRequest(_message.Message):
    __slots__ = ("project", "domain", "page_size", "page_token", "filter", "order_by")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    project: str
    domain: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, project: _Optional[str] = ..., domain: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListExecutionsResponse(_message.Message):
    __slots__ = ("executions", "next_page_token")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Execution]
    next_page_token: str
    def __init__(self, executions: _Optional[_Iterable[_Union[_execution_pb2.Execution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AbortExecutionRequest(_message.Message):
    __slots__ = ("id", "cause", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    cause: str
    request_id: str
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., cause: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AbortExecutionResponse(_message.Message):
    __slots__ = ("execution", "accepted")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    accepted: bool
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ..., accepted: _Optional[bool] = ...) -> None: ...

class DeleteExecutionRequest(_message.Message):
    __slots__ = ("id", "request_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    request_id: str
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ...) -> None: ...

class GetExecutionDataRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ...) -> None: ...

class GetExecutionDataResponse(_message.Message):
    __slots__ = ("given_inputs", "inputs", "outputs")
    GIVEN_INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    given_inputs: _literals_pb2.LiteralMap
    inputs: _literals_pb2.LiteralMap
    outputs: _literals_pb2.LiteralMap
    def __init__(self, given_inputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ..., inputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ..., outputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ...) -> None: ...

class ListNodeExecutionsRequest(_message.Message):
    __slots__ = ("execution_id", "parent_path", "recursive", "page_size", "page_token", "filter")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_PATH_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    execution_id: _event_pb2.ExecutionId
    parent_path: str
    recursive: bool
    page_size: int
    page_token: str
    filter: str
    def __init__(self, execution_id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., parent_path: _Optional[str] = ..., recursive: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListNodeExecutionsResponse(_message.Message):
    __slots__ = ("node_executions", "next_page_token")
    NODE_EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    node_executions: _containers.RepeatedCompositeFieldContainer[_execution_pb2.NodeExecution]
    next_page_token: str
    def __init__(self, node_executions: _Optional[_Iterable[_Union[_execution_pb2.NodeExecution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetNodeExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "path")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    execution_id: _event_pb2.ExecutionId
    path: str
    def __init__(self, execution_id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., path: _Optional[str] = ...) -> None: ...

class GetNodeExecutionResponse(_message.Message):
    __slots__ = ("node_execution", "attempts")
    NODE_EXECUTION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    node_execution: _execution_pb2.NodeExecution
    attempts: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Attempt]
    def __init__(self, node_execution: _Optional[_Union[_execution_pb2.NodeExecution, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[_execution_pb2.Attempt, _Mapping]]] = ...) -> None: ...

class GetNodeExecutionDataRequest(_message.Message):
    __slots__ = ("execution_id", "path")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    execution_id: _event_pb2.ExecutionId
    path: str
    def __init__(self, execution_id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., path: _Optional[str] = ...) -> None: ...

class GetNodeExecutionDataResponse(_message.Message):
    __slots__ = ("outputs",)
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    outputs: _literals_pb2.LiteralMap
    def __init__(self, outputs: _Optional[_Union[_literals_pb2.LiteralMap, _Mapping]] = ...) -> None: ...

class ListAttemptsRequest(_message.Message):
    __slots__ = ("execution_id", "page_size", "page_token")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    execution_id: _event_pb2.ExecutionId
    page_size: int
    page_token: str
    def __init__(self, execution_id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAttemptsResponse(_message.Message):
    __slots__ = ("attempts", "next_page_token")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Attempt]
    next_page_token: str
    def __init__(self, attempts: _Optional[_Iterable[_Union[_execution_pb2.Attempt, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchExecutionRequest(_message.Message):
    __slots__ = ("id", "after_sequence", "view")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    id: _event_pb2.ExecutionId
    after_sequence: int
    view: WatchView
    def __init__(self, id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., after_sequence: _Optional[int] = ..., view: _Optional[_Union[WatchView, str]] = ...) -> None: ...

class WatchExecutionResponse(_message.Message):
    __slots__ = ("execution", "events", "node_executions", "through_sequence", "history_cut")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NODE_EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    THROUGH_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_CUT_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    node_executions: _containers.RepeatedCompositeFieldContainer[_execution_pb2.NodeExecution]
    through_sequence: int
    history_cut: bool
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., node_executions: _Optional[_Iterable[_Union[_execution_pb2.NodeExecution, _Mapping]]] = ..., through_sequence: _Optional[int] = ..., history_cut: _Optional[bool] = ...) -> None: ...

class WatchProjectRequest(_message.Message):
    __slots__ = ("project", "domain", "cursor")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    project: str
    domain: str
    cursor: str
    def __init__(self, project: _Optional[str] = ..., domain: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchProjectResponse(_message.Message):
    __slots__ = ("executions", "cursor", "history_cut")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    HISTORY_CUT_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Execution]
    cursor: str
    history_cut: bool
    def __init__(self, executions: _Optional[_Iterable[_Union[_execution_pb2.Execution, _Mapping]]] = ..., cursor: _Optional[str] = ..., history_cut: _Optional[bool] = ...) -> None: ...

class TailLogsRequest(_message.Message):
    __slots__ = ("execution_id", "path", "attempt", "follow")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    execution_id: _event_pb2.ExecutionId
    path: str
    attempt: int
    follow: bool
    def __init__(self, execution_id: _Optional[_Union[_event_pb2.ExecutionId, _Mapping]] = ..., path: _Optional[str] = ..., attempt: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class TailLogsResponse(_message.Message):
    __slots__ = ("chunks",)
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_execution_pb2.LogChunk]
    def __init__(self, chunks: _Optional[_Iterable[_Union[_execution_pb2.LogChunk, _Mapping]]] = ...) -> None: ...
