from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_ARGUMENT: _ClassVar[ErrorReason]
    ERROR_REASON_COMPILATION_FAILED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_ALREADY_EXISTS: _ClassVar[ErrorReason]
    ERROR_REASON_VERSION_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_WRONG_PHASE: _ClassVar[ErrorReason]
    ERROR_REASON_STALE: _ClassVar[ErrorReason]
    ERROR_REASON_BUSY: _ClassVar[ErrorReason]
    ERROR_REASON_GONE: _ClassVar[ErrorReason]
    ERROR_REASON_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_UNAUTHENTICATED: _ClassVar[ErrorReason]
    ERROR_REASON_PERMISSION_DENIED: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_DEADLINE_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    ERROR_REASON_PROJECT_ARCHIVED: _ClassVar[ErrorReason]
    ERROR_REASON_UNIMPLEMENTED: _ClassVar[ErrorReason]

class WaitingReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAITING_REASON_UNSPECIFIED: _ClassVar[WaitingReason]
    WAITING_REASON_SLOTS: _ClassVar[WaitingReason]
    WAITING_REASON_CONCURRENCY: _ClassVar[WaitingReason]
    WAITING_REASON_BACKOFF: _ClassVar[WaitingReason]
    WAITING_REASON_CACHE_RESERVATION: _ClassVar[WaitingReason]
    WAITING_REASON_SIGNAL: _ClassVar[WaitingReason]
    WAITING_REASON_SLEEP: _ClassVar[WaitingReason]
    WAITING_REASON_CHILD: _ClassVar[WaitingReason]
    WAITING_REASON_UNSCHEDULABLE: _ClassVar[WaitingReason]
    WAITING_REASON_IMAGE: _ClassVar[WaitingReason]
    WAITING_REASON_QUOTA: _ClassVar[WaitingReason]
    WAITING_REASON_POD: _ClassVar[WaitingReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INVALID_ARGUMENT: ErrorReason
ERROR_REASON_COMPILATION_FAILED: ErrorReason
ERROR_REASON_NOT_FOUND: ErrorReason
ERROR_REASON_ALREADY_EXISTS: ErrorReason
ERROR_REASON_VERSION_CONFLICT: ErrorReason
ERROR_REASON_WRONG_PHASE: ErrorReason
ERROR_REASON_STALE: ErrorReason
ERROR_REASON_BUSY: ErrorReason
ERROR_REASON_GONE: ErrorReason
ERROR_REASON_TOO_LARGE: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_UNAVAILABLE: ErrorReason
ERROR_REASON_UNAUTHENTICATED: ErrorReason
ERROR_REASON_PERMISSION_DENIED: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_DEADLINE_EXCEEDED: ErrorReason
ERROR_REASON_REQUEST_ID_REUSED: ErrorReason
ERROR_REASON_PROJECT_ARCHIVED: ErrorReason
ERROR_REASON_UNIMPLEMENTED: ErrorReason
WAITING_REASON_UNSPECIFIED: WaitingReason
WAITING_REASON_SLOTS: WaitingReason
WAITING_REASON_CONCURRENCY: WaitingReason
WAITING_REASON_BACKOFF: WaitingReason
WAITING_REASON_CACHE_RESERVATION: WaitingReason
WAITING_REASON_SIGNAL: WaitingReason
WAITING_REASON_SLEEP: WaitingReason
WAITING_REASON_CHILD: WaitingReason
WAITING_REASON_UNSCHEDULABLE: WaitingReason
WAITING_REASON_IMAGE: WaitingReason
WAITING_REASON_QUOTA: WaitingReason
WAITING_REASON_POD: WaitingReason
