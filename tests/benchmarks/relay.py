"""A relay between clients and a control plane that notes the size of each message it passes on.

A stream of one message is what a unary call is on the wire, so every method of every service passes the
same way, as bytes. Its own limits are off: a message that is too long is refused by whom it is meant for.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Relay(grpc.GenericRpcHandler):
    """Listens on a Unix socket in `directory`, in a thread of its own, until it is closed."""

    def __init__(self, directory: Path, target: str) -> None:
        self.target = f"unix://{directory / 'relay.sock'}"
        self.largest: dict[str, int] = defaultdict(int)
        self._upstream = target
        self._channel: grpc.aio.Channel
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve(started)])
        self._thread.start()
        started.wait()

    def close(self) -> None:
        """Ends all that passes."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Every method there is."""
        method = details.method

        async def pass_on(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            call = self._channel.stream_stream(method)(
                self._noted(requests, f"{method} →"),
                metadata=[
                    (key, value) for key, value in context.invocation_metadata() if key != "user-agent"
                ],
                timeout=context.time_remaining(),
            )
            try:
                async for answer in self._noted(call, f"{method} ←"):
                    yield answer
            except grpc.aio.AioRpcError as error:
                context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
                await context.abort(error.code(), error.details() or "")
            finally:
                call.cancel()

        return grpc.stream_stream_rpc_method_handler(pass_on)

    async def _noted(self, messages: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
        async for message in messages:
            self.largest[name] = max(self.largest[name], len(message))
            yield message

    async def _serve(self, started: threading.Event) -> None:
        self._channel = grpc.aio.insecure_channel(self._upstream, options=_OPTIONS)
        server = grpc.aio.server(handlers=[self], options=_OPTIONS)
        server.add_insecure_port(self.target)
        await server.start()
        started.set()
        await self._stop.wait()
        await server.stop(1)
        await self._channel.close()
