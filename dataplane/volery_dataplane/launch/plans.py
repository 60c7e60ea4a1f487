"""Plans: what the launcher derives from a task once, and keeps for its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from volery_rules.quantities import whole
from voleryidl.core.v1.task_pb2 import TaskTemplate

from volery_dataplane.launch.environment import environment_of
from volery_dataplane.launch.secrets import Secrets, SecretVariable
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import AttemptOrder


class Kind(NamedTuple):
    """What processes that descend from one warden have in common; secrets by what they are, not by value."""

    project_domain: str
    bundle: str
    environment: tuple[tuple[str, str], ...]
    secrets: tuple[SecretVariable, ...] = ()


class PoolKey(NamedTuple):
    """What the processes of one pool have in common, so that each can run any of its attempts."""

    kind: Kind
    memory_limit: int


class NotRunnable(Exception):
    """This task cannot be run by processes at all."""


class Plan:
    """How attempts of one task are run.

    Attributes:
        pool: which processes can run it.
        module: where its function is.
        qualname: the function's name there.
        duration: seconds that it took lately; None until it ran.
    """

    __slots__ = ("duration", "module", "pool", "qualname")

    def __init__(self, pool: PoolKey, module: str, qualname: str) -> None:
        self.pool = pool
        self.module = module
        self.qualname = qualname
        self.duration: float | None = None

    def took(self, seconds: float) -> None:
        """Notes how long an attempt took. Growth counts at once, so that prefetching ends with it."""
        known = self.duration
        self.duration = seconds if known is None or seconds > 4 * known else known + (seconds - known) / 8


@dataclass(slots=True)
class _Derived:
    task: TaskTemplate  # held, so that its id stays its own
    project_domain: str
    environment: Mapping[str, str]
    plan: Plan


class Plans:
    """The plans of the tasks seen lately."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._secrets = Secrets(settings.secrets)
        self._derived: dict[int, _Derived] = {}
        self._plans: dict[tuple[PoolKey, str, str], Plan] = {}

    def plan(self, order: AttemptOrder) -> Plan:
        """The plan for an order.

        Raises:
            NotRunnable: when processes cannot run the task.
            SecretUnavailable: when a secret that it asks for is not here.
        """
        known = self._derived.get(id(order.task))
        if (
            known is not None
            and not order.task.secrets  # they may have changed, or gone
            and known.project_domain == order.project_domain
            and known.environment == order.environment
        ):
            return known.plan
        plan = self._derive(order)
        if len(self._derived) >= 4096:
            self._derived.clear()
        self._derived[id(order.task)] = _Derived(order.task, order.project_domain, order.environment, plan)
        return plan

    def _derive(self, order: AttemptOrder) -> Plan:
        task = order.task
        if task.WhichOneof("target") == "container":
            raise NotRunnable(
                f"{task.id.name} is a container task, and this worker runs Python functions in processes; "
                "container tasks run as pods: have a worker with --launcher kubernetes take the execution"
            )
        if task.WhichOneof("target") != "python":
            raise NotRunnable(f"this worker runs Python functions, not tasks of type {task.type or '?'!r}")
        try:
            memory = whole(task.resources.limits.memory) if task.resources.limits.memory else 0
            environment = environment_of(task, order.environment, self._settings)
        except ValueError as error:
            raise NotRunnable(f"the task's resources cannot be read: {error}") from error
        secrets = self._secrets.variables(task.secrets)
        if any(each.file for each in task.secrets):
            environment["VOLERY_SECRETS"] = str(self._settings.secrets)
        variables = tuple(sorted(environment.items()))
        kind = Kind(order.project_domain, task.python.bundle.sha256, variables, secrets)
        key = PoolKey(kind, memory), task.python.module, task.python.qualname
        if len(self._plans) >= 4096:
            self._plans.clear()
        return self._plans.setdefault(key, Plan(*key))
