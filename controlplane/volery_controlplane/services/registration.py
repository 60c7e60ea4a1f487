"""Registration: a package is compiled and stored, all of it or nothing.

Compiling may take long, so it happens outside the transaction, over what was read before; versions never
change and never vanish, so what was read stays true. The transaction then only compares and inserts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate

from volery_controlplane.domain.compiler.package import (
    CompiledPackage,
    EntityRef,
    Package,
    Registered,
    compile_package,
    references,
)
from volery_controlplane.domain.errors import CompilationFailed, TooLarge, VersionConflict
from volery_controlplane.domain.offered import not_offered
from volery_controlplane.domain.records import EntityName, EntityRecord, Micros
from volery_controlplane.domain.references import References
from volery_controlplane.domain.versions import Judgement, Template, judge
from volery_controlplane.services.ports import Database, Transaction
from volery_controlplane.services.projects import Tenancy
from volery_controlplane.services.requests import Answer, checked_request_id, fingerprint_of, once
from volery_controlplane.services.uses import note_entities


@dataclass(frozen=True, slots=True)
class Fate:
    """What registering did to one entity."""

    name: EntityName
    version: str
    digest: str
    created: bool


@dataclass(frozen=True, slots=True)
class _Draft:
    """One entity that was found good, ready to be compared and stored."""

    name: EntityName
    version: str
    digest: str
    template: Template
    content: bytes
    closure_digest: str = ""
    generated: bool = False

    def record(self, now: Micros) -> EntityRecord:
        return EntityRecord(
            name=self.name,
            version=self.version,
            digest=self.digest,
            content=self.content,
            closure_digest=self.closure_digest,
            summary=self.template.docs.summary,
            create_time=now,
        )


@dataclass(frozen=True, slots=True)
class _Drafts:
    """A package that was found good, in the order of its answer, with closures by digest."""

    entities: Sequence[_Draft]
    closures: dict[str, bytes]


class Registration:
    """The use case of registering.

    Args:
        database: the truth.
        tenancy: says whether a project takes something new.
        closure_limit: the most bytes of a workflow with all it refers to: what a worker can be sent.
        references: finds which objects versions refer to.
    """

    def __init__(
        self, database: Database, tenancy: Tenancy, closure_limit: int, references: References
    ) -> None:
        self._database = database
        self._tenancy = tenancy
        self._closure_limit = closure_limit
        self._references = references

    async def register(
        self, package: Package, *, activate: bool, dry_run: bool, principal: str, request_id: str
    ) -> Sequence[Fate]:
        """Compiles and stores a package.

        Args:
            package: what to register.
            activate: whether the launch plans given become active.
            dry_run: whether to compile and compare only.
            principal: who asks.
            request_id: once per intention; without effect on a dry run.

        Returns:
            The fate of each entity: tasks, workflows, launch plans, default launch plans.

        Raises:
            CompilationFailed: with every problem of the package.
            VersionConflict: with the differences to what is registered.
        """
        request = checked_request_id(request_id)
        registered = await self._database.read(lambda tx: _registered(tx, package))
        drafts = await asyncio.to_thread(_compiled, package, registered)
        _check_closures(drafts, self._closure_limit)
        if dry_run:
            return await self._database.read(lambda tx: self._compare(tx, drafts))
        contents = (draft.content for draft in drafts.entities)
        fingerprint = fingerprint_of(str(activate), *contents)
        active = [plan.id for plan in package.launch_plans] if activate else []

        def act(tx: Transaction) -> Answer:
            fates = self._compare(tx, drafts)
            self._store(tx, drafts, fates)
            for id in active:
                tx.entities.activate(_plan_name(id), id.version, principal, tx.now)
            return {"fates": [_to_answer(fate) for fate in fates]}

        answer, _ = await self._database.transact(
            lambda tx: once(tx, request, "Register", fingerprint, lambda: act(tx))
        )
        return [_from_answer(fate) for fate in answer["fates"]]

    def _compare(self, tx: Transaction, drafts: _Drafts) -> list[Fate]:
        """Judges each entity against what is registered; all conflicts are told together."""
        for project, domain in {(draft.name.project, draft.name.domain) for draft in drafts.entities}:
            self._tenancy.check_open(tx, project, domain)
        existing = tx.entities.get([(draft.name, draft.version) for draft in drafts.entities])
        fates, conflicts = [], []
        for draft in drafts.entities:
            found = existing.get((draft.name, draft.version))
            try:
                judgement = judge(draft.template, draft.digest, found, generated=draft.generated)
            except VersionConflict as conflict:
                conflicts.append(conflict)
                continue
            created = judgement is Judgement.CREATED
            digest = draft.digest if found is None else found.digest
            fates.append(Fate(draft.name, draft.version, digest, created))
        if conflicts:
            raise _together(conflicts)
        return fates

    def _store(self, tx: Transaction, drafts: _Drafts, fates: Sequence[Fate]) -> None:
        fresh = [draft for draft, fate in zip(drafts.entities, fates, strict=True) if fate.created]
        if fresh:
            needed = {draft.closure_digest for draft in fresh}
            closures = {digest: content for digest, content in drafts.closures.items() if digest in needed}
            ids = tx.entities.insert([draft.record(tx.now) for draft in fresh], closures)
            templates = [draft.template for draft in fresh]
            note_entities(tx, self._references, list(zip(ids, templates, strict=True)))


def _check_closures(drafts: _Drafts, limit: int) -> None:
    """Refuses what could be registered, and never be given to a worker; messages around it take a little."""
    for draft in drafts.entities:
        size = len(drafts.closures.get(draft.closure_digest, b""))
        if size + 1024 > limit:
            raise TooLarge(
                f"{draft.name.name} has {size} bytes with all it refers to; message_size_limit allows"
                f" {limit}. Refer to less: map a task over a list, put large defaults into files, divide the"
                " workflow, or raise the setting",
                {"limit_name": "message_size_limit", "limit": str(limit), "size": str(size)},
            )


def _registered(tx: Transaction, package: Package) -> Registered:
    """What a package refers to, as far as it is registered."""
    known: dict[EntityRef, TaskTemplate | WorkflowClosure | LaunchPlanTemplate] = {}
    missing: set[EntityRef] = set()
    while wanted := references(package, known) - missing:
        found = tx.entities.get([(ref.entity, ref.version) for ref in wanted])
        for ref in wanted:
            record = found.get((ref.entity, ref.version))
            if record is None:
                missing.add(ref)
            else:
                known[ref] = _read(tx, record)
    return known


def _read(tx: Transaction, record: EntityRecord) -> TaskTemplate | WorkflowClosure | LaunchPlanTemplate:
    if record.name.kind == EntityKind.ENTITY_KIND_TASK:
        return TaskTemplate.FromString(record.content)
    if record.name.kind == EntityKind.ENTITY_KIND_LAUNCH_PLAN:
        return LaunchPlanTemplate.FromString(record.content)
    closure = tx.entities.closure(record.closure_digest)
    assert closure is not None  # a workflow is stored together with its closure
    return WorkflowClosure.FromString(closure)


def _compiled(package: Package, registered: Registered) -> _Drafts:
    missing = not_offered(package)
    try:
        compiled = compile_package(package, registered)
    except CompilationFailed as failed:
        raise CompilationFailed(failed.message, (*failed.violations, *missing), failed.metadata) from failed
    if missing:
        raise CompilationFailed(f"{len(missing)} things in this package are not offered", missing)
    closures = {
        part.closure_digest: part.closure.SerializeToString(deterministic=True)
        for part in (*compiled.tasks, *compiled.workflows)
    }
    return _Drafts(list(_drafts(compiled)), closures)


def _drafts(compiled: CompiledPackage) -> Iterable[_Draft]:
    for part in (*compiled.tasks, *compiled.workflows):
        yield _draft(part.template, part.digest, part.closure_digest)
    for plan in (*compiled.launch_plans, *compiled.default_launch_plans):
        yield _draft(plan.template, plan.digest, generated=plan.generated)


def _draft(template: Template, digest: str, closure_digest: str = "", generated: bool = False) -> _Draft:
    id = template.id
    name = EntityName(id.kind, id.project, id.domain, id.name)
    content = template.SerializeToString(deterministic=True)
    return _Draft(name, id.version, digest, template, content, closure_digest, generated)


def _together(conflicts: Sequence[VersionConflict]) -> VersionConflict:
    if len(conflicts) == 1:
        return conflicts[0]
    message = "\n".join(conflict.message for conflict in conflicts)
    return VersionConflict(message, {**conflicts[0].metadata, "conflicts": str(len(conflicts))})


def _plan_name(id: Identifier) -> EntityName:
    return EntityName(EntityKind.ENTITY_KIND_LAUNCH_PLAN, id.project, id.domain, id.name)


def _to_answer(fate: Fate) -> list[object]:
    name = fate.name
    return [name.kind, name.project, name.domain, name.name, fate.version, fate.digest, fate.created]


def _from_answer(answer: Sequence[object]) -> Fate:
    match answer:
        case [
            int(kind),
            str(project),
            str(domain),
            str(name),
            str(version),
            str(digest),
            bool(created),
        ]:
            return Fate(EntityName(kind, project, domain, name), version, digest, created)
    raise AssertionError(f"not kept by this service: {answer}")
