"""How large a request may be, part by part: measured before anything is done with it.

One walk over the message sees to all of it, whatever the RPC, so that no part is forgotten: text in
messages of ours must not hold what a database cannot store, and nothing may be longer, deeper or more
than the settings allow. What a refusal says names the setting, its value, the place, and the way out.

Values are walked too, except that a list of a million numbers is only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from volery_controlplane.domain.errors import Invalid, TooLarge, Violation

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may hold; the control plane's settings of the same names, with `_limit`.

    Attributes:
        workflow_nodes: nodes of one workflow.
        package_entities: tasks, workflows and launch plans of one package.
        value_size: bytes of one value.
        inputs_size: bytes of all inputs of an execution.
        string_length: characters of a string in a value.
        text_length: characters of any other text, such as a description.
        elements: elements of a list or map.
        nesting: messages within each other; each level of lists is one in a type and two in a value.
        labels: labels, and tags, of one thing.
        label_length: characters of a label's name or value, or of a tag.
    """

    workflow_nodes: int = 20_000
    package_entities: int = 10_000
    value_size: int = 12 * MIB
    inputs_size: int = 14 * MIB
    string_length: int = 10_000_000
    text_length: int = 100_000
    elements: int = 2_000_000
    nesting: int = 64
    labels: int = 64
    label_length: int = 256


def check_size(message: Message, limits: Limits) -> None:
    """Walks a request.

    Raises:
        TooLarge: when a part is larger than a limit.
        Invalid: when a text has a NUL character, which databases do not store.
    """
    _walk(message, limits, "", 1, is_value=False)


def _walk(message: Message, limits: Limits, path: str, depth: int, *, is_value: bool) -> None:
    """Walks a message; one that is (part of) a value may hold any text."""
    if depth > limits.nesting:
        hint = "flatten the value or type, or put it into a file"
        raise _too_large("nesting", limits.nesting, "levels of nesting", depth, path, hint)
    kind = message.DESCRIPTOR.full_name
    check = _CHECKS.get(kind)
    if check is not None:
        check(message, limits, path)
    is_value = is_value or kind in _VALUES
    for field, content in message.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            here = f"{path}.{field.name}" if path else field.name
            if not field.is_repeated:
                _walk(content, limits, here, depth + 1, is_value=is_value)
            else:
                _count(len(content), limits, here)
                _walk_many(field, content, limits, here, depth + 1, is_value=is_value)
        elif field.is_repeated:
            here = f"{path}.{field.name}" if path else field.name
            _count(len(content), limits, here)
            if field.type == FieldDescriptor.TYPE_STRING:
                for text in content:
                    _check_text(text, limits, here, is_value=is_value)
        elif field.type == FieldDescriptor.TYPE_STRING:
            here = path if is_value else f"{path}.{field.name}" if path else field.name
            _check_text(content, limits, here, is_value=is_value)


def _walk_many(
    field: FieldDescriptor, content: Any, limits: Limits, path: str, depth: int, *, is_value: bool
) -> None:
    kind = field.message_type
    assert kind is not None
    if kind.GetOptions().map_entry:
        value = kind.fields_by_name["value"]
        for key in content:
            if isinstance(key, str):
                _check_text(key, limits, path, is_value=is_value)
            if value.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                here = f"{path}[{key[:80] if isinstance(key, str) else key}]"
                _walk(content[key], limits, here, depth + 1, is_value=is_value)
            elif value.type == FieldDescriptor.TYPE_STRING:
                _check_text(content[key], limits, f"{path}[{str(key)[:80]}]", is_value=is_value)
    elif kind.full_name == _LITERAL:
        for index, element in enumerate(content):
            if element.WhichOneof("value") not in _FLAT:
                _walk(element, limits, f"{path}[{index}]", depth, is_value=is_value)
    else:
        for index, element in enumerate(content):
            _walk(element, limits, f"{path}[{index}]", depth, is_value=is_value)


def _count(count: int, limits: Limits, path: str) -> None:
    if count > limits.elements:
        hint = "put a long list into a file or a table"
        raise _too_large("elements", limits.elements, "elements", count, path, hint)


def _check_text(text: str, limits: Limits, path: str, *, is_value: bool) -> None:
    if is_value:
        if len(text) > limits.string_length:
            hint = "put long text into a file"
            raise _too_large("string_length", limits.string_length, "characters", len(text), path, hint)
        return
    if "\0" in text:
        message = f"{path or 'the text'} has a NUL character, which cannot be stored"
        raise Invalid(
            message, [Violation(path, "has a NUL character, which cannot be stored", "NUL_IN_TEXT")]
        )
    if len(text) > limits.text_length:
        hint = "shorten it; values belong into inputs, and long ones into files"
        raise _too_large("text_length", limits.text_length, "characters", len(text), path, hint)


def _check_package(request: Any, limits: Limits, path: str) -> None:
    count = len(request.tasks) + len(request.workflows) + len(request.launch_plans)
    if count > limits.package_entities:
        hint = "register it in parts, what is referred to first"
        raise _too_large("package_entities", limits.package_entities, "entities", count, path, hint)


def _check_workflow(workflow: Any, limits: Limits, path: str) -> None:
    if len(workflow.nodes) > limits.workflow_nodes:
        hint = "map a task over a list, or divide the workflow into several"
        count = len(workflow.nodes)
        raise _too_large("workflow_nodes", limits.workflow_nodes, "nodes", count, f"{path}.nodes", hint)


def _check_values(values: Any, limits: Limits, path: str) -> None:
    """The maps of values that stand for themselves; nested ones are parts of values."""
    for name, value in values.literals.items():
        size = value.ByteSize()
        if size > limits.value_size:
            hint = "put large values into files or tables"
            place = f"{path}[{name[:80]}]"
            raise _too_large("value_size", limits.value_size, "bytes", size, place, hint)


def _check_creation(request: Any, limits: Limits, path: str) -> None:
    size = request.inputs.ByteSize()
    if size > limits.inputs_size:
        hint = "put large inputs into files or tables"
        raise _too_large("inputs_size", limits.inputs_size, "bytes", size, "inputs", hint)
    _check_values(request.inputs, limits, "inputs")


def _check_plan(plan: Any, limits: Limits, path: str) -> None:
    _check_values(plan.default_inputs, limits, f"{path}.default_inputs")
    _check_values(plan.fixed_inputs, limits, f"{path}.fixed_inputs")


def _check_labels(thing: Any, limits: Limits, path: str) -> None:
    here = f"{path}.labels" if path else "labels"
    hint = "labels are for finding things; put the rest into inputs or the description"
    if len(thing.labels) > limits.labels:
        raise _too_large("labels", limits.labels, "labels", len(thing.labels), here, hint)
    texts = [*thing.labels.keys(), *thing.labels.values()]
    if hasattr(thing, "tags"):
        if len(thing.tags) > limits.labels:
            raise _too_large("labels", limits.labels, "tags", len(thing.tags), f"{path}.tags", hint)
        texts.extend(thing.tags)
    longest = max(map(len, texts), default=0)
    if longest > limits.label_length:
        raise _too_large("label_length", limits.label_length, "characters", longest, here, hint)


_LITERAL = "voleryidl.core.v1.Literal"
_VALUES = frozenset({_LITERAL, "google.protobuf.Value", "google.protobuf.Struct"})
_FLAT = frozenset({"none_value", "integer_value", "float_value", "boolean_value"})
_CHECKS: Mapping[str, Callable[[Any, Limits, str], None]] = {
    "voleryidl.registry.v1.RegisterRequest": _check_package,
    "voleryidl.core.v1.WorkflowTemplate": _check_workflow,
    "voleryidl.core.v1.LaunchPlanTemplate": _check_plan,
    "voleryidl.core.v1.ExecutionOptions": _check_labels,
    "voleryidl.project.v1.Project": _check_labels,
    "voleryidl.execution.v1.CreateExecutionRequest": _check_creation,
}


def _too_large(name: str, limit: int, what: str, found: int, path: str, hint: str) -> TooLarge:
    place = path or "the request"
    return TooLarge(
        f"{place}: {found} {what}; {name}_limit allows {limit}. {hint.capitalize()}, or raise the setting",
        {"limit_name": f"{name}_limit", "limit": str(limit), "size": str(found), "field": path},
    )
