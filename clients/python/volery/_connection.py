"""Connection: one channel to a control plane that heals itself.

A call goes through `unary` or `stream`. What goes away when tried again (the server cannot be reached, is
restarting, or asks for patience) is tried again until the caller's patience is over; this is safe because
every mutation of the contract carries a request id made once per intention, and the ids are inside the
message that is sent again. Everything else becomes a typed error at once.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import h2.exceptions
from grpclib import GRPCError, Status
from grpclib.events import SendRequest, listen
from grpclib.exceptions import StreamTerminatedError

from volery._addresses import Address
from volery._roaming import RoamingChannel
from volery._status_details import to_error
from volery.credentials import Bearer, Credentials
from volery.errors import (
    ConfigurationError,
    DeadlineError,
    RpcError,
    UnauthenticatedError,
    UnavailableError,
)

T = TypeVar("T")

FIRST_DELAY = 0.05
LONGEST_DELAY = 2.0
NO_CREDENTIALS = Credentials()

_AWAY = frozenset({Status.UNAVAILABLE, Status.CANCELLED})
"""What calls end with that nobody serves. No refusal of ours is CANCELLED: a gRPC server that stops says so
of calls that it has not begun, and of those that take longer than its grace."""


class Connection:
    """A channel to one address, made on first use inside a running event loop.

    Attributes:
        address: where to.
        patience: how many seconds a call that may be repeated is repeated for, once the server was
            reached; before that, `first_patience`, so that a wrong address is told soon.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials = NO_CREDENTIALS,
        *,
        patience: float = 30.0,
        first_patience: float = 2.0,
    ) -> None:
        if credentials.has_token and not address.is_private:
            raise ConfigurationError(
                f"refusing to send a token to {address} where others can read it; write https://{address}"
            )
        self.address = address
        self.bearer = Bearer(credentials)
        self._credentials = credentials
        self.patience = patience
        self.first_patience = min(first_patience, patience)
        self._channel: RoamingChannel | None = None
        self._was_reached = False

    @property
    def channel(self) -> RoamingChannel:
        """The channel; it connects by itself and again after a loss."""
        if self._channel is None:
            self._channel = RoamingChannel(self.address, self._credentials)
            listen(self._channel, SendRequest, self._show)
        return self._channel

    async def _show(self, request: SendRequest) -> None:
        """Says who calls, each time anew."""
        if token := self.bearer.token():
            request.metadata["authorization"] = f"Bearer {token}"

    def leave(self) -> None:
        """Go to another control plane, where there is one: this one does not serve at the moment."""
        if self._channel is not None:
            self._channel.leave()

    def close(self) -> None:
        """Close the channel; a later call opens a new one."""
        if self._channel is not None:
            protocol = getattr(self._channel, "_protocol", None)  # made with the first call
            transport = getattr(getattr(protocol, "connection", None), "_transport", None)
            self._channel.close()
            self._channel = None
            if transport is not None:
                # TLS would wait for the other side's farewell, for which our loop may not live long enough.
                transport.abort()

    async def unary(self, attempt: Callable[[], Awaitable[T]], *, within: float | None = None) -> T:
        """Make a call, again where that helps, until it is answered or patience is over."""
        retries = Retries(self)
        try:
            async with asyncio.timeout(within):
                while True:
                    try:
                        answer = await attempt()
                    except Exception as problem:
                        await retries.after(problem)
                    else:
                        self._was_reached = True
                        return answer
        except TimeoutError:
            raise DeadlineError(
                f"no answer from {self.address} within {within:g} s", code="DEADLINE_EXCEEDED"
            ) from retries.last

    async def stream(self, open_stream: Callable[[], AsyncIterator[T]]) -> AsyncIterator[T]:
        """Read a stream whose start can be asked for again; `open_stream` knows where to resume.

        Each message that arrives renews patience.
        """
        retries = Retries(self)
        while True:
            try:
                async for message in open_stream():
                    self._was_reached = True
                    retries = Retries(self)
                    yield message
            except Exception as problem:
                await retries.after(problem)
            else:
                return


class Retries:
    """Says whether a problem is worth another try, and waits before it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begin = asyncio.get_running_loop().time()
        self._delay = FIRST_DELAY
        self.last: RpcError | None = None

    async def after(self, problem: Exception) -> None:
        """Wait, if another try may help; else raise the typed error of the problem."""
        if isinstance(problem, ssl.SSLCertVerificationError):
            raise ConfigurationError(
                f"{self._connection.address} is not trusted: {problem.verify_message}; tls_ca names the"
                " authorities that sign servers, and the address must be one of the certificate's names"
            ) from problem
        error = typed(problem, self._connection.address)
        if error is None:
            raise problem
        if isinstance(error, UnauthenticatedError) and self._connection.bearer.renew():
            return  # the token was replaced meanwhile
        if isinstance(error, UnavailableError):
            self._connection.leave()
        waits_help = isinstance(error, UnavailableError) or error.retry_after is not None
        reached = self._connection._was_reached or error.reason != ""
        patience = self._connection.patience if reached else self._connection.first_patience
        spent = asyncio.get_running_loop().time() - self._begin
        # Those who were turned away together must not come back together.
        asked = (error.retry_after or 0.0) * random.uniform(1.0, 1.5)  # noqa: S311  # spreads load
        delay = max(self._delay * random.uniform(0.5, 1.0), asked)  # noqa: S311  # spreads load
        if not waits_help or spent + delay > patience:
            raise error from None  # the typed error says all that the channel's did
        self.last = error
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        await asyncio.sleep(delay)


def typed(problem: Exception, address: Address) -> RpcError | None:
    """The typed error of what a channel raises; None for what is not about the call."""
    if isinstance(problem, RpcError):
        return problem
    if isinstance(problem, GRPCError):
        if problem.status in _AWAY and not problem.details:
            return UnavailableError(
                f"{address} is not available: {problem.message or 'no reason given'}", code="UNAVAILABLE"
            )
        return to_error(problem.status, problem.message, problem.details)
    if isinstance(problem, StreamTerminatedError | h2.exceptions.ProtocolError):
        return UnavailableError(f"the connection to {address} was lost: {problem}", code="UNAVAILABLE")
    if isinstance(problem, OSError) and not isinstance(problem, TimeoutError):
        return UnavailableError(f"{address} cannot be reached: {_plainly(problem)}", code="UNAVAILABLE")
    return None


def _plainly(problem: OSError) -> str:
    if isinstance(problem, ConnectionRefusedError | FileNotFoundError):
        return "nothing listens there"
    return problem.strerror or str(problem)
