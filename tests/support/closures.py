"""Builds closures in a few lines, for tests of the walker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voleryidl.core.v1.closure_pb2 import CompiledWorkflow, NodeConnections, WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import ENTITY_KIND_TASK, ENTITY_KIND_WORKFLOW, EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface, Variable
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.types_pb2 import (
    SIMPLE_TYPE_FLOAT,
    SIMPLE_TYPE_INTEGER,
    SIMPLE_TYPE_STRING,
    LiteralType,
)
from voleryidl.core.v1.workflow_pb2 import (
    FAILURE_POLICY_FAIL_IMMEDIATELY,
    Binding,
    BindingValue,
    FailurePolicy,
    MapNode,
    Node,
    NodeOverrides,
    PathStep,
    Promise,
    WorkflowTemplate,
)

INTEGER = LiteralType(simple=SIMPLE_TYPE_INTEGER)
FLOAT = LiteralType(simple=SIMPLE_TYPE_FLOAT)
STRING = LiteralType(simple=SIMPLE_TYPE_STRING)


def list_of(element: LiteralType) -> LiteralType:
    return LiteralType(collection_type=element)


def integer(value: int) -> Literal:
    return Literal(integer_value=value)


def integers(*values: int) -> Literal:
    return Literal(collection_value={"literals": [integer(value) for value in values]})


def encoded(value: int) -> bytes:
    return integer(value).SerializeToString()


def interface(inputs: Mapping[str, LiteralType], outputs: Mapping[str, LiteralType]) -> TypedInterface:
    return TypedInterface(
        inputs=[Variable(name=name, type=type_) for name, type_ in inputs.items()],
        outputs=[Variable(name=name, type=type_) for name, type_ in outputs.items()],
    )


def identifier(kind: EntityKind, name: str) -> Identifier:
    return Identifier(kind=kind, project="demo", domain="development", name=name, version="1")


def task(
    name: str = "step",
    inputs: Mapping[str, LiteralType] | None = None,
    outputs: Mapping[str, LiteralType] | None = None,
) -> TaskTemplate:
    """A task that takes and gives one integer, unless told otherwise."""
    made = TaskTemplate(
        id=identifier(ENTITY_KIND_TASK, name),
        type="python",
        interface=interface(
            {"x": INTEGER} if inputs is None else inputs, {"o0": INTEGER} if outputs is None else outputs
        ),
    )
    made.python.module = "pipelines"
    made.python.qualname = name
    return made


Value = BindingValue | Literal | int | Sequence["Value"]


def value(given: Value) -> BindingValue:
    """A binding from a promise, a literal, an integer, or a list of those."""
    if isinstance(given, BindingValue):
        return given
    if isinstance(given, Literal):
        return BindingValue(literal=given)
    if isinstance(given, int):
        return BindingValue(literal=integer(given))
    return BindingValue(collection={"bindings": [value(item) for item in given]})


def promise(node: str, name: str = "o0", *path: str | int) -> BindingValue:
    steps = [PathStep(index=step) if isinstance(step, int) else PathStep(attribute=step) for step in path]
    return BindingValue(promise=Promise(node_id=node, name=name, path=steps))


def given(name: str) -> BindingValue:
    """An input of the workflow."""
    return promise("", name)


def _sources(binding: BindingValue) -> list[str]:
    match binding.WhichOneof("value"):
        case "promise":
            return [binding.promise.node_id] if binding.promise.node_id else []
        case "collection":
            return [source for item in binding.collection.bindings for source in _sources(item)]
        case "map" | "record" as arm:
            items = getattr(binding, arm).bindings.values()
            return [source for item in items for source in _sources(item)]
    return []


@dataclass
class Flow:
    """A workflow under construction."""

    name: str = "flow"
    inputs: Mapping[str, LiteralType] = field(default_factory=dict)
    policy: FailurePolicy = FAILURE_POLICY_FAIL_IMMEDIATELY
    nodes: list[Node] = field(default_factory=list)
    connections: list[NodeConnections] = field(default_factory=list)
    outputs: list[Binding] = field(default_factory=list)
    output_types: dict[str, LiteralType] = field(default_factory=dict)
    tasks: dict[str, TaskTemplate] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)

    def node(
        self,
        id: str,
        target: TaskTemplate | Flow,
        bindings: Mapping[str, Value] | None = None,
        *,
        after: Sequence[str] = (),
        casts: Sequence[str] = (),
        overrides: NodeOverrides | None = None,
    ) -> Flow:
        """Adds a node that runs a task or a workflow once."""
        node = self._add(id, bindings or {}, after, casts, overrides)
        self._target(node, target)
        return self

    def map(
        self,
        id: str,
        target: TaskTemplate | Flow,
        bindings: Mapping[str, Value],
        *,
        bound: Sequence[str] = (),
        concurrency: int = 0,
        min_successes: int | None = None,
        min_ratio: float | None = None,
        run_all: bool = False,
        after: Sequence[str] = (),
        casts: Sequence[str] = (),
        overrides: NodeOverrides | None = None,
    ) -> Flow:
        """Adds a node that runs a task or a workflow for each element."""
        node = self._add(id, bindings, after, casts, overrides)
        node.map.bound_inputs.extend(bound)
        node.map.concurrency = concurrency
        node.map.run_all = run_all
        if min_successes is not None:
            node.map.min_successes = min_successes
        if min_ratio is not None:
            node.map.min_success_ratio = min_ratio
        self._target(node.map, target)
        return self

    def output(self, name: str, source: Value, type_: LiteralType = INTEGER) -> Flow:
        self.outputs.append(Binding(name=name, value=value(source)))
        self.output_types[name] = type_
        return self

    def closure(self) -> WorkflowClosure:
        flows = self._all_flows()
        tasks = {task.id.name: task for flow in flows.values() for task in flow.tasks.values()}
        return WorkflowClosure(
            primary=identifier(ENTITY_KIND_WORKFLOW, self.name),
            workflows=[flows[name]._compiled() for name in sorted(flows)],
            tasks=[tasks[name] for name in sorted(tasks)],
        )

    def _add(
        self,
        id: str,
        bindings: Mapping[str, Value],
        after: Sequence[str],
        casts: Sequence[str],
        overrides: NodeOverrides | None,
    ) -> Node:
        inputs = [Binding(name=name, value=value(item)) for name, item in bindings.items()]
        node = Node(id=id, inputs=inputs, upstream_node_ids=after, overrides=overrides)
        sources = {source for binding in inputs for source in _sources(binding.value)} | set(after)
        self.nodes.append(node)
        self.connections.append(
            NodeConnections(node_id=id, upstream_node_ids=sorted(sources), cast_inputs=casts)
        )
        return node

    def _target(self, node: Node | MapNode, target: TaskTemplate | Flow) -> None:
        if isinstance(target, TaskTemplate):
            node.task.task_id.CopyFrom(target.id)
            self.tasks[target.id.name] = target
        else:
            node.workflow.workflow_id.CopyFrom(identifier(ENTITY_KIND_WORKFLOW, target.name))
            self.flows[target.name] = target

    def _all_flows(self) -> dict[str, Flow]:
        found = {self.name: self}
        ahead = list(self.flows.values())
        while ahead:
            flow = ahead.pop()
            if flow.name not in found:
                found[flow.name] = flow
                ahead.extend(flow.flows.values())
        return found

    def _compiled(self) -> CompiledWorkflow:
        return CompiledWorkflow(
            template=WorkflowTemplate(
                id=identifier(ENTITY_KIND_WORKFLOW, self.name),
                interface=interface(self.inputs, self.output_types),
                nodes=self.nodes,
                outputs=self.outputs,
                failure_policy=self.policy,
            ),
            connections=self.connections,
        )


def chain(length: int) -> Flow:
    """Nodes n0, n1, … that each take what the one before gave."""
    flow = Flow(inputs={"x": INTEGER})
    step = task()
    for index in range(length):
        flow.node(f"n{index}", step, {"x": promise(f"n{index - 1}") if index else given("x")})
    return flow.output("o0", promise(f"n{length - 1}"))


def fan_out(step: TaskTemplate | None = None) -> Flow:
    """A map over the input `xs`, whose list of results is the output."""
    flow = Flow(inputs={"xs": list_of(INTEGER)})
    flow.map("m", step or task(), {"x": given("xs")})
    return flow.output("o0", promise("m"), list_of(INTEGER))
