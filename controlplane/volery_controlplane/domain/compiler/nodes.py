"""What nodes take and give, by kind, and what is wrong with gates, maps and branches."""

from __future__ import annotations

from collections.abc import Mapping

from volery_rules import types
from voleryidl.core.v1.interface_pb2 import Variable
from voleryidl.core.v1.types_pb2 import LiteralType
from voleryidl.core.v1.workflow_pb2 import BindingValue, MapNode, Node

from volery_controlplane.domain.compiler.bindings import Scope, promise_type
from volery_controlplane.domain.compiler.interfaces import NOTHING, Interface, check_type
from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.compiler.settings import is_positive
from volery_controlplane.domain.names import shown


def map_interface(item: Interface, map_node: MapNode) -> Interface:
    """What a map takes and gives: lists, but for the inputs every item gets whole.

    Where items may fail, their outputs may be none.
    """
    whole = set(map_node.bound_inputs)
    inputs = {
        name: variable if name in whole else _listed(variable) for name, variable in item.inputs.items()
    }
    tolerant = map_node.WhichOneof("success") is not None
    outputs = {
        name: LiteralType(collection_type=types.optional(type_) if tolerant else type_)
        for name, type_ in item.outputs.items()
    }
    return Interface(inputs, outputs)


def _listed(variable: Variable) -> Variable:
    listed = Variable(name=variable.name, type=LiteralType(collection_type=variable.type))
    if variable.HasField("default_value"):
        # Left unbound, the input is no list: each item gets the default.
        listed.default_value.CopyFrom(variable.default_value)
    return listed


def check_map(node: Node, item: Interface, place: Place, report: Report) -> None:
    """Complains about a map that has nothing to map over, or cannot know when it has succeeded."""
    map_node, here = node.map, place.at("map")
    seen: set[str] = set()
    for index, name in enumerate(map_node.bound_inputs):
        if name not in item.inputs:
            message = f"the bound input {shown(name)} is no input"
            hint = did_you_mean(name, item.inputs)
            report.add(Code.UNKNOWN_INPUT, here.at(f"bound_inputs[{index}]"), message, hint)
        elif name in seen:
            message = f"{shown(name)} is there twice"
            report.add(Code.ILLEGAL_MAP, here.at(f"bound_inputs[{index}]"), message)
        seen.add(name)
    lists = {b.name: b.value for b in node.inputs if b.name in item.inputs and b.name not in seen}
    if not lists:
        message = "no list is bound, so it is not known how many items there are"
        hint = "bind a list to an input that is not among the bound inputs"
        report.add(Code.NOTHING_TO_MAP, here, message, hint)
    lengths = {name: length for name, value in lists.items() if (length := _length(value)) is not None}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in sorted(lengths.items()))
        report.add(Code.UNEQUAL_LENGTHS, place.at("inputs"), f"the lists are of unequal length: {told}")
    _check_success(map_node, min(lengths.values(), default=None), here, report)


def _check_success(map_node: MapNode, length: int | None, place: Place, report: Report) -> None:
    match map_node.WhichOneof("success"):
        case "min_success_ratio":
            ratio = map_node.min_success_ratio
            if not 0 <= ratio <= 1:  # written so that not-a-number is refused as well
                message = f"the ratio is {ratio}; it is a share, from 0 to 1"
                report.add(Code.ILLEGAL_MAP, place.at("min_success_ratio"), message)
        case "min_successes":
            if length is not None and map_node.min_successes > length:
                message = f"{map_node.min_successes} items cannot succeed, for there are {length}"
                report.add(Code.ILLEGAL_MAP, place.at("min_successes"), message)


def _length(value: BindingValue) -> int | None:
    """How many elements a binding has, where that is known before it runs."""
    match value.WhichOneof("value"):
        case "collection":
            return len(value.collection.bindings)
        case "literal":
            match value.literal.WhichOneof("value"):
                case "collection_value":
                    return len(value.literal.collection_value.literals)
                case "offloaded_value":
                    return value.literal.offloaded_value.element_count
    return None


def gate_interface(node: Node, scope: Scope, place: Place) -> Interface:
    """What a gate takes and gives: nothing, a signal's value, or for an approval what it is given."""
    match node.gate.WhichOneof("condition"):
        case "signal":
            return Interface({}, {"value": node.gate.signal.type})
        case "approval":
            passed: dict[str, LiteralType] = {}
            for binding in node.inputs:
                if binding.value.WhichOneof("value") == "promise":
                    # What is wrong with it is told when the gate is checked.
                    found = promise_type(binding.value.promise, scope, place, Report())
                    passed[binding.name] = LiteralType() if found is None else found
            inputs = {name: Variable(name=name, type=type_) for name, type_ in passed.items()}
            return Interface(inputs, passed)
    return NOTHING


def check_gate(node: Node, place: Place, report: Report) -> str:
    """Complains about a gate; gives the id of the signal it waits for, or ""."""
    here = place.at("gate")
    match node.gate.WhichOneof("condition"):
        case "sleep":
            if not is_positive(node.gate.sleep):
                report.add(Code.ILLEGAL_GATE, here.at("sleep"), "the sleep must be longer than nothing")
            return ""
        case "signal":
            check_type(node.gate.signal.type, here.at("signal.type"), report)
            return node.gate.signal.signal_id or node.id
        case "approval":
            for binding in node.inputs:
                if binding.value.WhichOneof("value") != "promise":
                    message = "an approval passes on what another node gave, so only a promise is bound to it"
                    report.add(Code.ILLEGAL_GATE, place.at(f"inputs[{binding.name}]"), message)
            return node.gate.approval.signal_id or node.id
    report.add(Code.ILLEGAL_GATE, here, "it is not said what ends the wait")
    return ""


def branch_interface(arms: Mapping[str, Interface | None]) -> Interface | None:
    """What a branch gives: what its arms give. None where that is not known of any arm."""
    return next((Interface({}, arm.outputs) for arm in arms.values() if arm is not None), None)


def check_branch(node: Node, arms: Mapping[str, Interface | None], place: Place, report: Report) -> None:
    """Complains about a branch with nothing to choose from, or whose arms give different things.

    Args:
        node: the branch.
        arms: what each node inside gives, by its id; None where that is not known.
        place: where the branch stands.
        report: takes the complaints.
    """
    branch, here = node.branch, place.at("branch")
    if not branch.arms:
        report.add(Code.EMPTY_BRANCH, here.at("arms"), "a branch needs at least one arm")
    for index, arm in enumerate(branch.arms):
        if not arm.HasField("then_node"):
            report.add(Code.EMPTY_BRANCH, here.at(f"arms[{index}].then_node"), "the arm has no node")
    if branch.WhichOneof("otherwise") is None:
        message = "it is not said what happens when no condition holds"
        report.add(Code.MISSING_ELSE, here, message, "add an else node, or a message to fail with")
    known = [(id, arm.outputs) for id, arm in arms.items() if arm is not None]
    for id, outputs in known[1:]:
        difference = _difference(known[0][1], outputs)
        if difference:
            message = f"{shown(known[0][0])} and {shown(id)} give different things: {difference}"
            hint = "all arms must give the same outputs"
            report.add(Code.MISMATCHING_ARMS, here, message, hint)


def _difference(one: Mapping[str, LiteralType], other: Mapping[str, LiteralType]) -> str:
    for name in sorted(one.keys() ^ other.keys()):
        return f"only one has the output {shown(name)}"
    for name in sorted(one):
        if not types.equal(one[name], other[name]):
            return f"{shown(name)} is {types.text(one[name])} or {types.text(other[name])}"
    return ""
