"""The registry: what was registered, in which versions, and which of them is the active one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate

from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.domain.filter_text import Text, Time
from volery_controlplane.domain.names import KIND_NAMES
from volery_controlplane.domain.records import ActivationRecord, EntityName, EntityRecord, Micros
from volery_controlplane.services.entities import find_version, not_found
from volery_controlplane.services.pages import Listing, Page, PageRequest
from volery_controlplane.services.ports import Database, Transaction
from volery_controlplane.services.projects import Tenancy
from volery_controlplane.services.requests import Answer, checked_request_id, fingerprint_of, once
from volery_controlplane.services.targets import launch_plan_interface

ENTITIES = Listing(
    "entities", {"name": Text(), "version": Text(), "create_time": Time()}, ("create_time", "name")
)
ACTIVATIONS = Listing("activations")


@dataclass(frozen=True, slots=True)
class RegisteredLaunchPlan:
    """A launch plan, with what a caller of it sees."""

    record: EntityRecord
    template: LaunchPlanTemplate
    interface: TypedInterface


class Registry:
    """Use cases of reading the registry and of activating launch plans.

    Args:
        database: the truth.
        tenancy: says whether a project exists and takes something new.
    """

    def __init__(self, database: Database, tenancy: Tenancy) -> None:
        self._database = database
        self._tenancy = tenancy

    async def task(self, id: Identifier) -> tuple[EntityRecord, TaskTemplate]:
        """One version of a task; an empty version means the newest."""
        name = entity_name(id, EntityKind.ENTITY_KIND_TASK)
        record = await self._database.read(lambda tx: find_version(tx, name, id.version))
        return record, TaskTemplate.FromString(record.content)

    async def workflow(self, id: Identifier) -> tuple[EntityRecord, WorkflowClosure]:
        """One version of a workflow, compiled; an empty version means the newest."""
        name = entity_name(id, EntityKind.ENTITY_KIND_WORKFLOW)

        def query(tx: Transaction) -> tuple[EntityRecord, bytes | None]:
            record = find_version(tx, name, id.version)
            return record, tx.entities.closure(record.closure_digest)

        record, closure = await self._database.read(query)
        assert closure is not None  # a workflow is stored together with its closure
        return record, WorkflowClosure.FromString(closure)

    async def launch_plan(self, id: Identifier) -> RegisteredLaunchPlan:
        """One version of a launch plan; an empty version means the active one, or else the newest."""
        name = entity_name(id, EntityKind.ENTITY_KIND_LAUNCH_PLAN)

        def query(tx: Transaction) -> RegisteredLaunchPlan:
            record = (tx.entities.active(name) if not id.version else None) or find_version(
                tx, name, id.version
            )
            template = LaunchPlanTemplate.FromString(record.content)
            return RegisteredLaunchPlan(record, template, launch_plan_interface(tx, template))

        return await self._database.read(query)

    async def page(
        self, kind: int, project: str, domain: str, name: str, newest_only: bool, request: PageRequest
    ) -> Page[EntityRecord]:
        """A page of versions of one kind, newest first unless asked otherwise."""
        if kind not in KIND_NAMES:
            message = "kind must say what to list"
            raise Invalid(message, [Violation("kind", message, "BAD_KIND")])
        plan = ENTITIES.plan(request, str(kind), project, domain, name, str(newest_only))

        def query(tx: Transaction) -> Page[EntityRecord]:
            self._tenancy.check_exists(tx, project, domain)
            store = tx.entities
            rows = store.page(kind, project, domain, name, newest_only, plan.query)
            return plan.page(rows, lambda row: store.cursor_of(row, plan.order))

        return await self._database.read(query)

    async def activate(self, id: Identifier, principal: str, request_id: str) -> ActivationRecord:
        """Makes one version of a launch plan the active one; an older version rolls back."""
        request = checked_request_id(request_id)
        name = entity_name(id, EntityKind.ENTITY_KIND_LAUNCH_PLAN)
        if not id.version:
            message = "id.version must name the version to activate"
            raise Invalid(message, [Violation("id.version", message, "MISSING_VERSION")])

        def intention(tx: Transaction) -> ActivationRecord:
            def act() -> Answer:
                self._tenancy.check_open(tx, name.project, name.domain)
                find_version(tx, name, id.version)
                return _to_answer(tx.entities.activate(name, id.version, principal, tx.now))

            return _from_answer(name, _once(tx, request, "ActivateLaunchPlan", id, act))

        return await self._database.transact(intention)

    async def deactivate(self, id: Identifier, request_id: str) -> ActivationRecord | None:
        """Leaves a launch plan without an active version; gives the activation that ended."""
        request = checked_request_id(request_id)
        name = entity_name(id, EntityKind.ENTITY_KIND_LAUNCH_PLAN)

        def intention(tx: Transaction) -> ActivationRecord | None:
            def act() -> Answer:
                _check_known(tx, name)
                ended = tx.entities.deactivate(name, tx.now)
                return {} if ended is None else _to_answer(ended)

            answer = _once(tx, request, "DeactivateLaunchPlan", id, act)
            return _from_answer(name, answer) if answer else None

        return await self._database.transact(intention)

    async def activations(self, id: Identifier, request: PageRequest) -> Page[ActivationRecord]:
        """Which version was active when, newest first."""
        name = entity_name(id, EntityKind.ENTITY_KIND_LAUNCH_PLAN)
        plan = ACTIVATIONS.plan(request, name.project, name.domain, name.name)

        def query(tx: Transaction) -> Page[ActivationRecord]:
            _check_known(tx, name)
            store = tx.entities
            return plan.page(store.activations(name, plan.query), store.activation_cursor_of)

        return await self._database.read(query)


def entity_name(id: Identifier, kind: EntityKind) -> EntityName:
    """The name in an identifier whose kind may be left out.

    Raises:
        Invalid: when it says another kind.
    """
    if id.kind not in (EntityKind.ENTITY_KIND_UNSPECIFIED, kind):
        message = f"id.kind must be {KIND_NAMES[kind]}, or left out"
        raise Invalid(message, [Violation("id.kind", message, "BAD_KIND")])
    return EntityName(kind, id.project, id.domain, id.name)


def _check_known(tx: Transaction, name: EntityName) -> None:
    if tx.entities.newest(name) is None:
        raise not_found(name, "")


def _once(tx: Transaction, request: str, method: str, id: Identifier, act: Callable[[], Answer]) -> Answer:
    answer, _ = once(tx, request, method, fingerprint_of(id), act)
    return answer


def _to_answer(record: ActivationRecord) -> Answer:
    return {
        "version": record.version,
        "activate_time": record.activate_time,
        "deactivate_time": record.deactivate_time,
        "principal": record.principal,
    }


def _from_answer(name: EntityName, answer: Answer) -> ActivationRecord:
    ended = answer["deactivate_time"]
    return ActivationRecord(
        name,
        answer["version"],
        Micros(answer["activate_time"]),
        None if ended is None else Micros(ended),
        answer["principal"],
    )
