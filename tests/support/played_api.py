"""An API server of pods that a test plays: it keeps them, tells watches of them, and waits where it is told.

It answers over HTTP as a real one does, as far as a launcher asks: names that are taken, uids, finalizers,
lists, watches and logs. Nothing runs the pods; the test says how they stand. Real servers are what launchers
are tried on (`support.cluster`); this one is for what those cannot be made to do, such as an answer that
comes after the watch has told of it.
"""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as far as rules look at it."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def creates(self) -> bool:
        return self.method == "POST" and self.path.endswith("/pods")

    @property
    def deletes(self) -> bool:
        return self.method == "DELETE"

    @property
    def reads(self) -> bool:
        return self.method == "GET" and not self.path.endswith(("/pods", "/log", "/events"))

    @property
    def lists(self) -> bool:
        return self.method == "GET" and self.path.endswith("/pods") and "watch" not in self.query

    @property
    def watches(self) -> bool:
        return "watch" in self.query

    @property
    def reads_log(self) -> bool:
        return self.path.endswith("/log")


_OVER = ("Succeeded", "Failed")

Matching = Callable[[Request], bool]


@dataclass
class Pause:
    """Keeps matching requests: before they are done, or before they are answered."""

    matching: Matching
    done_first: bool = False
    came: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)


class PlayedApi:
    """The server; all on the event loop of the test.

    Attributes:
        pods: as they stand, by place.
        logs: what is still to come of them, by pod.
        requests: those that came.
        connections: what they came over.
        answers: what matching requests are answered, whatever they ask for.
    """

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.logs: dict[str, asyncio.Queue[bytes]] = {}
        self.requests: list[Request] = []
        self.connections: set[Any] = set()
        self.answers: list[tuple[Matching, web.Response]] = []
        self._pauses: list[Pause] = []
        self._followed: set[str] = set()
        self._watches: list[asyncio.Queue[dict[str, Any]]] = []
        self._history: list[dict[str, Any]] = []
        self._version = 100
        self._changed = asyncio.Condition()
        self._address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[PlayedApi]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answered)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._address = "http://{}:{}".format(*runner.addresses[0])
        try:
            yield self
        finally:
            for pause in self._pauses:
                pause.open.set()
            await runner.cleanup()

    def kubeconfig(self, path: Path) -> Path:
        """Credentials for it."""
        told = {
            "clusters": [{"name": "played", "cluster": {"server": self._address}}],
            "users": [{"name": "played", "user": {"token": "played"}}],
            "contexts": [{"name": "played", "context": {"cluster": "played", "user": "played"}}],
            "current-context": "played",
        }
        path.write_text(yaml.safe_dump(told))
        return path

    # What a test does

    def pause(self, matching: Matching, *, done_first: bool = False) -> Pause:
        """From now on matching requests wait, until the pause is opened."""
        made = Pause(matching, done_first)
        self._pauses.append(made)
        return made

    def answer(self, matching: Matching, status: int, text: str = "") -> None:
        """From now on matching requests are answered so."""
        self.answers.append((matching, web.Response(status=status, text=text)))

    def of(self, matching: Matching) -> list[Request]:
        """The requests that came so far and match."""
        return [request for request in self.requests if matching(request)]

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Waits until something holds of requests and pods."""
        async with asyncio.timeout(30), self._changed:
            while not (found := holds()):
                await self._changed.wait()
            return found

    async def until_pod(self) -> tuple[str, str]:
        """Waits until there is a pod; gives its place."""
        await self.until(lambda: self.pods)
        return next(iter(self.pods))

    async def stands(self, place: tuple[str, str], **status: Any) -> None:
        """A pod is as told from now on."""
        pod = self.pods[place]
        pod["status"] = {**pod.get("status", {}), **status}
        pod["spec"]["nodeName"] = "played"
        if status.get("phase") in _OVER:
            self.logs[place[1]].put_nowait(b"")  # whoever follows it has heard all
        await self._tell("MODIFIED", pod)

    async def removes(self, place: tuple[str, str], *, tells: bool = True) -> None:
        """A pod is gone, finalizer or not."""
        pod = self.pods.pop(place)
        if tells:
            await self._tell("DELETED", pod)

    async def cut_watches(self) -> None:
        """What follows has to be begun anew, with a list."""
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        for watch in self._watches:
            watch.put_nowait({"type": "ERROR", "object": gone})

    # What it answers

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read() or b"{}")
        told = Request(request.method, request.path, dict(request.query), body)
        self.requests.append(told)
        self.connections.add(request.transport)
        await self._notify()
        await self._wait(told, done_first=False)
        for matching, response in self.answers:
            if matching(told):
                return web.Response(status=response.status, text=response.text)
        if told.watches:
            return await self._watch(request)
        if told.reads_log:
            return await self._log(request, told.path.split("/")[-2])
        answer = await self._done(told)
        await self._wait(told, done_first=True)
        return answer

    async def _wait(self, told: Request, *, done_first: bool) -> None:
        for pause in self._pauses:
            if pause.done_first == done_first and pause.matching(told):
                pause.came.set()
                await pause.open.wait()

    async def _done(self, told: Request) -> web.Response:
        if told.path == "/version":
            return web.json_response({"gitVersion": "v0.0.0-played"})
        parts = told.path.strip("/").split("/")
        if "pods" not in parts:
            return web.json_response({"items": []})
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        name = parts[-1] if parts[-1] != "pods" else ""
        if told.lists:
            items = [pod for place, pod in self.pods.items() if namespace in ("", place[0])]
            return web.json_response({"items": items, "metadata": {"resourceVersion": str(self._version)}})
        place = namespace, name or told.body["metadata"]["name"]
        found = self.pods.get(place)
        if told.creates:
            return _status(409, "AlreadyExists") if found else await self._create(place, told.body)
        if found is None:
            return _status(404, "NotFound")
        if told.method == "PATCH":
            found["metadata"]["finalizers"] = []
            await self._leave(place, found)
        elif told.deletes:
            if (
                told.body.get("preconditions", {}).get("uid", found["metadata"]["uid"])
                != found["metadata"]["uid"]
            ):
                return _status(409, "Conflict")
            found["metadata"]["deletionTimestamp"] = _now()
            await self._leave(place, found)
        return web.json_response(found)

    async def _create(self, place: tuple[str, str], body: Mapping[str, Any]) -> web.Response:
        pod = copy.deepcopy(dict(body))
        pod["metadata"] |= {"namespace": place[0], "uid": uuid.uuid4().hex, "creationTimestamp": _now()}
        pod["status"] = {"phase": "Pending"}
        self.pods[place] = pod
        self.logs.setdefault(place[1], asyncio.Queue())
        await self._tell("ADDED", pod)
        return web.json_response(pod, status=201)

    async def _leave(self, place: tuple[str, str], pod: dict[str, Any]) -> None:
        is_over = pod["status"].get("phase") in _OVER or "nodeName" not in pod["spec"]
        if "deletionTimestamp" in pod["metadata"] and not pod["metadata"].get("finalizers") and is_over:
            del self.pods[place]
            await self._tell("DELETED", pod)
        else:
            await self._tell("MODIFIED", pod)

    async def _tell(self, kind: str, pod: dict[str, Any]) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        self._history.append({"type": kind, "object": copy.deepcopy(pod)})
        for watch in self._watches:
            watch.put_nowait(self._history[-1])
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for event in self._history:
            if int(event["object"]["metadata"]["resourceVersion"]) > int(request.query["resourceVersion"]):
                events.put_nowait(event)
        self._watches.append(events)
        try:
            return await _streamed(request, events, lambda event: json.dumps(event).encode() + b"\n")
        finally:
            self._watches.remove(events)

    async def _log(self, request: web.Request, name: str) -> web.StreamResponse:
        queue = self.logs[name]
        if name in self._followed:  # to its end, and what is there now is all
            queue.put_nowait(b"")
        response = await _streamed(request, queue, lambda line: line)
        if "follow" in request.query:
            self._followed.add(name)
        return response


async def _streamed(
    request: web.Request, queue: asyncio.Queue[Any], written: Callable[[Any], bytes]
) -> web.StreamResponse:
    """Answers with what comes into a queue; an empty text ends it."""
    response = web.StreamResponse()
    await response.prepare(request)
    while (piece := await queue.get()) != b"":
        await response.write(written(piece))
    return response


def running(container: str = "primary", since: str = "") -> dict[str, Any]:
    """The status of a container whose program runs."""
    return {"name": container, "state": {"running": {"startedAt": since or _now()}}}


def ended(container: str = "primary", code: int = 0, message: str = "") -> dict[str, Any]:
    """The status of a container whose program has ended."""
    told = {"exitCode": code, "startedAt": _now(), "finishedAt": _now(), "message": message}
    return {"name": container, "state": {"terminated": told}}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _status(code: int, reason: str) -> web.Response:
    told = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}
    return web.json_response(told, status=code)
