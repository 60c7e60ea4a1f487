"""Every value bound fits where it is bound, by the table of casts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from volery_rules import types
from volery_rules.attributes import NoSuchPart, path_text, type_at
from volery_rules.casting import Uncastable, cast, castable
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType, UnionVariant
from voleryidl.core.v1.workflow_pb2 import BindingValue, Promise

from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.names import shown


@dataclass(slots=True)
class Scope:
    """What promises can refer to in a workflow.

    Attributes:
        inputs: the workflow's inputs.
        outputs: what each node gives; None for a node of which that is not known, since something is
            wrong with it that was complained about already.
        inner: nodes inside branches, which nothing outside can refer to, with the branch.
    """

    inputs: Mapping[str, LiteralType]
    outputs: dict[str, Mapping[str, LiteralType] | None] = field(default_factory=dict)
    inner: Mapping[str, str] = field(default_factory=dict)


def promise_text(promise: Promise) -> str:
    """A promise as people read it: `fit.model.score`, or `inputs.depth`."""
    return f"{promise.node_id or 'inputs'}.{promise.name}{path_text(promise.path)}"


def promise_type(promise: Promise, scope: Scope, place: Place, report: Report) -> LiteralType | None:
    """The type of what a promise refers to; None when that is not known.

    References to nodes that do not exist are complained about where the graph is built.
    """
    if promise.node_id:
        known = scope.outputs.get(promise.node_id)
        if known is None:
            return None
        whose = f"node {shown(promise.node_id)} gives no"
    else:
        known, whose = scope.inputs, "the workflow has no input"
    type_ = known.get(promise.name)
    if type_ is None:
        hint = did_you_mean(promise.name, known)
        report.add(Code.UNKNOWN_VARIABLE, place, f"{whose} {shown(promise.name)}", hint)
        return None
    if type_.WhichOneof("type") is None:
        return None
    try:
        return type_at(type_, promise.path)
    except NoSuchPart as missing:
        whole = Promise(node_id=promise.node_id, name=promise.name)
        message = f"{promise_text(whole)}{missing.path}: {missing.reason}"
        report.add(Code.UNKNOWN_ATTRIBUTE, place, message)
        return None


def check_binding(
    value: BindingValue, target: LiteralType, scope: Scope, place: Place, report: Report
) -> bool:
    """Complains about what does not fit; tells whether the value must be cast when it is bound."""
    if target.WhichOneof("type") is None:
        return False  # complained about where it is declared
    match value.WhichOneof("value"):
        case "literal":
            return _check_literal(value.literal, target, place, report)
        case "promise":
            return _check_promise(value.promise, target, scope, place, report)
        case "collection" | "map" | "record" as arm:
            return _check_structure(value, arm, target, scope, place, report)
    message = "nothing is bound: a literal, a promise, a list, a map or a record is needed"
    report.add(Code.MISSING_VALUE, place, message)
    return False


def _check_literal(literal: Literal, target: LiteralType, place: Place, report: Report) -> bool:
    try:
        return cast(literal, target) is not literal
    except Uncastable as misfit:
        report.add(Code.ILLEGAL_VALUE, place, f"the value is no {types.text(target)}: {misfit}")
        return False


def _check_promise(promise: Promise, target: LiteralType, scope: Scope, place: Place, report: Report) -> bool:
    source = promise_type(promise, scope, place, report)
    if source is None:
        return False
    found = castable(source, target)
    if not found.accepted:
        wanted = types.text(target)
        message = f"{promise_text(promise)} is {types.text(source)}, but {wanted} is declared: {found.reason}"
        code = Code.AMBIGUOUS_TYPES if found.ambiguous else Code.MISMATCHING_TYPES
        report.add(code, place, message, _mending(source, target))
        return False
    # What is taken out of a struct is checked when it is bound: only then is it known.
    return found.needs_cast or any(step.WhichOneof("step") == "key" for step in promise.path)


def _mending(source: LiteralType, target: LiteralType) -> str:
    if types.is_optional(source) and not types.is_optional(target):
        return "the value may be none: accept none where it is bound, or replace it in a task"
    if source.WhichOneof("type") == "collection_type" and castable(source.collection_type, target).accepted:
        return "map over the list, or bind one element of it"
    if target.WhichOneof("type") == "collection_type" and castable(source, target.collection_type).accepted:
        return "bind a list of it"
    if _is(source, SimpleType.SIMPLE_TYPE_FLOAT) and _is(target, SimpleType.SIMPLE_TYPE_INTEGER):
        return "a float is never cut silently: round it in a task"
    if _is(target, SimpleType.SIMPLE_TYPE_STRING):
        return "format it as text in a task"
    return ""


def _is(type_: LiteralType, kind: SimpleType) -> bool:
    return type_.WhichOneof("type") == "simple" and type_.simple == kind


# Which type a structure of bindings can be bound to, and what people call it.
_STRUCTURES: Mapping[str, tuple[str, str]] = {
    "collection": ("collection_type", "a list"),
    "map": ("map_type", "a map"),
    "record": ("record_type", "a record"),
}


def _check_structure(
    value: BindingValue, arm: str, target: LiteralType, scope: Scope, place: Place, report: Report
) -> bool:
    wanted, called = _STRUCTURES[arm]
    kind = target.WhichOneof("type")
    if kind == "union_type":
        return _check_structure_in_union(value, arm, target, scope, place, report)
    if kind != wanted:
        report.add(Code.MISMATCHING_TYPES, place, f"{called} is bound, but {types.text(target)} is declared")
        return False
    if arm == "record":
        return _check_record(value, target, scope, place, report)
    if arm == "collection":
        inner = target.collection_type
        parts = [(f"[{i}]", element) for i, element in enumerate(value.collection.bindings)]
    else:
        inner = target.map_type
        parts = [(f"[{key}]", entry) for key, entry in sorted(value.map.bindings.items())]
    # A list, so that every part is looked at.
    needed = [check_binding(element, inner, scope, place.at(part), report) for part, element in parts]
    return any(needed)


def _check_record(
    value: BindingValue, target: LiteralType, scope: Scope, place: Place, report: Report
) -> bool:
    given, needs_cast = value.record.bindings, False
    declared = {field.name: field for field in target.record_type.fields}
    for name in sorted(given):
        here = place.at(f"[{name}]")
        if name not in declared:
            message = f"{types.text(target)} has no field {shown(name)}"
            report.add(Code.UNKNOWN_ATTRIBUTE, here, message, did_you_mean(name, declared))
        elif check_binding(given[name], declared[name].type, scope, here, report):
            needs_cast = True
    for name, field_ in declared.items():
        if name not in given:
            needs_cast = True
            if not field_.HasField("default_value"):
                message = f"the field {shown(name)} of {types.text(target)} is not bound and has no default"
                report.add(Code.MISSING_VALUE, place, message)
    return needs_cast


def _check_structure_in_union(
    value: BindingValue, arm: str, target: LiteralType, scope: Scope, place: Place, report: Report
) -> bool:
    wanted, called = _STRUCTURES[arm]
    fitting: list[UnionVariant] = []
    complaints = Report()
    for variant in target.union_type.variants:
        if variant.type.WhichOneof("type") in (wanted, "union_type"):
            trial = Report()
            check_binding(value, variant.type, scope, place, trial)
            if trial.is_empty:
                fitting.append(variant)
            complaints.extend(trial.violations)
    if len(fitting) > 1:
        names = ", ".join(types.text(variant.type) for variant in fitting)
        report.add(Code.AMBIGUOUS_TYPES, place, f"{called} is bound that fits {names} equally well")
    elif not fitting and complaints.is_empty:
        report.add(Code.MISMATCHING_TYPES, place, f"{called} is bound, but {types.text(target)} is declared")
    elif not fitting:
        report.extend(complaints.violations)
    return True
