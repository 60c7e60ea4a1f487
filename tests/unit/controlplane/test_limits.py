from __future__ import annotations

import pytest
from google.protobuf.message import Message
from support.packages import chain, integers, package, task, task_node, workflow
from volery_controlplane.domain.errors import Invalid, TooLarge
from volery_controlplane.domain.limits import Limits, check_size
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest, GetNodeExecutionRequest
from voleryidl.project.v1.project_service_pb2 import CreateProjectRequest, Project

SMALL = Limits(
    workflow_nodes=3,
    package_entities=8,
    value_size=1_000,
    inputs_size=1_500,
    string_length=100,
    text_length=50,
    elements=10,
    nesting=12,
    labels=2,
    label_length=8,
)


def inputs(**values: Literal) -> CreateExecutionRequest:
    return CreateExecutionRequest(inputs=LiteralMap(literals=values))


def nested(levels: int) -> Literal:
    found = Literal(integer_value=1)
    for _ in range(levels):
        outer = Literal()
        outer.collection_value.literals.append(found)
        found = outer
    return found


def numbers(count: int) -> Literal:
    found = Literal()
    found.collection_value.literals.extend(Literal(integer_value=1) for _ in range(count))
    return found


def texts(length: int, count: int = 1) -> Literal:
    found = Literal()
    found.collection_value.literals.extend(Literal(string_value="x" * length) for _ in range(count))
    return found


BIG = Literal(binary_value={"value": bytes(900)})

CASES: dict[str, tuple[Message, str, str]] = {
    "nodes": (package([chain("long", 4)]), "workflow_nodes_limit", "workflows[0].nodes"),
    "entities": (package([chain(f"w{n}", 1) for n in range(3)]), "package_entities_limit", ""),
    "value": (inputs(x=texts(90, 12)), "value_size_limit", "inputs[x]"),
    "inputs": (inputs(x=BIG, y=BIG), "inputs_size_limit", "inputs"),
    "string": (
        inputs(x=texts(101)),
        "string_length_limit",
        "inputs.literals[x].collection_value.literals[0]",
    ),
    "elements": (inputs(x=numbers(11)), "elements_limit", "inputs.literals[x].collection_value.literals"),
    "nesting": (inputs(x=nested(6)), "nesting_limit", ""),
    "labels": (
        CreateProjectRequest(project=Project(labels={"a": "", "b": "", "c": ""})),
        "labels_limit",
        "project.labels",
    ),
    "tags": (
        CreateExecutionRequest(options=ExecutionOptions(tags=["a", "b", "c"])),
        "labels_limit",
        "options.tags",
    ),
    "label": (
        CreateProjectRequest(project=Project(labels={"a": "x" * 9})),
        "label_length_limit",
        "project.labels",
    ),
    "text": (
        CreateProjectRequest(project=Project(description="x" * 51)),
        "text_length_limit",
        "project.description",
    ),
    "path": (GetNodeExecutionRequest(path="x" * 51), "text_length_limit", "path"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_too_large_is_refused_with_the_limit_and_the_place(case: str) -> None:
    message, name, path = CASES[case]
    with pytest.raises(TooLarge) as refused:
        check_size(message, SMALL)
    assert refused.value.metadata["limit_name"] == name
    assert name in refused.value.message
    assert refused.value.metadata["limit"] == str(getattr(SMALL, name.removesuffix("_limit")))
    assert refused.value.metadata["field"].startswith(path)


def test_what_is_as_large_as_allowed_is_taken() -> None:
    check_size(package([chain("fits", 3)]), SMALL)
    check_size(inputs(x=texts(100), y=numbers(10), z=nested(4)), SMALL)
    check_size(CreateProjectRequest(project=Project(labels={"a": "x" * 8}, description="x" * 50)), SMALL)


@pytest.mark.parametrize(
    "message",
    [
        GetNodeExecutionRequest(path="n0\0"),
        CreateProjectRequest(project=Project(labels={"a\0": ""})),
        CreateProjectRequest(project=Project(labels={"a": "\0"})),
        CreateExecutionRequest(options=ExecutionOptions(tags=["\0"])),
        CreateExecutionRequest(inputs=LiteralMap(literals={"x\0": Literal(integer_value=1)})),
        package([workflow("w", [task_node("n\0", "add_one")], {})]),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_text_that_no_database_stores_is_refused_before_it_gets_there(message: Message) -> None:
    with pytest.raises(Invalid) as refused:
        check_size(message, Limits())
    (violation,) = refused.value.violations
    assert violation.code == "NUL_IN_TEXT"


def test_a_value_may_hold_any_text() -> None:
    check_size(inputs(x=Literal(string_value="a\0b")), SMALL)
    check_size(inputs(x=Literal(map_value=LiteralMap(literals={"\0": Literal(integer_value=1)}))), SMALL)


def test_a_type_may_be_nested_as_deep_as_is_allowed_and_no_deeper() -> None:
    def deep(levels: int) -> LiteralType:
        found = LiteralType(simple=SimpleType.SIMPLE_TYPE_INTEGER)
        for _ in range(levels):
            found = LiteralType(collection_type=found)
        return found

    check_size(package([], [task("t", {"x": deep(59)})]), Limits())
    with pytest.raises(TooLarge):
        check_size(package([], [task("t", {"x": deep(60)})]), Limits())


def test_the_defaults_take_a_workflow_of_ten_thousand_nodes_and_a_million_numbers() -> None:
    check_size(package([chain("long", 10_000)]), Limits())
    check_size(inputs(x=numbers(1_000_000)), Limits())
    check_size(CreateExecutionRequest(inputs=integers(x=1)), Limits())
