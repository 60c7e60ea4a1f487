"""Reading and writing messages where a bad one must become a refusal.

gRPC answers what it cannot parse, and what is too long, with a status that has no details, or with UNKNOWN.
So a message is parsed here: what cannot be read arrives as an `Unreadable`, which the interceptor turns into
the refusal it carries, and answers are measured before they are sent.

gRPC's own limit still holds, well above ours, for what must not even be taken into memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError, Message

from volery_controlplane.domain.errors import (
    Invalid,
    Overloaded,
    Refusal,
    RetryAdvice,
    TooLarge,
    Violation,
)

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # generic in its stubs only

HEADROOM = 4
"""So many times the limit gRPC lets through: what lies between is refused with details."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a message that could not be read."""

    refusal: Refusal


def reading(parse: Callable[[bytes], Any], limit: int) -> Callable[[bytes], Any]:
    """A deserialiser that never raises.

    Args:
        parse: the generated one.
        limit: the most bytes a message may have.

    Returns:
        One that gives the message, or an `Unreadable`.
    """

    def read(content: bytes) -> Any:
        if len(content) > limit:
            return Unreadable(_too_long("the message", len(content), limit, _SEND_LESS))
        try:
            return parse(content)
        except DecodeError:
            what = (
                "the message cannot be read: its bytes are damaged, a text is not UTF-8, or it is nested"
                " deeper than 100 levels"
            )
            return Unreadable(Invalid(what, [Violation("", what, "UNREADABLE_MESSAGE")]))

    return read


def write(message: Any) -> Any:
    """A serialiser that lets through what is serialised already."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def measured(message: Message, limit: int) -> bytes:
    """An answer as it travels.

    Raises:
        TooLarge: when it has more bytes than a message may have.
    """
    content = message.SerializeToString()
    if len(content) > limit:
        raise _too_long("the answer", len(content), limit, _ASK_LESS)
    return content


async def readable(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages of a stream.

    Raises:
        Refusal: when one cannot be read.
    """
    async for message in messages:
        if isinstance(message, Unreadable):
            raise message.refusal
        yield message


async def within(messages: AsyncIterator[Any], patience: float) -> AsyncIterator[Any]:
    """The messages of a stream that holds a place which others need.

    Raises:
        Overloaded: when the next one does not come in time.
    """
    while True:
        try:
            async with asyncio.timeout(patience):
                message = await anext(messages)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Overloaded(
                f"nothing was sent for {patience:g} s (slow_reader_limit); try again",
                {"limit_name": "slow_reader_limit", "limit": f"{patience:g}s"},
                RetryAdvice(timedelta(seconds=1)),
            ) from None
        yield message


def rebuilt(handler: Handler, limit: int) -> Handler:
    """A method's handler that reads and writes as this module does."""
    behaviour, make = _SHAPES[handler.request_streaming, handler.response_streaming]
    parse = handler.request_deserializer
    assert parse is not None  # generated ones always have it
    made: Handler = make(getattr(handler, behaviour), reading(parse, limit), write)
    return made


_SHAPES: dict[tuple[bool, bool], tuple[str, Any]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}

_SEND_LESS = "send less at a time, put large values into files, or raise the setting"
_ASK_LESS = "ask for smaller pages or single nodes, put large values into files, or raise the setting"


def _too_long(what: str, size: int, limit: int, hint: str) -> TooLarge:
    return TooLarge(
        f"{what} has {size} bytes; message_size_limit allows {limit}. {hint.capitalize()}",
        {"limit_name": "message_size_limit", "limit": str(limit), "size": str(size)},
    )
