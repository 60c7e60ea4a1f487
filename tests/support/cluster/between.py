"""What stands between a client and the API server, so that a test can spoil their conversation.

A reverse proxy over HTTP/1.1: requests and answers pass as they are, watches are streamed, the client's
credentials go through (a client without any speaks with the administrator's). Rules delay, answer in the
server's place, or cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from support.cluster import pki

T = TypeVar("T")
OWN = ("Content-Type", "Accept", "Accept-Encoding", "User-Agent")
"""Headers that the client library would add of its own."""

CLOSING_TURNS = 10
"""Turns of the loop within which aborted connections are closed."""

LONGER_THAN_A_TEST = 3600.0
"""Seconds for which connections are kept: one that is closed for its idleness says a farewell of its own, in
the middle of which the loop may stop."""

HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "host", "content-length", "upgrade"})


@dataclass(frozen=True, slots=True)
class Request:
    """What rules look at."""

    method: str
    path: str
    query: dict[str, str]

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch", "") in ("true", "1")


Matching = Callable[[Request], bool]


@dataclass
class Rule:
    """Something that happens to matching requests, `left` times or for ever."""

    matching: Matching
    delay: float = 0.0
    status: int | None = None
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    lose_answer: bool = False
    """The server does it, but the client hears nothing but a broken connection."""
    left: int | None = None
    hits: int = 0


class Between:
    """Serves in a thread of its own; all methods may be called from any."""

    def __init__(
        self, server: str, authority: Path, admin: pki.Identity, own: pki.Identity, host: str
    ) -> None:
        self._server = server
        self._authority = authority
        self._admin = admin
        self._own = own
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="between", daemon=True)
        self._rules: list[Rule] = []
        self._streams: dict[asyncio.Task[Any], Request] = {}
        self._seen: list[Request] = []
        self._transports: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self._open = asyncio.Event()
        self._site: web.TCPSite | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://{self._host}:{self.port}"

    @property
    def seen(self) -> list[Request]:
        """All requests so far."""
        return list(self._seen)

    def start(self) -> None:
        self._thread.start()
        self._call(self._serve())

    def stop(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def kubeconfig(self, path: Path, token: str) -> Path:
        """One that leads through here, for who shows a token."""
        return pki.kubeconfig(path, self.url, self._authority, {"token": token})

    def administrators(self, path: Path) -> Path:
        """One that leads through here to the administrator's rights, for a test's own calls."""
        return pki.kubeconfig(path, self.url, self._authority, {})

    def delay(self, seconds: float, matching: Matching, times: int | None = None) -> Rule:
        return self._add(Rule(matching, delay=seconds, left=times))

    def refuse(
        self, status: int, matching: Matching, times: int | None = None, reason: str = "", **headers: str
    ) -> Rule:
        """Answers with a status of Kubernetes without asking the server."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._add(Rule(matching, status=status, reason=reason, headers=named, left=times))

    def lose_answers(self, matching: Matching, times: int | None = None) -> Rule:
        return self._add(Rule(matching, lose_answer=True, left=times))

    def forget(self, *rules: Rule) -> None:
        """Drops these rules, or all of them."""
        for rule in rules or tuple(self._rules):
            self._rules.remove(rule)

    def cut(self, matching: Matching = lambda request: request.is_watch) -> int:
        """Breaks the connections of matching requests that are under way; how many."""

        async def cutting() -> int:
            victims = [task for task, request in self._streams.items() if matching(request)]
            for task in victims:
                task.cancel()
            return len(victims)

        return self._call(cutting())

    def hold(self) -> None:
        """From now on nothing passes in either direction, as if packets were lost."""
        self._call(_done(self._open.clear))

    def release(self) -> None:
        self._call(_done(self._open.set))

    def _add(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def _call(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _serve(self) -> None:
        self._open.set()
        upstream = ssl.create_default_context(cafile=str(self._authority))
        named = ssl.create_default_context(cafile=str(self._authority))
        named.load_cert_chain(self._admin.certificate, self._admin.key)
        timeout = aiohttp.ClientTimeout(total=None)
        self._plain, self._as_admin = (
            aiohttp.ClientSession(
                timeout=timeout,
                connector=aiohttp.TCPConnector(ssl=context, limit=0, keepalive_timeout=LONGER_THAN_A_TEST),
                auto_decompress=False,
            )
            for context in (upstream, named)
        )
        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        offered = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        offered.load_cert_chain(self._own.certificate, self._own.key)
        self._site = web.TCPSite(self._runner, "0.0.0.0", 0, ssl_context=offered)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        self._open.set()
        for task in self._streams:
            task.cancel()
        await self._runner.cleanup()
        # Connections over TLS wait for the other side's farewell, for longer than this loop runs.
        for transport in self._transports:
            transport.abort()
        await self._plain.close()
        await self._as_admin.close()
        # Nor do connections that are still being greeted.
        greeting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in greeting:
            task.cancel()
        await asyncio.gather(*greeting, return_exceptions=True)
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        request = Request(incoming.method, incoming.path, dict(incoming.query))
        self._seen.append(request)
        if incoming.transport is not None:
            self._transports.add(incoming.transport)
        task = asyncio.current_task()
        assert task is not None
        self._streams[task] = request
        try:
            return await self._pass(incoming, request)
        except aiohttp.ClientError:
            # The server is away, and it looks so to the client.
            if incoming.transport is not None:
                incoming.transport.abort()
            raise asyncio.CancelledError from None
        except asyncio.CancelledError:
            # Cut: the connection ends in the middle, without an answer or the last part of one.
            if incoming.transport is not None:
                incoming.transport.abort()
            raise
        finally:
            del self._streams[task]

    async def _pass(self, incoming: web.Request, request: Request) -> web.StreamResponse:
        await self._open.wait()
        lose = False
        for rule in [one for one in self._rules if one.left != 0 and one.matching(request)]:
            rule.hits += 1
            rule.left = None if rule.left is None else rule.left - 1
            if rule.delay:
                await asyncio.sleep(rule.delay)
            if rule.status is not None:
                return _refusal(rule)
            lose = lose or rule.lose_answer
        session = self._plain if "Authorization" in incoming.headers else self._as_admin
        headers = [(name, value) for name, value in incoming.headers.items() if name.lower() not in HOP]
        sent = await incoming.read()
        async with session.request(
            incoming.method,
            f"{self._server}{incoming.raw_path}",
            headers=headers,
            data=sent or None,
            skip_auto_headers=OWN,
        ) as answer:
            try:
                return await self._answer(incoming, answer, lose)
            finally:
                if answer.connection is not None and answer.connection.transport is not None:
                    # Cut in the middle: the server is not waited for to say goodbye.
                    answer.connection.transport.abort()

    async def _answer(
        self, incoming: web.Request, answer: aiohttp.ClientResponse, lose: bool
    ) -> web.StreamResponse:
        if lose:
            await answer.read()
            raise asyncio.CancelledError
        outgoing = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in HOP:
                outgoing.headers.add(name, value)
        await outgoing.prepare(incoming)
        async for part in answer.content.iter_any():
            await self._open.wait()
            await outgoing.write(part)
        with contextlib.suppress(ConnectionResetError):
            await outgoing.write_eof()
        return outgoing


def _refusal(rule: Rule) -> web.Response:
    assert rule.status is not None
    told = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "refused by a test",
        "reason": rule.reason,
        "code": rule.status,
    }
    return web.json_response(told, status=rule.status, headers=rule.headers)


async def _done(action: Callable[[], None]) -> None:
    action()
