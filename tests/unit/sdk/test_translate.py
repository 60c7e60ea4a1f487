"""Declared entities become the messages that register them, with all that they reach."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support import declared
from support.declared import Model, add, fit, half, notify, numbers, search, split, twice
from volery import (
    Backoff,
    Cache,
    DeclarationError,
    FailurePolicy,
    LaunchPlan,
    MemoryEscalation,
    PodTemplate,
    Resources,
    Retry,
    Secret,
    Timeouts,
    map_task,
    task,
    workflow,
)
from volery._compile.translate import Package, translate
from volery._idl.voleryidl.core import v1 as idl
from volery_controlplane.domain.compiler import package as compiler
from volery_controlplane.domain.compiler.package import compile_package
from voleryidl.core.v1 import launch_plan_pb2, task_pb2, workflow_pb2


@task(
    cache=Cache(version="3", ignored_inputs=("y",), serialize=True, ttl=timedelta(hours=1)),
    retries=Retry(
        2,
        backoff=Backoff(timedelta(seconds=5), factor=3, cap=timedelta(minutes=1), jitter=0.1),
        on=ValueError,
        never_on="KeyError",
        infrastructure_count=7,
        memory=MemoryEscalation(2, "8Gi"),
    ),
    timeout=Timeouts(timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=3)),
    requests=Resources(cpu=0.5, memory="1Gi", accelerator="a100"),
    limits=Resources(memory="2Gi", gpu=1, shared_memory="64Mi"),
    environment={"MODE": "fast"},
    interruptible=True,
    secret_requests=[Secret("db", "password", env_var="DB_PASSWORD")],
    pod_template=PodTemplate(
        spec={"containers": [{"name": "main"}]}, primary_container_name="main", labels={"team": "ml"}
    ),
    container_image="registry/image:1",
    docs="One line.\n\nMore.",
)
def configured(x: int, y: float = 1.0) -> Model:
    return Model(x, y)


@task(deprecated="use other")
def old(x: int) -> int:
    return x


@workflow(failure_policy=FailurePolicy.FINISH_WHAT_CAN_RUN, on_failure=half)
def everything(x: float, depths: list[int]) -> Model:
    """Uses every kind of node and binding."""
    first: Any = notify("start")
    parts = split([1, twice(2)])
    models = map_task(fit, scale=x, concurrency=4, min_success_ratio=0.5)(depth=depths)
    model = configured.with_overrides(
        retries=0, cache=False, name="the model", environment={"MODE": "slow"}, container_image="other:2"
    )(parts.train[-1])
    first >> model
    assert models is not None
    return model


def translated(*entities: Any, **options: Any) -> Package:
    return translate(entities, project="demo", domain="development", version="v1", **options)


def as_protobuf(package: Package) -> Any:
    """The workflow of the package's end, as the server reads it."""
    return workflow_pb2.WorkflowTemplate.FromString(bytes(package.workflows[-1]))


def test_what_a_workflow_reaches_comes_along_once() -> None:
    package = translated(everything, twice, add)
    assert [each.id.name.rpartition(".")[2] for each in package.tasks if each.id] == [
        "notify",
        "add",
        "split",
        "fit",
        "configured",
        "half",
    ]
    assert [each.id.name.rpartition(".")[2] for each in package.workflows if each.id] == [
        "twice",
        "everything",
    ]


def test_identifiers_are_whole() -> None:
    package = translated(search)
    identifier = package.workflows[0].id
    assert identifier is not None
    assert identifier.to_dict() == {
        "kind": "ENTITY_KIND_WORKFLOW",
        "project": "demo",
        "domain": "development",
        "name": "support.declared.search",
        "version": "v1",
    }


def test_every_option_of_a_task_travels() -> None:
    bundle = idl.CodeBundle(sha256="ab", size_bytes=5, format="zip")
    message = task_pb2.TaskTemplate.FromString(bytes(translated(configured, bundle=bundle).tasks[0]))
    assert (message.type, message.type_version) == ("python", 1)
    assert message.python.qualname == "configured"
    assert message.python.module == configured.module
    assert message.python.bundle.sha256 == "ab"
    assert [each.name for each in message.interface.inputs] == ["x", "y"]
    assert message.interface.inputs[1].default_value.float_value == 1.0
    assert not message.interface.inputs[0].HasField("default_value")
    assert message.retries.count == 2
    assert message.retries.backoff.initial.seconds == 5
    assert message.retries.backoff.factor == 3
    assert message.retries.backoff.cap.seconds == 60
    assert list(message.retries.retry_on) == ["ValueError"]
    assert list(message.retries.never_on) == ["KeyError"]
    assert message.retries.infrastructure_count == 7
    assert message.retries.memory_escalation.limit == "8Gi"
    assert [
        message.timeouts.queued.seconds,
        message.timeouts.running.seconds,
        message.timeouts.total.seconds,
    ] == [1, 2, 3]
    assert (message.cache.version, message.cache.serialize, message.cache.ttl.seconds) == ("3", True, 3600)
    assert list(message.cache.ignored_inputs) == ["y"]
    assert (message.resources.requests.cpu, message.resources.requests.memory) == ("0.5", "1Gi")
    assert (message.resources.limits.memory, message.resources.limits.gpu) == ("2Gi", "1")
    assert (message.resources.accelerator, message.resources.shared_memory) == ("a100", "64Mi")
    assert dict(message.environment) == {"MODE": "fast"}
    assert message.interruptible is True
    assert message.secrets[0].environment_variable == "DB_PASSWORD"
    assert message.secrets[0].WhichOneof("mount") == "environment_variable"
    assert message.pod_template.spec["containers"][0]["name"] == "main"
    assert message.container_image == "registry/image:1"
    assert message.deprecated == ""
    old_message = task_pb2.TaskTemplate.FromString(bytes(translated(old).tasks[0]))
    assert old_message.deprecated == "use other"
    assert (message.docs.summary, message.docs.description) == ("One line.", "More.")


def test_a_task_that_says_nothing_inherits_everything() -> None:
    message = task_pb2.TaskTemplate.FromString(bytes(translated(half).tasks[0]))
    unset = ("retries", "timeouts", "cache", "resources", "pod_template", "config", "docs", "interruptible")
    assert [name for name in unset if message.HasField(name)] == []
    assert not message.python.HasField("bundle")


def test_nodes_bindings_and_order_travel() -> None:
    message = as_protobuf(translated(everything))
    nodes = {node.id: node for node in message.nodes}
    assert [node.name for node in message.nodes] == ["notify", "twice", "split", "fit", "the model"]
    assert nodes["n1"].workflow.workflow_id.name == "support.declared.twice"
    collection = nodes["n2"].inputs[0].value.collection.bindings
    assert collection[0].literal.integer_value == 1
    assert (collection[1].promise.node_id, collection[1].promise.name) == ("n1", "o0")
    mapped = nodes["n3"].map
    assert mapped.task.task_id.name == "support.declared.fit"
    assert (list(mapped.bound_inputs), mapped.concurrency, mapped.min_success_ratio) == (["scale"], 4, 0.5)
    assert mapped.WhichOneof("success") == "min_success_ratio"
    last = nodes["n4"]
    promise = last.inputs[0].value.promise
    assert (promise.node_id, promise.name, promise.path[0].index) == ("n2", "train", -1)
    assert list(last.upstream_node_ids) == ["n0"]
    assert message.outputs[0].value.promise.node_id == "n4"
    assert message.failure_policy == workflow_pb2.FailurePolicy.FAILURE_POLICY_FINISH_WHAT_CAN_RUN
    assert message.on_failure.id == "on-failure"
    assert message.on_failure.inputs[0].value.promise.name == "x"
    assert message.docs.summary == "Uses every kind of node and binding."


def test_overrides_travel_and_zero_is_not_unset() -> None:
    overrides = as_protobuf(translated(everything)).nodes[4].overrides
    assert overrides.retries.HasField("count")
    assert overrides.retries.count == 0
    assert overrides.HasField("cache")
    assert overrides.cache.version == ""
    assert dict(overrides.environment) == {"MODE": "slow"}
    assert overrides.container_image == "other:2"
    assert not as_protobuf(translated(everything)).nodes[0].HasField("overrides")


def test_attributes_keys_and_elements_are_steps_of_a_path() -> None:
    @workflow
    def flow(models: list[Model], table: dict[str, list[float]]) -> float:
        return half(table["a"][0])

    flow.function.__qualname__ = "flow"
    path = as_protobuf(translated(flow)).nodes[0].inputs[0].value.promise.path
    assert [step.WhichOneof("step") for step in path] == ["key", "index"]
    assert (path[0].key, path[1].index) == ("a", 0)

    @workflow
    def other(models: list[Model]) -> float:
        return half(models[0].score)

    other.function.__qualname__ = "other"
    path = as_protobuf(translated(other)).nodes[0].inputs[0].value.promise.path
    assert [step.WhichOneof("step") for step in path] == ["index", "attribute"]


def test_a_launch_plan_travels_with_its_workflow() -> None:
    plan = LaunchPlan(
        "nightly",
        search,
        default_inputs={"scale": 2},
        fixed_inputs={"depths": [4]},
        labels={"team": "ml"},
        tags=("nightly",),
        max_parallelism=3,
        interruptible=False,
        timeout=timedelta(hours=1),
        max_executions=1,
        docs="Every night.",
    )
    package = translated(plan)
    message = launch_plan_pb2.LaunchPlanTemplate.FromString(bytes(package.launch_plans[0]))
    assert message.id.name == "nightly"
    assert message.workflow_id.name == "support.declared.search"
    assert message.default_inputs.literals["scale"].float_value == 2.0
    assert message.fixed_inputs.literals["depths"].collection_value.literals[0].integer_value == 4
    assert dict(message.options.labels) == {"team": "ml"}
    assert (message.options.max_parallelism, message.options.timeout.seconds) == (3, 3600)
    assert message.options.HasField("interruptible")
    assert message.concurrency.limit == 1
    assert len(package.workflows) == 1
    assert len(package.tasks) == 2


def test_a_script_gets_the_name_of_its_module() -> None:
    package = translated(search, module_names={"support.declared": "flow"})
    task_ids = [each.id.name for each in package.tasks if each.id]
    assert task_ids == ["flow.fit", "flow.best"]
    assert {each.python.module for each in package.tasks if each.python} == {"flow"}


def test_a_task_inside_a_function_cannot_be_registered() -> None:
    @task
    def inner(x: int) -> int:
        return x

    with pytest.raises(DeclarationError, match="is defined inside a function") as refusal:
        translated(inner)
    assert refusal.value.file == __file__


def test_a_task_that_its_module_does_not_know_cannot_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "numbers", numbers.function)
    with pytest.raises(DeclarationError, match=r"is not what module support.declared calls numbers"):
        translated(numbers)


def test_two_entities_of_one_name_are_refused() -> None:
    first = LaunchPlan("same", search)
    second = LaunchPlan("same", search, fixed_inputs={"scale": 1})
    assert len(translated(first, first).launch_plans) == 1
    with pytest.raises(DeclarationError, match="two launch plans are named same"):
        translated(first, second)


def test_other_things_cannot_be_registered() -> None:
    with pytest.raises(DeclarationError, match="5 cannot be registered"):
        translated(5)


def test_the_compiler_of_the_server_accepts_it() -> None:
    plan = LaunchPlan("nightly", search, default_inputs={"scale": 2}, fixed_inputs={"depths": [4]})
    package = translated(everything, search, plan)
    compiled = compile_package(
        compiler.Package(
            [task_pb2.TaskTemplate.FromString(bytes(each)) for each in package.tasks],
            [workflow_pb2.WorkflowTemplate.FromString(bytes(each)) for each in package.workflows],
            [launch_plan_pb2.LaunchPlanTemplate.FromString(bytes(each)) for each in package.launch_plans],
        ),
        {},
    )
    assert len(compiled.workflows) == 3
    closure = next(
        each.closure for each in compiled.workflows if each.template.id.name.endswith("everything")
    )
    connections = {
        each.node_id: list(each.upstream_node_ids)
        for workflow in closure.workflows
        if workflow.template.id.name.endswith("everything")
        for each in workflow.connections
    }
    assert sorted(connections["n4"]) == ["n0", "n2"]
