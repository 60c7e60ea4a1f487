"""Creates pods: shapes them, asks the API server, and acts on its answers.

Each attempt has a task of its own, so that one that waits (for quota, for a namespace, for an API server that
does not answer) holds up no other; only so many calls are under way at a time. A call may be made twice for
one attempt, by this worker or by another: the pod's name is the attempt's, so the second call finds the
first one's pod.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from volery_telemetry.measures import Distribution
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.reason_pb2 import WaitingReason

from volery_dataplane.launch import outcomes
from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal, pods_path
from volery_dataplane.launch.kubernetes.attempts import Attempt, Place
from volery_dataplane.launch.kubernetes.labels import Owned, label_value
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.manifest.contract import inputs_travel_apart, inputs_uri
from volery_dataplane.launch.kubernetes.manifest.moulds import Moulds
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation
from volery_dataplane.launch.kubernetes.manifest.pods import pod_of
from volery_dataplane.launch.kubernetes.namespaces import NamespaceRefused, Namespaces, PodTemplates
from volery_dataplane.launch.kubernetes.quota import QuotaLines
from volery_dataplane.launch.kubernetes.refusals import Answer, create_refused
from volery_dataplane.launch.kubernetes.status.failures import system, user
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.launch.secrets import SecretUnavailable
from volery_dataplane.worker.ports import Blobs

log = structlog.get_logger(__name__)

_SHORTEST, _LONGEST = 0.2, 10.0
_NAMESPACE_TRIES = 20
_TRANSIENT = (0, 401, 403, 429, 500, 502, 503, 504)
"""Answers after which a call that is good in itself is made again."""

_QUOTA = WaitingReason.WAITING_REASON_QUOTA
_OTHER = WaitingReason.WAITING_REASON_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class CreationEvents:
    """What comes of creating pods; called on the event loop.

    Attributes:
        made: the pod is there, as told; the last value says whether somebody had made it before.
        absent: there is no pod of an attempt that is to be ended.
        failed: there will be none: why, and whether the infrastructure is to blame.
        waits: there is none yet: why, and in more words.
    """

    made: Callable[[Attempt, Mapping[str, Any], bool], None]
    absent: Callable[[Attempt], None]
    failed: Callable[[Attempt, Failure, bool], None]
    waits: Callable[[Attempt, WaitingReason, str], None]


class Creations:
    """The pods that are being created.

    Args:
        api: the API server.
        settings: how pods are shaped, and how long all may take.
        blobs: where large inputs are put.
        events: what comes of it.
        inventory: where the installation has pods already, as the watch tells.
    """

    def __init__(
        self,
        api: Api,
        settings: LaunchSettings,
        blobs: Blobs,
        events: CreationEvents,
        inventory: Container[Place],
    ) -> None:
        self._inventory = inventory
        self._api = api
        self._settings = settings
        self._blobs = blobs
        self._events = events
        self._places = asyncio.Semaphore(settings.creates)
        self._next = 0.0
        self.namespaces = Namespaces(
            api, settings.namespace_template, restricted=settings.restrict_namespaces
        )
        self._templates = PodTemplates(api, settings.template_namespace)
        self.quota = QuotaLines()
        self._moulds = Moulds(Installation(""), settings.pods)
        self.waited = Distribution()
        self.took = Distribution()
        self.created = 0

    @property
    def installation(self) -> Installation:
        """Whose pods are made."""
        return self._moulds.installation

    @installation.setter
    def installation(self, installation: Installation) -> None:
        self._moulds = Moulds(installation, self._settings.pods)

    def begin(self, attempt: Attempt) -> None:
        """Begins to create the pod of an attempt."""
        attempt.creation = asyncio.create_task(self._guarded(attempt))

    async def _guarded(self, attempt: Attempt) -> None:
        try:
            await self._make(attempt)
        except NotRunnable as refusal:
            self._events.failed(attempt, outcomes.not_runnable(str(refusal)), False)
        except SecretUnavailable as refusal:
            self._events.failed(attempt, outcomes.secret_unavailable(str(refusal)), False)
        except NamespaceRefused as refusal:
            self._events.failed(attempt, system(str(refusal), "NamespaceForbidden"), True)
        except Exception as defect:
            log.exception("a pod could not be made", pod="/".join(attempt.place))
            self._events.failed(attempt, system(f"its pod could not be made: {defect!r}", "PodNotMade"), True)

    async def _make(self, attempt: Attempt) -> None:
        order = attempt.order
        if order.ending:
            await self._find(attempt)
            return
        if inputs_travel_apart(order, self._settings.pods):
            await self._put_inputs(attempt)
        template = None
        if order.task.pod_template.name:
            template = await self._patiently(attempt, self._template(attempt))
        mould = self._moulds.of(order, template)
        body = pod_of(order, mould, self.installation, self._settings.pods)
        await self._create(attempt, body)

    def _template(self, attempt: Attempt) -> Callable[[], Any]:
        name = attempt.order.task.pod_template.name
        return lambda: self._templates.named(attempt.place.namespace, name)

    async def _create(self, attempt: Attempt, body: Mapping[str, Any]) -> None:
        namespace = attempt.place.namespace
        path = pods_path(namespace)
        tries = _Tries(self._settings)
        namespace_tries = 0
        while True:
            if attempt.place in self._inventory or attempt.ending is not None:
                if await self._find(attempt):
                    return
            elif self.quota.is_full(namespace):
                await self.quota.turn(namespace)
            try:
                pod = await self._post(attempt, path, body)
            except ApiRefusal as answer:
                status, after = answer.status, answer.after
                refusal = create_refused(status, answer.reason, answer.message)
            else:
                self.quota.created(namespace)
                self._events.made(attempt, pod, False)
                return
            match refusal.answer:
                case Answer.EXISTS:
                    if await self._find(attempt):
                        return
                    continue  # it is gone meanwhile
                case Answer.QUOTA:
                    # So it answers for a pod that is there already, too.
                    if await self._find(attempt):
                        return
                    self.quota.refused(namespace)
                    self._events.waits(attempt, _QUOTA, refusal.message)
                case Answer.NO_NAMESPACE if namespace_tries < _NAMESPACE_TRIES:
                    attempt.unsure = False
                    await self._make_namespace(attempt, namespace_tries)
                    namespace_tries += 1
                case Answer.OTHER | Answer.FORBIDDEN if (pause := tries.next(status)) is not None:
                    if refusal.answer is Answer.FORBIDDEN:
                        attempt.unsure = False
                    self._events.waits(attempt, _OTHER, refusal.message)
                    await asyncio.sleep(max(after, pause))
                case _:
                    attempt.unsure = False
                    failure = refusal.failure or system(refusal.message, "PodNotMade")
                    self._events.failed(attempt, failure, refusal.infrastructure or refusal.failure is None)
                    return

    async def _post(self, attempt: Attempt, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        async with self._places:
            if self._settings.create_rate:
                await self._pace()
            begin = time.monotonic()
            if not attempt.launched:
                self.waited.observe(asyncio.get_running_loop().time() - attempt.ordered)
            attempt.launched = time.time_ns() // 1000
            attempt.unsure = True
            pod: Mapping[str, Any] = await self._api.call("POST", path, body)
            self.took.observe(time.monotonic() - begin)
            self.created += 1
            return pod

    async def _pace(self) -> None:
        """Waits for the next moment at which a pod may be created."""
        now = time.monotonic()
        self._next = max(self._next, now) + 1 / self._settings.create_rate
        await asyncio.sleep(max(0.0, self._next - 1 / self._settings.create_rate - now))

    async def _find(self, attempt: Attempt) -> bool:
        """Looks for the attempt's pod; whether there was one, or nothing is to be made."""

        async def read() -> Mapping[str, Any] | None:
            try:
                pod: Mapping[str, Any] = await self._api.call("GET", pods_path(*attempt.place))
            except ApiRefusal as refusal:
                if refusal.is_missing:
                    return None
                raise
            return pod

        pod = await self._patiently(attempt, read)
        if pod is None:
            attempt.unsure = False
            if attempt.ending is not None:
                self._events.absent(attempt)
            return attempt.ending is not None
        if not is_ours(pod, attempt, self.installation.id):
            attempt.unsure = False
            text = f"there is a pod {'/'.join(attempt.place)} already, and it was made for something else"
            self._events.failed(attempt, user(text, "PodNameTaken", recoverable=False), False)
            return True
        self._events.made(attempt, pod, True)
        return True

    async def _make_namespace(self, attempt: Attempt, tries: int) -> None:
        if tries:  # it is being removed, or others do not know of it yet
            await asyncio.sleep(min(_SHORTEST * 2**tries, 3.0) * _spread())
        order, make, namespace = attempt.order, self.namespaces.make, attempt.place.namespace
        try:
            await self._patiently(
                attempt, lambda: make(namespace, order.project_domain, self.installation.id)
            )
        except ApiRefusal as refusal:
            if refusal.status == 403:
                raise NamespaceRefused(namespace, refusal.message) from refusal
            raise

    async def _put_inputs(self, attempt: Attempt) -> None:
        order = attempt.order
        scratch = self._settings.logs.directory / f"inputs-{attempt.place.name}"
        await asyncio.to_thread(_write, scratch, order.inputs)
        await self._blobs.put_file(str(scratch), inputs_uri(order))
        await asyncio.to_thread(scratch.unlink, missing_ok=True)

    async def _patiently(self, attempt: Attempt, call: Callable[[], Any]) -> Any:
        """Makes a call again for as long as the API server does not answer, or not yet."""
        tries = _Tries(self._settings)
        while True:
            try:
                return await call()
            except ApiRefusal as refusal:
                if refusal.status not in _TRANSIENT or (pause := tries.next(refusal.status)) is None:
                    raise
                self._events.waits(attempt, _OTHER, str(refusal))
                await asyncio.sleep(max(refusal.after, pause))


class _Tries:
    """How often a call is made again, and when."""

    def __init__(self, settings: LaunchSettings) -> None:
        self._settings = settings
        self._began = time.monotonic()
        self._forbidden: float | None = None
        self._delay = _SHORTEST

    def next(self, status: int) -> float | None:
        """Seconds until the next one after such an answer; None where there is none."""
        now, delay = time.monotonic(), self._delay
        if status != 403:
            self._forbidden = None
            until = self._began + self._settings.create_patience
        else:
            if self._forbidden is None:
                self._forbidden = now
            until = self._forbidden + self._settings.rights_patience
        if now + delay > until:
            return None
        self._delay = min(2 * delay, _LONGEST)
        return delay * _spread()


def is_ours(pod: Mapping[str, Any], attempt: Attempt, installation: str) -> bool:
    """Whether a pod was made for this attempt."""
    owned, order = Owned(pod), attempt.order
    return (
        owned.installation == label_value(installation)
        and owned.uid == order.uid
        and owned.path == order.key.path
        and owned.attempt == order.key.attempt
    )


def _spread() -> float:
    return random.uniform(0.5, 1.5)  # noqa: S311  # spreads load


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
