"""This module compiles a closure into a plan.

A closure is parsed once for each digest, however many executions walk it, and no message of it is
touched while walking: see `graph` for what comes out, and `bindings` for how inputs are made. What
this walker cannot walk yet is refused here, by type, and not discovered halfway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from volery_rules import types
from volery_rules.attributes import NoSuchPart, type_at
from volery_rules.cache_keys import cache_policy, interface_digest
from volery_rules.casting import castable
from volery_rules.overrides import overridden
from voleryidl.core.v1.closure_pb2 import CompiledWorkflow, NodeConnections, WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.types_pb2 import LiteralType
from voleryidl.core.v1.workflow_pb2 import (
    FAILURE_POLICY_FINISH_WHAT_CAN_RUN,
    BindingValue,
    MapNode,
    Node,
    WorkflowTemplate,
)
from voleryidl.event.v1.event_pb2 import NODE_KIND_MAP, NODE_KIND_TASK, NODE_KIND_WORKFLOW, NodeKind

from volery_dataplane.domain import encoding, retries
from volery_dataplane.domain.bindings import Cast, Constant, Recipe, constant_folded, inputs_of, recipe
from volery_dataplane.domain.graph import ItemOutput, MappedInput, MapPlan, NodePlan, TaskPlan, WorkflowPlan


class Unwalkable(Exception):
    """A closure cannot be walked.

    Attributes:
        workflow: the name of the workflow concerned.
        node: the id of the node concerned, or "".
    """

    def __init__(self, workflow: str, node: str, message: str) -> None:
        super().__init__(f"workflow {workflow}{f', node {node}' if node else ''}: {message}")
        self.workflow = workflow
        self.node = node


@dataclass(frozen=True, slots=True)
class Plan:
    """A closure, ready to be walked by any number of executions."""

    primary: WorkflowPlan

    @staticmethod
    def compile(closure: WorkflowClosure) -> Plan:
        """Compiles a closure.

        Raises:
            Unwalkable: it has something that this walker does not know, or lacks something that it
                refers to.
        """
        return Plan(_Compiler(closure).workflow(closure.primary))


_Key = tuple[str, str, str, str]


def _key(identifier: Identifier) -> _Key:
    return (identifier.project, identifier.domain, identifier.name, identifier.version)


@dataclass(frozen=True, slots=True)
class _Target:
    """A node and what it runs, before its bindings are looked at."""

    node: Node
    kind: NodeKind
    name: str
    interface: TypedInterface
    task: TaskPlan | None = None
    workflow: WorkflowPlan | None = None

    def output_type(self, name: str) -> LiteralType | None:
        """The type of one output, as others see it."""
        for variable in self.interface.outputs:
            if variable.name == name:
                if self.kind != NODE_KIND_MAP:
                    return variable.type
                tolerant = self.node.map.WhichOneof("success") is not None
                return LiteralType(
                    collection_type=types.optional(variable.type) if tolerant else variable.type
                )
        return None


class _Compiler:
    """Compiles the workflows of one closure, each once."""

    def __init__(self, closure: WorkflowClosure) -> None:
        self._workflows = {_key(compiled.template.id): compiled for compiled in closure.workflows}
        self._tasks = {_key(task.id): task for task in closure.tasks}
        self._plans: dict[_Key, WorkflowPlan | None] = {}
        self._task_plans: dict[tuple[_Key, bytes, bool | None], TaskPlan] = {}

    def workflow(self, identifier: Identifier) -> WorkflowPlan:
        """Compiles a workflow, unless it was met before."""
        key = _key(identifier)
        if key in self._plans:
            known = self._plans[key]
            if known is None:
                raise Unwalkable(identifier.name, "", "it contains itself")
            return known
        if key not in self._workflows:
            raise Unwalkable(identifier.name, "", "it is not in the closure")
        self._plans[key] = None  # under way
        compiled = self._workflows[key]
        targets = [self._target(compiled.template, node) for node in compiled.template.nodes]
        try:
            plan = _workflow_plan(compiled, targets)
        except KeyError as missing:
            raise Unwalkable(identifier.name, "", f"it refers to {missing}, which is not there") from None
        self._plans[key] = plan
        return plan

    def _target(self, template: WorkflowTemplate, node: Node) -> _Target:
        workflow = template.id.name
        kind = node.WhichOneof("target")
        inner = node.map.WhichOneof("target") if kind == "map" else kind
        runner = node.map if kind == "map" else node
        if inner == "task":
            return self._task_target(template, node, runner.task.task_id)
        if inner == "workflow":
            identifier = runner.workflow.workflow_id
            plan = self.workflow(identifier)
            interface = self._workflows[_key(identifier)].template.interface
            node_kind = NODE_KIND_MAP if kind == "map" else NODE_KIND_WORKFLOW
            return _Target(node, node_kind, identifier.name, interface, workflow=plan)
        what = f"a map over {inner}" if kind == "map" else f"a {kind} node"
        raise Unwalkable(workflow, node.id, f"{what} is not supported yet")

    def _task_target(self, within: WorkflowTemplate, node: Node, identifier: Identifier) -> _Target:
        workflow = within.id.name
        template = self._tasks.get(_key(identifier))
        if template is None:
            raise Unwalkable(workflow, node.id, f"the task {identifier.name} is not in the closure")
        if template.dynamic:
            raise Unwalkable(
                workflow, node.id, f"the task {identifier.name} is dynamic, which is not supported yet"
            )
        default = within.interruptible if within.HasField("interruptible") else None
        key = (_key(identifier), node.overrides.SerializeToString(deterministic=True), default)
        if key not in self._task_plans:
            made = overridden(template, node.overrides, interruptible=default)
            self._task_plans[key] = _task_plan(made)
        kind = NODE_KIND_MAP if node.WhichOneof("target") == "map" else NODE_KIND_TASK
        return _Target(node, kind, identifier.name, template.interface, task=self._task_plans[key])


def _task_plan(template: TaskTemplate) -> TaskPlan:
    timeouts = template.timeouts
    cache = cache_policy(template)
    return TaskPlan(
        template=template,
        name=template.id.name,
        outputs=tuple(variable.name for variable in template.interface.outputs),
        retries=retries.rules(template.retries),
        queued_timeout=_seconds(timeouts.queued) if timeouts.HasField("queued") else None,
        running_timeout=_seconds(timeouts.running) if timeouts.HasField("running") else None,
        total_timeout=retries.micros(timeouts.total) if timeouts.HasField("total") else None,
        cache=cache,
        interface=interface_digest(template.interface) if cache is not None else "",
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _workflow_plan(compiled: CompiledWorkflow, targets: Sequence[_Target]) -> WorkflowPlan:
    """Compiles one workflow whose targets are compiled. Raises KeyError for what is not there."""
    template = compiled.template
    for hook in ("on_failure", "on_exit"):
        if template.HasField(hook):
            raise Unwalkable(template.id.name, hook, f"{hook} is not supported yet")
    index_of = {target.node.id: index for index, target in enumerate(targets)}
    if len(index_of) != len(targets):
        raise Unwalkable(template.id.name, "", "two nodes have the same id")
    outputs_of = {
        target.node.id: (index, [variable.name for variable in target.interface.outputs])
        for index, target in enumerate(targets)
    }
    scope = _Scope(template, targets, outputs_of)
    connections = {connection.node_id: connection for connection in compiled.connections}
    upstream = [
        tuple(index_of[id_] for id_ in connections[target.node.id].upstream_node_ids) for target in targets
    ]
    recipes = [_recipes(target, connections[target.node.id], scope) for target in targets]
    outputs = inputs_of(_outputs(scope))
    consumed = {source for made in recipes for one in made.values() for source in one.sources()}
    consumed.update(outputs.sources)
    downstream: list[list[int]] = [[] for _ in targets]
    for index, before in enumerate(upstream):
        for source in before:
            downstream[source].append(index)
    return WorkflowPlan(
        name=template.id.name,
        nodes=tuple(
            _node_plan(
                target,
                index,
                recipes[index],
                _element_types(target, connections[target.node.id], scope),
                upstream[index],
                downstream[index],
                index in consumed,
            )
            for index, target in enumerate(targets)
        ),
        index_of=index_of,
        outputs=outputs,
        output_names=tuple(variable.name for variable in template.interface.outputs),
        finish_what_can_run=template.failure_policy == FAILURE_POLICY_FINISH_WHAT_CAN_RUN,
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the bindings of one workflow may refer to."""

    template: WorkflowTemplate
    targets: Sequence[_Target]
    outputs: Mapping[str, tuple[int, Sequence[str]]]

    def type_of(self, value: BindingValue) -> LiteralType | None:
        """The type of a promise; None where only looking at the value can tell."""
        promise = value.promise
        if value.WhichOneof("value") != "promise":
            return None
        if promise.node_id:
            found = self.targets[self.outputs[promise.node_id][0]].output_type(promise.name)
        else:
            inputs = self.template.interface.inputs
            found = next((variable.type for variable in inputs if variable.name == promise.name), None)
        if found is None:
            raise KeyError(f"{promise.node_id or 'the input'} {promise.name}")
        try:
            return type_at(found, promise.path)
        except NoSuchPart:
            return None


def _recipes(target: _Target, connections: NodeConnections, scope: _Scope) -> dict[str, Recipe]:
    """The recipe of each input of a node. Elements of a map's lists are cast later, one by one."""
    values = {binding.name: binding.value for binding in target.node.inputs}
    made = {name: recipe(value, scope.outputs) for name, value in values.items()}
    mapped = _mapped_names(target)
    declared = {variable.name: variable for variable in target.interface.inputs}
    for name in connections.cast_inputs:
        if name not in mapped:
            made[name] = constant_folded(Cast(made[name], declared[name].type, scope.type_of(values[name])))
    for name, variable in declared.items():
        if name not in made and variable.HasField("default_value"):
            made[name] = Constant(variable.default_value.SerializeToString())
    return made


def _mapped_names(target: _Target) -> set[str]:
    """The inputs that a map node cuts into elements."""
    if target.kind != NODE_KIND_MAP:
        return set()
    return {binding.name for binding in target.node.inputs} - set(target.node.map.bound_inputs)


def _node_plan(
    target: _Target,
    index: int,
    recipes: Mapping[str, Recipe],
    casts: Mapping[str, LiteralType | None],
    upstream: tuple[int, ...],
    downstream: Sequence[int],
    consumed: bool,
) -> NodePlan:
    node, is_map = target.node, target.kind == NODE_KIND_MAP
    mapped = _mapped_names(target)
    timeouts = node.overrides.timeouts
    return NodePlan(
        index=index,
        id=node.id,
        label=node.name if node.name != node.id else "",
        kind=target.kind,
        target_name=target.name,
        upstream=upstream,
        downstream=tuple(downstream),
        inputs=inputs_of({name: made for name, made in recipes.items() if name not in mapped}),
        outputs=tuple(variable.name for variable in target.interface.outputs),
        consumed=consumed,
        sources=tuple(sorted({source for made in recipes.values() for source in made.sources()})),
        task=None if is_map else target.task,
        workflow=None if is_map else target.workflow,
        map=_map_plan(target, recipes, mapped, casts) if is_map else None,
        total_timeout=(
            retries.micros(timeouts.total)
            if target.kind == NODE_KIND_WORKFLOW and timeouts.HasField("total")
            else None
        ),
    )


def _element_types(
    target: _Target, connections: NodeConnections, scope: _Scope
) -> dict[str, LiteralType | None]:
    """For the lists whose elements must be cast: the type of the elements, where known."""
    mapped = _mapped_names(target)
    values = {binding.name: binding.value for binding in target.node.inputs if binding.name in mapped}
    found = {}
    for name in connections.cast_inputs:
        if name in mapped:
            source = scope.type_of(values[name])
            found[name] = source.collection_type if source is not None else None
    return found


def _map_plan(
    target: _Target,
    recipes: Mapping[str, Recipe],
    mapped: set[str],
    casts: Mapping[str, LiteralType | None],
) -> MapPlan:
    node: MapNode = target.node.map
    success = node.WhichOneof("success")
    return MapPlan(
        task=target.task,
        workflow=target.workflow,
        mapped=tuple(
            MappedInput(
                variable.name,
                encoding.key(variable.name),
                recipes[variable.name],
                variable.type if variable.name in casts else None,
                casts.get(variable.name),
            )
            for variable in target.interface.inputs
            if variable.name in mapped
        ),
        outputs=tuple(_item_output(variable.type) for variable in target.interface.outputs),
        concurrency=node.concurrency,
        min_successes=node.min_successes if success == "min_successes" else None,
        min_ratio=node.min_success_ratio if success == "min_success_ratio" else None,
        run_all=node.run_all,
    )


def _item_output(declared: LiteralType) -> ItemOutput:
    """How values of a type become values of the same type with "nothing" added."""
    optional = types.optional(declared)
    if optional.WhichOneof("type") != "union_type":  # only "nothing" itself
        return ItemOutput("", encoding.NONE)
    none = next((v.tag for v in optional.union_type.variants if types.equal(v.type, types.NONE)), "none")
    was_union = declared.WhichOneof("type") == "union_type"
    return ItemOutput("" if was_union else types.tag(declared), encoding.union(none, encoding.NONE))


def _outputs(scope: _Scope) -> dict[str, Recipe]:
    """The recipe of each output of a workflow, cast to what its interface declares."""
    bound = {binding.name: binding.value for binding in scope.template.outputs}
    made = {}
    for variable in scope.template.interface.outputs:
        value = bound[variable.name]
        source = scope.type_of(value)
        made[variable.name] = recipe(value, scope.outputs)
        if source is None or castable(source, variable.type).needs_cast:
            made[variable.name] = constant_folded(Cast(made[variable.name], variable.type, source))
    return made
