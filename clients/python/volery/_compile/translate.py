"""This module translates tasks, workflows and launch plans into the messages that register them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from volery._compile import messages
from volery._compile.bindings import Binding, BoundList, BoundMap, BoundRecord
from volery._compile.promise import Promise, Step
from volery._compile.trace import NodeDraft
from volery._idl.voleryidl.core import v1 as idl
from volery._interface import Interface
from volery._literals.values import Literal
from volery._options import Overrides
from volery._places import place_of
from volery.container_task import ContainerTask
from volery.errors import DeclarationError
from volery.launch_plan import LaunchPlan
from volery.map_task import MapTask
from volery.task import Task
from volery.workflow import FailurePolicy, Workflow

Entity: TypeAlias = "Task[..., Any] | Workflow[..., Any] | LaunchPlan"

_POLICIES = {
    FailurePolicy.FAIL_IMMEDIATELY: idl.FailurePolicy.FAIL_IMMEDIATELY,
    FailurePolicy.FINISH_WHAT_CAN_RUN: idl.FailurePolicy.FINISH_WHAT_CAN_RUN,
}


@dataclass(slots=True)
class Package:
    """What is registered in one call."""

    tasks: list[idl.TaskTemplate] = field(default_factory=list)
    workflows: list[idl.WorkflowTemplate] = field(default_factory=list)
    launch_plans: list[idl.LaunchPlanTemplate] = field(default_factory=list)


def translate(
    entities: Iterable[Entity],
    *,
    project: str,
    domain: str,
    version: str,
    bundle: idl.CodeBundle | None = None,
    module_names: Mapping[str, str] | None = None,
) -> Package:
    """Translates entities and all that they reach.

    Args:
        entities: tasks, workflows and launch plans.
        project: the tenant.
        domain: the second axis of tenancy.
        version: the version of every entity.
        bundle: the archive that the tasks' code travels in; None where it is installed.
        module_names: what modules are called where the code runs, for those that are called
            otherwise here; a script that runs is `__main__` here.
    """
    translator = _Translator(project, domain, version, bundle, dict(module_names or {}))
    for entity in entities:
        translator.add(entity)
    return translator.package


class _Translator:
    def __init__(
        self,
        project: str,
        domain: str,
        version: str,
        bundle: idl.CodeBundle | None,
        module_names: Mapping[str, str],
    ) -> None:
        self.package = Package()
        self._project = project
        self._domain = domain
        self._version = version
        self._bundle = bundle
        self._module_names = module_names
        self._seen: dict[tuple[str, str], object] = {}
        self._done: set[tuple[str, str]] = set()

    def add(self, entity: Entity) -> None:
        match entity:
            case Task():
                self._add_task(entity)
            case Workflow():
                self._add_workflow(entity)
            case LaunchPlan():
                self._add_launch_plan(entity)
            case _:
                raise DeclarationError(
                    f"{entity!r} cannot be registered", hint="tasks, workflows and launch plans can"
                )

    def _is_new(self, kind: str, name: str, what: object) -> bool:
        known = self._seen.setdefault((kind, name), what)
        if known is not what:
            raise DeclarationError(f"two {kind}s are named {name}", hint="give one of them another name")
        if (kind, name) in self._done:
            return False
        self._done.add((kind, name))
        return True

    def _name(self, entity: Task[..., Any] | Workflow[..., Any]) -> str:
        return f"{self._module(entity)}.{entity.name.removeprefix(f'{entity.module}.')}"

    def _module(self, entity: Task[..., Any] | Workflow[..., Any]) -> str:
        return self._module_names.get(entity.module, entity.module)

    def _id(self, kind: idl.EntityKind, name: str) -> idl.Identifier:
        return idl.Identifier(
            kind=kind, project=self._project, domain=self._domain, name=name, version=self._version
        )

    def _add_task(self, task: Task[..., Any]) -> idl.Identifier:
        name, options = self._name(task), task.options
        identifier = self._id(idl.EntityKind.TASK, name)
        if not self._is_new("task", name, task.function):
            return identifier
        python = container = None
        if isinstance(task, ContainerTask):
            container = idl.ContainerTarget(
                image=task.image,
                command=list(task.command),
                args=list(task.arguments),
                input_path=task.input_data_dir,
                output_path=task.output_data_dir,
                working_dir=task.working_dir,
            )
        else:
            _check_loadable(task)
            python = idl.PythonTarget(module=self._module(task), qualname=task.qualname, bundle=self._bundle)
        self.package.tasks.append(
            idl.TaskTemplate(
                id=identifier,
                type="python" if container is None else "container",
                type_version=1,
                interface=_interface(task.interface),
                python=python,
                container=container,
                retries=messages.retry_to_wire(options.retries),
                timeouts=messages.timeouts_to_wire(options.timeouts),
                cache=messages.cache_to_wire(options.cache),
                resources=messages.resources_to_wire(options.requests, options.limits),
                environment=dict(options.environment),
                secrets=[messages.secret_to_wire(each) for each in options.secrets],
                interruptible=options.interruptible,
                deprecated=options.deprecated,
                pod_template=messages.pod_template_to_wire(options.pod_template),
                container_image=options.container_image,
                docs=messages.docs_to_wire(task.docs),
            )
        )
        return identifier

    def _add_workflow(self, workflow: Workflow[..., Any]) -> idl.Identifier:
        name = self._name(workflow)
        identifier = self._id(idl.EntityKind.WORKFLOW, name)
        if not self._is_new("workflow", name, workflow.function):
            return identifier
        graph = workflow.graph
        template = idl.WorkflowTemplate(
            id=identifier,
            interface=_interface(workflow.interface),
            nodes=[self._node(each) for each in graph.nodes],
            outputs=[_binding(name, value) for name, value in graph.outputs.items()],
            failure_policy=_POLICIES[workflow.failure_policy],
            on_failure=None if graph.on_failure is None else self._node(graph.on_failure),
            interruptible=workflow.interruptible,
            docs=messages.docs_to_wire(workflow.docs),
        )
        self.package.workflows.append(template)
        return identifier

    def _add_launch_plan(self, plan: LaunchPlan) -> None:
        workflow_id = self._add_workflow(plan.workflow)
        if not self._is_new("launch plan", plan.name, plan):
            return
        self.package.launch_plans.append(
            idl.LaunchPlanTemplate(
                id=self._id(idl.EntityKind.LAUNCH_PLAN, plan.name),
                workflow_id=workflow_id,
                default_inputs=messages.literals_to_wire(plan.default_inputs),
                fixed_inputs=messages.literals_to_wire(plan.fixed_inputs),
                options=idl.ExecutionOptions(
                    labels=plan.labels,
                    annotations=plan.annotations,
                    environment=plan.environment,
                    tags=list(plan.tags),
                    max_parallelism=plan.max_parallelism,
                    interruptible=plan.interruptible,
                    overwrite_cache=plan.overwrite_cache,
                    timeout=plan.timeout,
                    service_account=plan.service_account,
                    storage_prefix=plan.storage_prefix,
                ),
                concurrency=_concurrency(plan),
                docs=messages.docs_to_wire(plan.docs),
            )
        )

    def _node(self, draft: NodeDraft) -> idl.Node:
        node = idl.Node(
            id=draft.id,
            name=draft.overrides.label or draft.label,
            inputs=[_binding(name, value) for name, value in draft.bindings.items()],
            upstream_node_ids=[each.id for each in draft.upstream],
            overrides=_overrides(draft.overrides),
        )
        match draft.target:
            case Task() as task:
                node.task = idl.TaskNode(task_id=self._add_task(task))
            case Workflow() as workflow:
                node.workflow = idl.WorkflowNode(workflow_id=self._add_workflow(workflow))
            case MapTask() as mapped:
                node.map = self._map(mapped)
        return node

    def _map(self, mapped: MapTask[Any]) -> idl.MapNode:
        node = idl.MapNode(
            bound_inputs=list(mapped.bound),
            concurrency=mapped.concurrency,
            min_successes=mapped.min_successes,
            min_success_ratio=mapped.min_success_ratio,
            run_all=mapped.run_all,
        )
        if isinstance(mapped.target, Task):
            node.task = idl.TaskNode(task_id=self._add_task(mapped.target))
        else:
            node.workflow = idl.WorkflowNode(workflow_id=self._add_workflow(mapped.target))
        return node


def _check_loadable(task: Task[..., Any]) -> None:
    """A task process finds the function by its name, so that name must lead to this very task."""
    place = place_of(task.function)
    if "<locals>" in task.qualname:
        raise DeclarationError(
            f"task {task.qualname} is defined inside a function",
            file=place.file,
            line=place.line,
            hint="define it at the top of its module, where the process that runs it can find it",
        )
    found: Any = sys.modules.get(task.module)
    if found is None:
        return
    for part in task.qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Task) or found.function is not task.function:
        raise DeclarationError(
            f"task {task.qualname} is not what module {task.module} calls {task.qualname}",
            file=place.file,
            line=place.line,
            hint="@task goes on top of other decorators, and the name must not be used again",
        )


def _interface(interface: Interface) -> idl.TypedInterface:
    inputs, outputs = interface.variables()
    return idl.TypedInterface(
        inputs=[messages.variable_to_wire(each) for each in inputs],
        outputs=[messages.variable_to_wire(each) for each in outputs],
    )


def _concurrency(plan: LaunchPlan) -> idl.ConcurrencyPolicy | None:
    if not plan.max_executions:
        return None
    return idl.ConcurrencyPolicy(limit=plan.max_executions, overlap=idl.Overlap(plan.overlap.value))


def _overrides(overrides: Overrides) -> idl.NodeOverrides | None:
    wired = idl.NodeOverrides(
        retries=messages.retry_to_wire(overrides.retries),
        timeouts=messages.timeouts_to_wire(overrides.timeouts),
        cache=messages.cache_to_wire(overrides.cache),
        resources=messages.resources_to_wire(overrides.requests, overrides.limits),
        interruptible=overrides.interruptible,
        container_image=overrides.container_image,
        environment=dict(overrides.environment),
        pod_template=messages.pod_template_to_wire(overrides.pod_template),
    )
    return wired if bytes(wired) else None


def _binding(name: str, value: Binding) -> idl.Binding:
    return idl.Binding(name=name, value=_value(value))


def _value(value: Binding) -> idl.BindingValue:
    match value:
        case Literal():
            return idl.BindingValue(literal=messages.literal_to_wire(value))
        case Promise():
            return idl.BindingValue(promise=_promise(value))
        case BoundList(elements):
            return idl.BindingValue(
                collection=idl.BindingCollection(bindings=[_value(each) for each in elements])
            )
        case BoundMap(parts):
            return idl.BindingValue(map=_values(parts))
        case BoundRecord(parts):
            return idl.BindingValue(record=_values(parts))


def _values(parts: Mapping[str, Binding]) -> idl.BindingMap:
    return idl.BindingMap(bindings={name: _value(each) for name, each in parts.items()})


def _promise(promise: Promise) -> idl.Promise:
    node = promise._volery_node
    return idl.Promise(
        node_id="" if node is None else node.id,
        name=promise._volery_name,
        path=[_step(each) for each in promise._volery_path],
    )


def _step(step: Step) -> idl.PathStep:
    if isinstance(step, str):
        return idl.PathStep(attribute=step)
    if isinstance(step, int):
        return idl.PathStep(index=step)
    return idl.PathStep(key=step[0])
