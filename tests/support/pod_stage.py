"""A launcher of pods on a real cluster, whose orders and answers a test plays by hand.

What the pods run is a shell with the text of a variable, which lies in a config map, so that no image but a
shell's is needed.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict
from support.deploying.rights import WorkerRights
from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal, pods_path
from volery_dataplane.launch.kubernetes.labels import INSTALLATION
from volery_dataplane.launch.kubernetes.launch_settings import (
    ApiSettings,
    LaunchSettings,
    LogSettings,
    Patience,
    ReconcilerSettings,
)
from volery_dataplane.launch.kubernetes.launcher import KubernetesLauncher
from volery_dataplane.launch.kubernetes.manifest.pod_settings import PodSettings
from volery_dataplane.storage.files import FileBlobs
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    LauncherEvents,
    LogPiece,
    Observation,
    Started,
    Stream,
    Succeeded,
    Waiting,
)
from volery_rules.verdicts import seal, seal_elsewhere
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict
from voleryidl.worker.v1.worker_service_pb2 import AttemptName, Welcome

PATIENCE = 180.0
PROJECT_DOMAIN = "demo/development"
TERMINATION = "/dev/termination-log"
SCRIPT = '#!/bin/sh\nexec sh -c "$SCENARIO"\n'
TEMPLATE = {
    "spec": {
        "volumes": [{"name": "played", "configMap": {"name": "played", "defaultMode": 0o555}}],
        "containers": [{"name": "primary", "volumeMounts": [{"name": "played", "mountPath": "/played"}]}],
    }
}


@dataclass
class Hands:
    """The rest of the worker: keeps what it is told, and says which attempts are live."""

    observations: list[Observation] = field(default_factory=list)
    pieces: list[LogPiece] = field(default_factory=list)
    live: set[tuple[str, str, int]] = field(default_factory=set)
    asked: list[AttemptName] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def observed(self, observations: Sequence[Observation]) -> None:
        self.observations += observations
        self._tell()

    def logged(self, pieces: Sequence[LogPiece]) -> None:
        self.pieces += pieces
        self._tell()

    def _tell(self) -> None:
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, holds: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Waits until something holds of what was told; gives it."""
        async with asyncio.timeout(patience), self.changed:
            while not (found := holds()):
                await self.changed.wait()
            return found

    async def live_attempts(self, names: Sequence[AttemptName]) -> Sequence[bool]:
        self.asked += names
        return [(name.execution_uid, name.path, name.attempt) in self.live for name in names]


class Stage:
    """A launcher and its hands; a second one of the same installation may follow."""

    def __init__(self, api: Api, rights: WorkerRights, directory: Path, namespace: str, shell: str) -> None:
        self.api = api
        self.rights = rights
        self.shell = shell
        self.namespace = namespace
        self.directory = directory
        self.installation = f"launcher-{uuid.uuid4().hex[:12]}"
        self._numbers = itertools.count(1)
        self.launchers: list[KubernetesLauncher] = []
        self.pod_settings = PodSettings(
            image=shell,
            image_pull_policy="Never",
            python="/played/run",
            template=TEMPLATE,
            run_as_user=65532,
        )

    async def launcher(
        self,
        hands: Hands,
        patience: Patience | None = None,
        kubeconfig: Path | None = None,
        **changes: Any,
    ) -> KubernetesLauncher:
        """A new launcher of the installation, with a worker's rights if no others are given."""
        api = await self.as_worker(kubeconfig)
        settings = LaunchSettings(
            slots=100,
            logs=LogSettings(self.directory),
            pods=self.pod_settings,
            patience=patience or Patience(image=8.0, create=8.0),
            reconciler=ReconcilerSettings(interval=3600.0, age=0.0),
            namespace_template=self.namespace,
            kill_grace=1.0,
        )
        settings = replace(settings, **changes)
        launcher = KubernetesLauncher(
            settings, LauncherEvents(hands.observed, hands.logged), api, FileBlobs(), hands
        )
        await launcher.start()
        welcome = Welcome(installation_id=self.installation, storage_uri=self.directory.as_uri())
        welcome.lease_duration.FromSeconds(15)
        launcher.welcomed(welcome)
        self.launchers.append(launcher)
        return launcher

    async def as_worker(self, kubeconfig: Path | None = None) -> Api:
        """The API server as a launcher speaks to it."""
        return await Api.connect(ApiSettings(kubeconfig=str(kubeconfig or self.rights.kubeconfig)))

    async def powerless(self) -> Path:
        """Credentials of a service account that may do nothing."""
        place = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        await self.api.call("POST", place, {"metadata": {"name": "powerless"}})
        asked = await self.api.call("POST", f"{place}/powerless/token", {"spec": {}})
        told = yaml.safe_load(self.rights.kubeconfig.read_text())
        told["users"] = [{**user, "user": {"token": asked["status"]["token"]}} for user in told["users"]]
        path = self.directory / "powerless.yaml"
        path.write_text(yaml.safe_dump(told))
        return path

    def order(self, scenario: str, spec: Mapping[str, Any] | None = None, **changes: Any) -> AttemptOrder:
        """An attempt whose user code is a text for the shell."""
        task = TaskTemplate()
        task.python.module, task.python.qualname = "played", "played"
        if spec:
            ParseDict(dict(spec), task.pod_template.spec)
        number = next(self._numbers)
        uid = changes.pop("uid", uuid.uuid4().hex)
        path, attempt = changes.pop("path", "n0"), changes.pop("attempt", 1)
        return AttemptOrder(
            key=AttemptKey(number, path, attempt, 1),
            task=changes.pop("task", task),
            inputs=b"",
            execution=f"{PROJECT_DOMAIN}/run{number}",
            project_domain=PROJECT_DOMAIN,
            environment={"SCENARIO": scenario},
            storage_prefix=f"{self.directory.as_uri()}/run{number}/{path}/{attempt}",
            inline_limit=1000,
            uid=uid,
            **changes,
        )

    def says(self, order: AttemptOrder, value: int) -> str:
        """A shell's text that leaves a verdict of success."""
        return f"printf '%s' '{seal(verdict_of(order, value))}' > {TERMINATION}"

    def says_elsewhere(self, order: AttemptOrder, value: int) -> str:
        """The same by reference, with the verdict where it is said to be."""
        verdict = verdict_of(order, value)
        place = Path(order.storage_prefix.removeprefix("file://")) / "verdict.pb"
        place.parent.mkdir(parents=True)
        place.write_bytes(verdict.SerializeToString(deterministic=True))
        return f"printf '%s' '{seal_elsewhere(verdict, place.as_uri())}' > {TERMINATION}"

    async def pods(self) -> list[Mapping[str, Any]]:
        """The pods of the namespace, as the API tells them."""
        found = await self.api.call("GET", pods_path(self.namespace))
        return list(found["items"])

    async def quota(self, name: str, **hard: str) -> None:
        """Limits the namespace; returns when the limit is in force."""
        place = f"/api/v1/namespaces/{self.namespace}/resourcequotas"
        await self.api.call("POST", place, {"metadata": {"name": name}, "spec": {"hard": hard}})
        async with asyncio.timeout(PATIENCE):
            while not (await self.api.call("GET", f"{place}/{name}")).get("status", {}).get("hard"):  # noqa: ASYNC110  # the cluster's controllers tell nobody here
                await asyncio.sleep(0.05)

    async def until_gone(self, patience: float = PATIENCE) -> None:
        """Waits until no pod is left."""
        async with asyncio.timeout(patience):
            while await self.pods():  # noqa: ASYNC110  # of another program, that tells nobody here
                await asyncio.sleep(0.1)

    async def until_only(self, count: int, patience: float = PATIENCE) -> set[str]:
        """Waits until so few pods are left; gives the uids of their executions."""
        async with asyncio.timeout(patience):
            while len(found := await self.pods()) > count:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.1)
        return {pod["metadata"]["annotations"]["volery.dev/uid"] for pod in found}

    async def close(self) -> None:
        for launcher in self.launchers:
            await launcher.stop(0)


def saying(order: AttemptOrder, scenario: str) -> AttemptOrder:
    """The same attempt with another text."""
    return replace(order, environment={"SCENARIO": scenario})


def verdict_of(order: AttemptOrder, value: int) -> AttemptVerdict:
    made = AttemptVerdict(execution_uid=order.uid, path=order.key.path, attempt=order.key.attempt)
    made.outputs.literals["o0"].integer_value = value
    return made


async def end_of(hands: Hands, order: AttemptOrder) -> Succeeded | Failed | Cancelled:
    """How an attempt ends."""

    def ended() -> list[Observation]:
        return [seen for seen in hands.observations if seen.key == order.key and seen.is_end]

    (end,) = await hands.until(ended)
    assert isinstance(end, Succeeded | Failed | Cancelled)
    return end


async def failure_of(hands: Hands, order: AttemptOrder) -> Failed:
    end = await end_of(hands, order)
    assert isinstance(end, Failed), end
    return end


async def started(hands: Hands, order: AttemptOrder) -> None:
    """Waits until an attempt runs."""
    await hands.until(
        lambda: [seen for seen in hands.observations if isinstance(seen, Started) and seen.key == order.key]
    )


async def waits(hands: Hands, order: AttemptOrder, reason: WaitingReason) -> Waiting:
    """That an attempt waits for a reason, as soon as that is told; others may be told before."""

    def told() -> list[Waiting]:
        seen = [each for each in hands.observations if isinstance(each, Waiting) and each.key == order.key]
        return [each for each in seen if each.reason == reason]

    return (await hands.until(told))[-1]  # type: ignore[no-any-return]  # what `told` gives


def text_of(hands: Hands, order: AttemptOrder, stream: Stream = Stream.STDOUT) -> bytes:
    """The pieces of an attempt's output, in order."""
    pieces = [piece for piece in hands.pieces if (piece.key, piece.stream) == (order.key, stream)]
    return b"".join(piece.data for piece in sorted(pieces, key=lambda piece: piece.offset))


async def make_namespace(api: Api, name: str) -> None:
    """A namespace in which pods can be made, with what they run."""
    # With the label that workers set on those that they make: they may not act in others.
    labels = {INSTALLATION: "launcher"}
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    place = f"/api/v1/namespaces/{name}"
    played = {"metadata": {"name": "played"}, "data": {"run": SCRIPT}}
    await api.call("POST", f"{place}/configmaps", played)
    async with asyncio.timeout(120):
        while True:
            try:
                await api.call("GET", f"{place}/serviceaccounts/default")
            except ApiRefusal:
                await asyncio.sleep(0.05)
            else:
                return
