"""The API server: plain requests and answers over the official client's connection.

The client's generated models cost more than the calls themselves, so only its configuration, its
credentials and its connections are used (`connections`); bodies and answers are plain JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from kubernetes.aio import client, config

from volery_dataplane.launch.kubernetes.connections import Connections, lacking
from volery_dataplane.launch.kubernetes.kubeconfigs import Kubeconfig
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_QUIET = 90.0
"""Seconds without a byte after which a stream is given up; bookmarks come about every minute."""

_UNKNOWN = 401

_CLOSING_TURNS = 10
"""Turns of the loop within which connections that were cut off are closed."""


class ApiRefusal(Exception):
    """The API server answered, and not as hoped; or nobody did (status 0).

    Attributes:
        status: of HTTP; 0 where there was no answer.
        reason: of the Status object; "" where there was none.
        message: of the Status object, or what else was answered.
        after: seconds after which the server would like to be asked again.
    """

    def __init__(self, status: int, reason: str, message: str, after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message
        self.after = after

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status == 404


class Api:
    """A connection to one API server.

    Args:
        connected: the credentials, and the way there.
        settings: how it is reached.
        refused: told when the server does not take the credentials.
    """

    def __init__(
        self, connected: client.ApiClient, settings: ApiSettings, refused: Callable[[], None]
    ) -> None:
        self._client = connected
        self._refused = refused
        self._host = connected.configuration.host.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout)
        self._most = settings.connections
        self._calls = Connections(connected.configuration, self._most, self._opens)
        self._streams = Connections(connected.configuration, 0)
        self._under_way = 0
        self._opening: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, settings: ApiSettings) -> Api:
        """Reads credentials: of the pod that the worker runs in, else of a kubeconfig file."""
        in_cluster = await asyncio.to_thread(_SERVICE_ACCOUNT.exists)
        refused: Callable[[], None] = _nothing
        if in_cluster and not settings.kubeconfig:
            configuration = client.Configuration()
            # The library reads the token's file again every minute.
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # theirs
        else:
            kubeconfig = Kubeconfig(settings)
            configuration, refused = await kubeconfig.load(), kubeconfig.refused
        # By itself the connection would look for a proxy, and for a password in a netrc file, at each call,
        # on another thread: a quarter of a call's processor time, and on a busy machine more of its wait.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or proxy_of(configuration.host)
        return cls(client.ApiClient(configuration), settings, refused)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Makes a call; gives the answer's JSON. Raises ApiRefusal."""
        return orjson.loads(await self._answered(method, path, body, content_type))

    async def tell(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> None:
        """Makes a call of whose answer only counts that it was given. Raises ApiRefusal."""
        await self._answered(method, path, body, content_type)

    async def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None, content_type: str
    ) -> bytes:
        self._under_way += 1
        try:
            answer = await self._request(self._calls, method, path, body, content_type, self._timeout)
            content = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise ApiRefusal(0, "", f"the API server cannot be reached: {problem!r}") from problem
        finally:
            self._under_way -= 1
        if answer.status >= 300:
            raise _refusal(answer, content)
        return content

    async def text(self, path: str) -> bytes:
        """Reads a text, such as a log. Raises ApiRefusal."""
        async with self.stream(path) as chunks:
            return b"".join([chunk async for chunk in chunks])

    @asynccontextmanager
    async def stream(self, path: str, quiet: float | None = _QUIET) -> AsyncIterator[AsyncIterator[bytes]]:
        """Reads an answer while it comes. Raises ApiRefusal, also while it is read."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=quiet)
        try:
            answer = await self._request(self._streams, "GET", path, None, "application/json", limits)
            try:
                if answer.status >= 300:
                    raise _refusal(answer, await answer.read())
                yield answer.content.iter_any()
            finally:
                if answer.connection is not None and answer.connection.transport is not None:
                    # In the middle of an answer: a polite end would wait for one that may hang.
                    answer.connection.transport.abort()
                answer.close()
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise ApiRefusal(0, "", f"the API server cannot be reached: {problem!r}") from problem

    async def close(self) -> None:
        """Closes the connections."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._calls.close()
        await self._streams.close()
        for _ in range(_CLOSING_TURNS):
            await asyncio.sleep(0)

    def _opens(self) -> None:
        """A call has no connection; those that are opened ahead have none either, and are no reason."""
        count = lacking(self._under_way, self._most)
        if count and (self._opening is None or self._opening.done()):
            self._opening = asyncio.create_task(self._open(count))

    async def _open(self, count: int) -> None:
        calls = (self.tell("GET", "/version") for _ in range(count))
        await asyncio.gather(*calls, return_exceptions=True)

    async def _request(
        self,
        connections: Connections,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        content_type: str,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Content-Type": content_type, "Accept": "application/json, */*"}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        answer = await connections.request(  # type: ignore[no-untyped-call]  # as above
            method, self._host + path, headers=headers, body=body, _request_timeout=limits
        )
        response: aiohttp.ClientResponse = answer.response
        if response.status == _UNKNOWN:
            self._refused()
        return response


def _nothing() -> None:
    """Credentials that look after themselves."""


def proxy_of(server: str) -> str | None:
    """The proxy on the way to a server, as the environment says; None where there is none."""
    parts = urlsplit(server)
    if proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def pods_path(namespace: str, name: str = "", query: Mapping[str, str | int] | None = None) -> str:
    """The path of pods of a namespace ("" for all), or of one."""
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/api/v1{place}/pods{f'/{name}' if name else ''}{f'?{urlencode(query)}' if query else ''}"


def _refusal(answer: aiohttp.ClientResponse, content: bytes) -> ApiRefusal:
    after = answer.headers.get("Retry-After", "")
    told: Any = None
    with suppress(ValueError):
        told = orjson.loads(content)
    if not isinstance(told, dict) or told.get("kind") != "Status":
        told = {"message": content.decode(errors="replace")[:2000]}
    return ApiRefusal(
        answer.status,
        str(told.get("reason") or ""),
        str(told.get("message") or answer.reason or ""),
        float(after) if after.isdecimal() else 0.0,
    )
