"""Packages of integer tasks, as messages: what a client in any language would send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface, Variable
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.task_pb2 import PythonTarget, RetryPolicy, TaskTemplate
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.core.v1.workflow_pb2 import (
    Binding,
    BindingValue,
    MapNode,
    Node,
    Promise,
    TaskNode,
    WorkflowTemplate,
)
from voleryidl.registry.v1.registry_service_pb2 import RegisterRequest

INTEGER = LiteralType(simple=SimpleType.SIMPLE_TYPE_INTEGER)
INTEGERS = LiteralType(collection_type=INTEGER)
PROJECT, DOMAIN, VERSION = "demo", "development", "v1"


def identifier(kind: EntityKind, name: str, version: str = VERSION) -> Identifier:
    return Identifier(kind=kind, project=PROJECT, domain=DOMAIN, name=name, version=version)


def interface(inputs: Mapping[str, LiteralType], outputs: Mapping[str, LiteralType]) -> TypedInterface:
    return TypedInterface(
        inputs=[Variable(name=name, type=type_) for name, type_ in inputs.items()],
        outputs=[Variable(name=name, type=type_) for name, type_ in outputs.items()],
    )


def task(
    qualname: str,
    inputs: Mapping[str, LiteralType] | None = None,
    outputs: Mapping[str, LiteralType] | None = None,
    retries: RetryPolicy | None = None,
    module: str = "support.pipelines",
) -> TaskTemplate:
    return TaskTemplate(
        id=identifier(EntityKind.ENTITY_KIND_TASK, qualname),
        type="python",
        interface=interface(inputs or {"x": INTEGER}, outputs or {"o0": INTEGER}),
        python=PythonTarget(module=module, qualname=qualname),
        retries=retries,
    )


def promise(node: str, name: str = "o0") -> BindingValue:
    return BindingValue(promise=Promise(node_id=node, name=name))


def task_node(id: str, qualname: str, upstream: Sequence[str] = (), **inputs: BindingValue) -> Node:
    return Node(
        id=id,
        task=TaskNode(task_id=identifier(EntityKind.ENTITY_KIND_TASK, qualname)),
        inputs=[Binding(name=name, value=value) for name, value in inputs.items()],
        upstream_node_ids=upstream,
    )


def map_node(id: str, qualname: str, bound: Sequence[str] = (), **inputs: BindingValue) -> Node:
    return Node(
        id=id,
        map=MapNode(
            task=TaskNode(task_id=identifier(EntityKind.ENTITY_KIND_TASK, qualname)), bound_inputs=bound
        ),
        inputs=[Binding(name=name, value=value) for name, value in inputs.items()],
    )


def workflow(
    name: str,
    nodes: Sequence[Node],
    inputs: Mapping[str, LiteralType],
    **outputs: tuple[BindingValue, LiteralType],
) -> WorkflowTemplate:
    return WorkflowTemplate(
        id=identifier(EntityKind.ENTITY_KIND_WORKFLOW, name),
        interface=interface(inputs, {key: type_ for key, (_, type_) in outputs.items()}),
        nodes=nodes,
        outputs=[Binding(name=key, value=value) for key, (value, _) in outputs.items()],
    )


def chain(name: str, length: int, qualname: str = "add_one") -> WorkflowTemplate:
    """x → +1 → +1 … → o0."""
    nodes = [task_node("n0", qualname, x=promise("", "x"))]
    nodes += [task_node(f"n{i}", qualname, x=promise(f"n{i - 1}")) for i in range(1, length)]
    return workflow(name, nodes, {"x": INTEGER}, o0=(promise(f"n{length - 1}"), INTEGER))


def fan_out(name: str, qualname: str = "add_one") -> WorkflowTemplate:
    """n → [0 … n-1] → each +1 → their sum."""
    nodes = [
        task_node("n0", "numbers", n=promise("", "n")),
        map_node("n1", qualname, x=promise("n0")),
        task_node("n2", "total", xs=promise("n1")),
    ]
    return workflow(name, nodes, {"n": INTEGER}, o0=(promise("n2"), INTEGER))


def standard_tasks(retries: RetryPolicy | None = None) -> list[TaskTemplate]:
    return [
        task("add_one", retries=retries),
        task("slow_add_one", retries=retries),
        task("flaky_add_one", retries=retries or RetryPolicy(count=2)),
        task("talkative", retries=retries),
        task("numbers", {"n": INTEGER}, {"o0": INTEGERS}, retries=retries),
        task("total", {"xs": INTEGERS}, {"o0": INTEGER}, retries=retries),
    ]


def package(
    workflows: Sequence[WorkflowTemplate], tasks: Sequence[TaskTemplate] | None = None
) -> RegisterRequest:
    return RegisterRequest(tasks=standard_tasks() if tasks is None else tasks, workflows=workflows)


def integers(**values: int) -> LiteralMap:
    return LiteralMap(literals={name: Literal(integer_value=value) for name, value in values.items()})
