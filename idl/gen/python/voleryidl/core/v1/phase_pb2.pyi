from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ExecutionPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_PHASE_UNSPECIFIED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_QUEUED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_RUNNING: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_FAILING: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_ABORTING: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_SUCCEEDED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_FAILED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_ABORTED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_TIMED_OUT: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_PAUSED: _ClassVar[ExecutionPhase]

class NodePhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_PHASE_UNSPECIFIED: _ClassVar[NodePhase]
    NODE_PHASE_QUEUED: _ClassVar[NodePhase]
    NODE_PHASE_RUNNING: _ClassVar[NodePhase]
    NODE_PHASE_WAITING: _ClassVar[NodePhase]
    NODE_PHASE_SUCCEEDED: _ClassVar[NodePhase]
    NODE_PHASE_FAILED: _ClassVar[NodePhase]
    NODE_PHASE_ABORTED: _ClassVar[NodePhase]
    NODE_PHASE_SKIPPED: _ClassVar[NodePhase]
    NODE_PHASE_TIMED_OUT: _ClassVar[NodePhase]
    NODE_PHASE_RECOVERED: _ClassVar[NodePhase]

class AttemptPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_PHASE_UNSPECIFIED: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_QUEUED: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_INITIALIZING: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_RUNNING: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_SUCCEEDED: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_FAILED: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_ABORTED: _ClassVar[AttemptPhase]
    ATTEMPT_PHASE_TIMED_OUT: _ClassVar[AttemptPhase]

class CacheStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_STATUS_UNSPECIFIED: _ClassVar[CacheStatus]
    CACHE_STATUS_DISABLED: _ClassVar[CacheStatus]
    CACHE_STATUS_MISS: _ClassVar[CacheStatus]
    CACHE_STATUS_HIT: _ClassVar[CacheStatus]
    CACHE_STATUS_POPULATED: _ClassVar[CacheStatus]
    CACHE_STATUS_LOOKUP_FAILURE: _ClassVar[CacheStatus]
    CACHE_STATUS_PUT_FAILURE: _ClassVar[CacheStatus]
    CACHE_STATUS_SKIPPED: _ClassVar[CacheStatus]
EXECUTION_PHASE_UNSPECIFIED: ExecutionPhase
EXECUTION_PHASE_QUEUED: ExecutionPhase
EXECUTION_PHASE_RUNNING: ExecutionPhase
EXECUTION_PHASE_FAILING: ExecutionPhase
EXECUTION_PHASE_ABORTING: ExecutionPhase
EXECUTION_PHASE_SUCCEEDED: ExecutionPhase
EXECUTION_PHASE_FAILED: ExecutionPhase
EXECUTION_PHASE_ABORTED: ExecutionPhase
EXECUTION_PHASE_TIMED_OUT: ExecutionPhase
EXECUTION_PHASE_PAUSED: ExecutionPhase
NODE_PHASE_UNSPECIFIED: NodePhase
NODE_PHASE_QUEUED: NodePhase
NODE_PHASE_RUNNING: NodePhase
NODE_PHASE_WAITING: NodePhase
NODE_PHASE_SUCCEEDED: NodePhase
NODE_PHASE_FAILED: NodePhase
NODE_PHASE_ABORTED: NodePhase
NODE_PHASE_SKIPPED: NodePhase
NODE_PHASE_TIMED_OUT: NodePhase
NODE_PHASE_RECOVERED: NodePhase
ATTEMPT_PHASE_UNSPECIFIED: AttemptPhase
ATTEMPT_PHASE_QUEUED: AttemptPhase
ATTEMPT_PHASE_INITIALIZING: AttemptPhase
ATTEMPT_PHASE_RUNNING: AttemptPhase
ATTEMPT_PHASE_SUCCEEDED: AttemptPhase
ATTEMPT_PHASE_FAILED: AttemptPhase
ATTEMPT_PHASE_ABORTED: AttemptPhase
ATTEMPT_PHASE_TIMED_OUT: AttemptPhase
CACHE_STATUS_UNSPECIFIED: CacheStatus
CACHE_STATUS_DISABLED: CacheStatus
CACHE_STATUS_MISS: CacheStatus
CACHE_STATUS_HIT: CacheStatus
CACHE_STATUS_POPULATED: CacheStatus
CACHE_STATUS_LOOKUP_FAILURE: CacheStatus
CACHE_STATUS_PUT_FAILURE: CacheStatus
CACHE_STATUS_SKIPPED: CacheStatus
