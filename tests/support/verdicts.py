"""The laws that hold for whatever a client sends: how a call ended, judged.

A call is made with bytes, so that what is sent is what the test says and not what a stub lets through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.data.v1 import data_service_pb2
from voleryidl.engine.v1 import engine_service_pb2
from voleryidl.execution.v1 import execution_service_pb2
from voleryidl.project.v1 import project_service_pb2
from voleryidl.registry.v1 import registry_service_pb2
from voleryidl.worker.v1 import worker_service_pb2

REASONS = frozenset(
    value.name.removeprefix("ERROR_REASON_") for value in ErrorReason.DESCRIPTOR.values if value.number
)
NEVER = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED})
DETAILS = "grpc-status-details-bin"
ROOM = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1024 * 1024),
    ("grpc.absolute_max_metadata_size", 1024 * 1024),
)
"""What a client must allow itself so that the server's limits are the ones that are met."""


@dataclass(frozen=True)
class Rpc:
    """A method of the IDL."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        return str(self.descriptor.name)

    @property
    def path(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.name}"

    @property
    def listens(self) -> bool:
        """Whether it may last as long as the client does."""
        return self.name in LISTENING


LISTENING = frozenset(
    {"Work", "WatchExecution", "WatchProject", "TailLogs", "WaitExecution", "CreateExecution"}
)

RPCS = tuple(
    Rpc(method)
    for file in (
        data_service_pb2,
        engine_service_pb2,
        execution_service_pb2,
        project_service_pb2,
        registry_service_pb2,
        worker_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)


@dataclass(frozen=True)
class Verdict:
    """How a call ended."""

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    answers: tuple[Message, ...] = ()

    @property
    def is_ok(self) -> bool:
        return self.code is grpc.StatusCode.OK


def call(
    channel: grpc.Channel,
    rpc: Rpc,
    requests: Iterable[bytes],
    *,
    patience: float | None = None,
    metadata: tuple[tuple[str, str | bytes], ...] = (),
    compression: grpc.Compression | None = None,
    answers: int = 20,
) -> Verdict:
    """Makes a call; of a stream of answers it reads the first ones."""
    if patience is None:
        patience = 0.08 if rpc.listens else 30.0
    make = channel.stream_stream(rpc.path)  # serves every kind of method: they are the same on the wire
    found: list[Message] = []
    kind = GetMessageClass(rpc.descriptor.output_type)
    call = make(
        _held_open(requests) if rpc.name == "Work" else iter(requests),
        timeout=patience,
        metadata=metadata,
        compression=compression,
    )
    try:
        for answer in call:
            found.append(kind.FromString(answer))
            if len(found) >= answers:
                call.cancel()
                break
        return Verdict(grpc.StatusCode.OK, answers=tuple(found))
    except grpc.RpcError as error:
        return verdict_of(error, tuple(found))


def verdict_of(error: Any, answers: tuple[Message, ...] = ()) -> Verdict:
    reason, details = "", ()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS:
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == "volery":
                    reason, details = info.reason, tuple(sorted(info.metadata.items()))
    return Verdict(error.code(), error.details() or "", reason, details, answers)


def complaint(rpc: Rpc, verdict: Verdict) -> str:
    """What is wrong with how a call ended; "" when all is well."""
    if verdict.is_ok:
        return ""
    if verdict.code in NEVER:
        return f"{rpc.name} ended with {verdict.code.name}: {verdict.message}"
    if verdict.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "" if rpc.listens else f"{rpc.name} did not answer"
    if verdict.code is grpc.StatusCode.UNAVAILABLE and not verdict.reason:
        return f"{rpc.name} lost its server: {verdict.message}"
    if verdict.reason not in REASONS:
        return f"{rpc.name} refused without a reason: {verdict.code.name} {verdict.message} {verdict.reason}"
    return ""


def _held_open(requests: Iterable[bytes]) -> Iterator[bytes]:
    yield from requests
