"""Packages written in short YAML, for compile vectors and tests.

    tasks:
      fit: {in: {depth: integer = 3, frame: dataset}, out: {model: float}}
    workflows:
      search:
        in: {name: string}
        out: {best: float}
        nodes:
          - {id: load, task: load, bind: {name: $inputs.name}}
          - {id: fit, task: fit, bind: {frame: $load.frame, depth: 4}, after: [load]}
          - {id: each, map: fit, bound: [frame], bind: {frame: $load.frame, depth: [1, 2]}}
        outputs: {best: $fit.model}
    launch_plans:
      nightly: {workflow: search, default: {name: penguins}, fixed: {}}

`$node.output` is a promise, with a path where one follows: `$fit.model.score`, `$fit.models[-1]`,
`$fit.byname['x']`. A list or map with a promise in it is one of bindings; `{$record: …}` is a record of them.
Sections are maps from names, or lists of entries with a `name`, where a name is to be there twice. `proto` in
an entity or node is merged as protobuf JSON. Everything is of project `demo`, domain `development`, version
`v1`, unless an entry says otherwise; a reference may say `name@version`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from support.type_texts import type_of
from support.value_texts import literal, literals
from volery_controlplane.domain.compiler.package import Package, compile_package
from volery_controlplane.domain.compiler.world import Registered, ref_of
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import (
    BindingValue,
    BooleanExpression,
    Comparison,
    ComparisonOperator,
    Node,
    Operand,
    PathStep,
    Promise,
    WorkflowTemplate,
)

M = TypeVar("M", bound=Message)

_PATH = re.compile(r"\.(?P<attribute>\w+)|\[(?P<index>-?\d+)\]|\['(?P<key>[^']*)'\]")
_OPERATORS = {
    "==": ComparisonOperator.COMPARISON_OPERATOR_EQUAL,
    "!=": ComparisonOperator.COMPARISON_OPERATOR_NOT_EQUAL,
    "<": ComparisonOperator.COMPARISON_OPERATOR_LESS,
    "<=": ComparisonOperator.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    ">": ComparisonOperator.COMPARISON_OPERATOR_GREATER,
    ">=": ComparisonOperator.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
    "in": ComparisonOperator.COMPARISON_OPERATOR_IN,
}


def package(entry: Mapping[str, Any]) -> Package:
    """The package of an entry."""
    return Package(
        tasks=[task(name, e) for name, e in _entries(entry.get("tasks"))],
        workflows=[workflow(name, e) for name, e in _entries(entry.get("workflows"))],
        launch_plans=[launch_plan(name, e) for name, e in _entries(entry.get("launch_plans"))],
    )


def registered(entry: Mapping[str, Any] | None) -> Registered:
    """What a package, written alike, is once it is registered."""
    if not entry:
        return {}
    compiled = compile_package(package(entry), {})
    plans = [*compiled.launch_plans, *compiled.default_launch_plans]
    return {
        **{ref_of(task.id): task for found in compiled.tasks for task in found.closure.tasks},
        **{ref_of(found.template.id): found.closure for found in compiled.workflows},
        **{ref_of(plan.template.id): plan.template for plan in plans},
    }


def _entries(section: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(section, list):
        for entry in section:
            yield entry["name"], entry
    else:
        for name, entry in (section or {}).items():
            yield name, entry or {}


def identifier(kind: EntityKind, name: str, entry: Mapping[str, Any] | None = None) -> Identifier:
    """The identifier of an entry, or of a reference `name@version`."""
    entry = entry or {}
    name, _, version = str(name).partition("@")
    return Identifier(
        kind=kind,
        project=entry.get("project", "demo"),
        domain=entry.get("domain", "development"),
        name=name,
        version=version or entry.get("version", "v1"),
    )


def interface(entry: Mapping[str, Any]) -> TypedInterface:
    """What an entry takes and gives."""
    made = TypedInterface()
    for field, variables in (("in", made.inputs), ("out", made.outputs)):
        section = entry.get(field) or {}
        for name, text in section.items() if isinstance(section, dict) else section:
            variable = variables.add(name=name)
            if isinstance(text, dict):
                variable.type.CopyFrom(type_of(text["type"]))
                variable.default_value.CopyFrom(literal(text["default"]))
            else:
                variable.type.CopyFrom(type_of(text))
    return made


def task(name: str, entry: Mapping[str, Any]) -> TaskTemplate:
    """A task."""
    made = TaskTemplate(
        id=identifier(EntityKind.ENTITY_KIND_TASK, name, entry), type="python", interface=interface(entry)
    )
    if entry.get("type", "python") == "python":
        made.python.module, made.python.qualname = "flow", "function"
    else:
        made.type = entry["type"]
    return _merged(made, entry)


def workflow(name: str, entry: Mapping[str, Any]) -> WorkflowTemplate:
    """A workflow."""
    made = WorkflowTemplate(
        id=identifier(EntityKind.ENTITY_KIND_WORKFLOW, name, entry),
        interface=interface(entry),
        nodes=[node(e) for e in entry.get("nodes", ())],
    )
    for hook in ("on_failure", "on_exit"):
        if hook in entry:
            getattr(made, hook).CopyFrom(node(entry[hook]))
    outputs = entry.get("outputs") or {}
    for output, value in outputs.items() if isinstance(outputs, dict) else outputs:
        made.outputs.add(name=output).value.CopyFrom(binding(value))
    return _merged(made, entry)


def launch_plan(name: str, entry: Mapping[str, Any]) -> LaunchPlanTemplate:
    """A launch plan."""
    made = LaunchPlanTemplate(
        id=identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, name, entry),
        workflow_id=identifier(EntityKind.ENTITY_KIND_WORKFLOW, entry.get("workflow", "")),
    )
    for field, values in (("default", made.default_inputs), ("fixed", made.fixed_inputs)):
        for key, value in literals(entry.get(field) or {}).items():
            values.literals[key].CopyFrom(value)
    return _merged(made, entry)


def node(entry: Mapping[str, Any]) -> Node:
    """A node."""
    made = Node(id=entry["id"], upstream_node_ids=entry.get("after", ()))
    bound = entry.get("bind") or {}
    for name, value in bound.items() if isinstance(bound, dict) else bound:
        made.inputs.add(name=name).value.CopyFrom(binding(value))
    if "task" in entry:
        made.task.task_id.CopyFrom(identifier(EntityKind.ENTITY_KIND_TASK, entry["task"]))
    elif "workflow" in entry:
        made.workflow.workflow_id.CopyFrom(identifier(EntityKind.ENTITY_KIND_WORKFLOW, entry["workflow"]))
    elif "launch_plan" in entry:
        plan = identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, entry["launch_plan"])
        made.launch_plan.launch_plan_id.CopyFrom(plan)
    elif "map" in entry:
        made.map.task.task_id.CopyFrom(identifier(EntityKind.ENTITY_KIND_TASK, entry["map"]))
        made.map.bound_inputs.extend(entry.get("bound", ()))
    elif "map_workflow" in entry:
        inner = identifier(EntityKind.ENTITY_KIND_WORKFLOW, entry["map_workflow"])
        made.map.workflow.workflow_id.CopyFrom(inner)
        made.map.bound_inputs.extend(entry.get("bound", ()))
    elif "sleep" in entry:
        made.gate.sleep.FromJsonString(entry["sleep"])
    elif "signal" in entry:
        made.gate.signal.type.CopyFrom(type_of(entry["signal"]))
        made.gate.signal.signal_id = entry.get("signal_id", "")
    elif "approval" in entry:
        made.gate.approval.signal_id = entry["approval"] or ""
    elif "branch" in entry:
        _branch(made, entry["branch"])
    return _merged(made, entry)


def _branch(made: Node, entry: Mapping[str, Any]) -> None:
    made.branch.SetInParent()
    for arm in entry.get("arms", ()):
        added = made.branch.arms.add(condition=condition(arm["when"]))
        if "then" in arm:
            added.then_node.CopyFrom(node(arm["then"]))
    if isinstance(entry.get("else"), str):
        made.branch.else_failure = entry["else"]
    elif "else" in entry:
        made.branch.else_node.CopyFrom(node(entry["else"]))


def condition(entry: Any) -> BooleanExpression:
    """A condition: `[left, operator, right]`, `{and: […]}`, `{or: […]}`, `{not: …}`, or a promise."""
    made = BooleanExpression()
    match entry:
        case [left, str(operator), right] if operator in _OPERATORS:
            made.comparison.CopyFrom(
                Comparison(operator=_OPERATORS[operator], left=_operand(left), right=_operand(right))
            )
        case {"and": inner} | {"or": inner}:
            made.conjunction.operator = 1 if "and" in entry else 2  # type: ignore[assignment]  # AND, OR
            made.conjunction.expressions.extend(map(condition, inner))
        case {"not": inner}:
            made.negation.CopyFrom(condition(inner))
        case None:
            pass
        case _:
            made.truth.CopyFrom(_operand(entry))
    return made


def _operand(value: Any) -> Operand:
    if _is_promise(value):
        return Operand(promise=promise(value))
    return Operand() if value == "$unset" else Operand(literal=literal(value))


def _is_promise(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$") and value != "$unset"


def promise(text: str) -> Promise:
    """The promise of `$node.output` or `$inputs.name`, with a path."""
    node_id, _, rest = text[1:].partition(".")
    name = re.match(r"\w*", rest)
    assert name is not None
    made = Promise(node_id="" if node_id == "inputs" else node_id, name=name[0])
    for step in _PATH.finditer(rest, name.end()):
        if step["attribute"] is not None:
            made.path.add(attribute=step["attribute"])
        elif step["index"] is not None:
            made.path.add(index=int(step["index"]))
        else:
            made.path.append(PathStep(key=step["key"]))
    return made


def binding(value: Any) -> BindingValue:
    """A binding."""
    made = BindingValue()
    if _is_promise(value):
        made.promise.CopyFrom(promise(value))
    elif isinstance(value, list) and any(map(_holds_promise, value)):
        made.collection.bindings.extend(map(binding, value))
    elif isinstance(value, dict) and "$record" in value and _holds_promise(value):
        made.record.SetInParent()
        for key, part in value["$record"].items():
            made.record.bindings[key].CopyFrom(binding(part))
    elif isinstance(value, dict) and _holds_promise(value):
        for key, part in value.items():
            made.map.bindings[key].CopyFrom(binding(part))
    elif value != "$unset":
        made.literal.CopyFrom(literal(value))
    return made


def _holds_promise(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_promise, value))
    if isinstance(value, dict):
        return any(map(_holds_promise, value.values()))
    return _is_promise(value)


def _merged(made: M, entry: Mapping[str, Any]) -> M:
    if "proto" in entry:
        extra = json_format.ParseDict(entry["proto"], type(made)())
        made.MergeFrom(extra)
    return made
