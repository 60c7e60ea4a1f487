from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import compile_vectors
from support.literal_strategies import literal_types, typed_literals
from volery_controlplane.domain.compiler.package import (
    Compiled,
    CompiledPackage,
    EntityRef,
    Package,
    compile_package,
    ref_of,
    references,
)
from volery_controlplane.domain.compiler.tasks import SINGLE_NODE_ID
from volery_controlplane.domain.errors import CompilationFailed
from volery_rules.casting import Uncastable, cast
from volery_rules.digests import digest
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import Node, WorkflowTemplate

INC: dict[str, Any] = {"inc": {"in": {"x": "integer"}, "out": {"y": "integer"}}}


def chain(length: int) -> dict[str, Any]:
    nodes = [
        {"id": f"n{i}", "task": "inc", "bind": {"x": f"$n{i - 1}.y" if i else "$inputs.x"}}
        for i in range(length)
    ]
    outputs = {"y": f"$n{length - 1}.y"}
    entry = {"in": {"x": "integer"}, "out": {"y": "integer"}, "nodes": nodes, "outputs": outputs}
    return {"tasks": INC, "workflows": {"w": entry}}


def compiled(entry: dict[str, Any], registered: dict[str, Any] | None = None) -> CompiledPackage:
    return compile_package(compile_vectors.package(entry), compile_vectors.registered(registered))


def test_ten_thousand_nodes_compile() -> None:
    [workflow] = compiled(chain(10_000)).workflows
    assert len(workflow.closure.workflows[0].connections) == 10_001


def test_hundreds_of_workflows_in_each_other_compile() -> None:
    depth = 200  # closures grow with what they hold: these have 20,000 workflows between them
    workflows = {
        f"w{i}": {
            "nodes": [{"id": "n", "workflow": f"w{i + 1}"} if i + 1 < depth else {"id": "n", "task": "t"}]
        }
        for i in range(depth)
    }
    found = compiled({"tasks": {"t": {}}, "workflows": workflows})
    assert len(found.workflows[0].closure.workflows) == depth
    assert [task.id.name for task in found.workflows[0].closure.tasks] == ["t"]


def test_a_single_task_is_run_by_a_workflow_of_one_node() -> None:
    entry = {
        "in": {"x": {"type": "integer", "default": 3}, "y": "string"},
        "out": {"a": "float", "b": "none"},
    }
    [made] = compiled({"tasks": {"t": entry}}).tasks
    closure = made.closure
    [workflow] = closure.workflows
    assert closure.primary == workflow.template.id
    assert (closure.primary.kind, closure.primary.name) == (EntityKind.ENTITY_KIND_WORKFLOW, "t")
    assert workflow.template.interface == made.template.interface
    assert [node.id for node in workflow.template.nodes] == [SINGLE_NODE_ID]
    assert list(closure.tasks) == [made.template]
    # What was generated is what compiling it would give.
    package = Package(tasks=[made.template], workflows=[workflow.template])  # type: ignore[list-item]  # it is a task
    again = compile_package(package, {}).workflows[0]
    assert again.closure == closure


def test_digests_tell_content_and_nothing_else() -> None:
    one, again = compiled(chain(3)), compiled(chain(3))
    assert one.workflows[0].digest == again.workflows[0].digest == digest(one.workflows[0].template)
    assert one.workflows[0].closure_digest == again.workflows[0].closure_digest
    changed = compile_vectors.package(chain(3))
    changed.tasks[0].python.qualname = "other"
    other = compile_package(changed, {})
    assert other.workflows[0].digest == one.workflows[0].digest
    assert other.workflows[0].closure_digest != one.workflows[0].closure_digest


def test_a_closure_is_the_same_whether_its_parts_are_registered_or_in_the_package() -> None:
    inner = {"workflows": {"inner": chain(2)["workflows"]["w"]}, "tasks": INC}
    outer = {"workflows": {"outer": {"nodes": [{"id": "n", "workflow": "inner", "bind": {"x": 1}}]}}}
    together = compiled({"tasks": INC, "workflows": inner["workflows"] | outer["workflows"]})
    apart = compiled(outer, registered=inner)
    assert apart.workflows[0].closure_digest == together.workflows[1].closure_digest


def test_what_has_to_be_read_is_told_step_by_step() -> None:
    package = compile_vectors.package(
        {
            "tasks": INC,
            "workflows": {
                "w": {
                    "nodes": [
                        {"id": "a", "task": "inc", "bind": {"x": 1}},
                        {"id": "b", "task": "far"},
                        {"id": "c", "launch_plan": "plan"},
                        {"id": "d", "map_workflow": "inner", "bind": {"x": [1]}},
                    ],
                    "on_exit": {"id": "e", "task": "tidy"},
                }
            },
            "launch_plans": {"p": {"workflow": "other"}},
        }
    )

    def names(found: set[EntityRef]) -> set[str]:
        return {str(ref) for ref in found}

    wanted = references(package, {})
    assert names(wanted) == {
        "task far@v1",
        "task tidy@v1",
        "launch plan plan@v1",
        "workflow inner@v1",
        "workflow other@v1",
    }
    plan = compile_vectors.launch_plan("plan", {"workflow": "deep"})
    known = {ref_of(plan.id): plan}
    assert names(references(package, known)) == names(wanted) - {"launch plan plan@v1"} | {"workflow deep@v1"}


def test_a_launch_plan_whose_workflow_is_not_known_is_a_complaint_and_no_crash() -> None:
    plan = compile_vectors.launch_plan("plan", {"workflow": "deep"})
    package = compile_vectors.package({"workflows": {"w": {"nodes": [{"id": "c", "launch_plan": "plan"}]}}})
    with pytest.raises(CompilationFailed) as refusal:
        compile_package(package, {ref_of(plan.id): plan})
    assert [str(v.code) for v in refusal.value.violations] == ["UNKNOWN_WORKFLOW"]


def test_a_plans_interface_has_what_is_left_to_give() -> None:
    entry = chain(1)
    entry["workflows"]["w"]["in"] |= {"z": "string", "f": "float"}
    entry["launch_plans"] = {"p": {"workflow": "w", "default": {"x": 3}, "fixed": {"z": "a"}}}
    found = compiled(entry)
    [plan] = found.launch_plans
    assert [variable.name for variable in plan.interface.inputs] == ["x", "f"]
    assert plan.interface.inputs[0].default_value.integer_value == 3
    assert not plan.interface.inputs[1].HasField("default_value")
    assert [variable.name for variable in plan.interface.outputs] == ["y"]
    [default] = found.default_launch_plans
    assert default.generated
    assert default.template.id.kind == EntityKind.ENTITY_KIND_LAUNCH_PLAN
    assert (default.template.id.name, default.template.id.version) == ("w", "v1")
    assert len(default.interface.inputs) == 3


# --- laws --------------------------------------------------------------------------------------

_TARGETS = st.sampled_from(
    [
        {"task": "inc"},
        {"task": "nobody"},
        {"map": "inc"},
        {"map": "inc", "bound": ["x"]},
        {"workflow": "w"},
        {"launch_plan": "w"},
        {"approval": ""},
        {"signal": "integer"},
        {"sleep": "1s"},
        {"branch": {}},
        {},
    ]
)
_IDS = st.sampled_from(["a", "b", "c", "d", "e"])
_VALUES = st.one_of(
    _IDS.map(lambda id: f"${id}.y"),
    _IDS.map(lambda id: f"${id}.y[0]"),
    st.sampled_from([1, "$inputs.x", ["$inputs.x"], [1, 2], None, "$unset", {"$record": {"x": "$a.y"}}]),
)
_PLAIN = st.builds(
    lambda id, target, bind, after: {"id": id, "bind": bind, "after": after} | target,
    _IDS,
    _TARGETS,
    st.dictionaries(st.sampled_from(["x", "y"]), _VALUES, max_size=2),
    st.lists(_IDS, max_size=2),
)
_BRANCHES = st.builds(
    lambda id, when, then, other: {
        "id": id,
        "branch": {"arms": [{"when": when, "then": then}], "else": other},
    },
    _IDS,
    st.one_of(_VALUES, st.tuples(_VALUES, st.sampled_from(["==", "<", "in"]), _VALUES).map(list)),
    _PLAIN,
    st.one_of(st.just("too bad"), _PLAIN),
)
_WORKFLOWS = st.fixed_dictionaries(
    {
        "in": st.just({"x": "integer"}),
        "out": st.just({"y": "integer"}),
        "nodes": st.lists(st.one_of(_PLAIN, _PLAIN, _BRANCHES), max_size=6),
        "outputs": st.dictionaries(st.sampled_from(["y", "z"]), _VALUES, max_size=2),
    },
    optional={"on_failure": _PLAIN, "on_exit": _BRANCHES},
)


def _condition_is_sound(workflow: dict[str, Any]) -> bool:
    """The short form of a condition has no place for some values; they are no use here."""
    whens = [
        arm["when"]
        for node in [*workflow["nodes"], workflow.get("on_exit", {})]
        for arm in node.get("branch", {}).get("arms", ())
    ]
    return all(isinstance(when, str) or (isinstance(when, list) and len(when) == 3) for when in whens)


@settings(max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
@given(_WORKFLOWS.filter(_condition_is_sound))
def test_any_graph_compiles_or_is_refused(workflow: dict[str, Any]) -> None:
    package = compile_vectors.package({"tasks": INC, "workflows": {"w": workflow}})
    before = package.workflows[0].SerializeToString(deterministic=True)
    found = attempt(package)
    if isinstance(found, CompilationFailed):
        assert found.violations
        assert all(violation.message and violation.code for violation in found.violations)
        assert all(violation.field.startswith("workflows[0]") for violation in found.violations)
    else:
        _judge(found.workflows[0])
    assert package.workflows[0].SerializeToString(deterministic=True) == before


def attempt(package: Package) -> CompiledPackage | CompilationFailed:
    try:
        return compile_package(package, {})
    except CompilationFailed as refusal:
        return refusal


def _judge(found: Compiled) -> None:
    """What must hold of a workflow that compiles."""
    template = found.closure.workflows[0].template
    connections = {c.node_id: c for c in found.closure.workflows[0].connections}
    assert len(connections) == len(found.closure.workflows[0].connections)
    ids = [node.id for node in template.nodes]
    assert set(ids) <= connections.keys()
    started: set[str] = set()
    while len(started) < len(ids):
        ready = {id for id in ids if id not in started and set(connections[id].upstream_node_ids) <= started}
        assert ready, "every node gets its turn"
        started |= ready


@settings(max_examples=100)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_that_are_messages_compile_or_are_refused(task: bytes, workflow: bytes) -> None:
    made_task, made_workflow, node = TaskTemplate(), WorkflowTemplate(), Node()
    for message, content in ((made_task, task), (made_workflow, workflow), (node, workflow)):
        try:
            message.MergeFromString(content)
        except Exception:  # protobuf's own error, whose class differs by implementation
            return
    made_workflow.nodes.add().CopyFrom(node)
    with pytest.raises(CompilationFailed):
        compile_package(Package(tasks=[made_task], workflows=[made_workflow]), {})


@settings(max_examples=100)
@given(typed_literals(), literal_types())
def test_a_constant_is_refused_exactly_when_it_cannot_be_cast(pair: Any, target: Any) -> None:
    value, _ = pair
    entry = {"tasks": {"t": {}}, "workflows": {"w": {"nodes": [{"id": "n", "task": "t"}]}}}
    package = compile_vectors.package(entry)
    package.tasks[0].interface.CopyFrom(TypedInterface(inputs=[{"name": "x", "type": target}]))
    package.workflows[0].nodes[0].inputs.add(name="x").value.literal.CopyFrom(value)
    found = attempt(package)
    try:
        changed = cast(value, target) is not value
    except Uncastable:
        assert isinstance(found, CompilationFailed)
        assert [v.field for v in found.violations] == ["workflows[0].nodes[0].inputs[x]"]
    else:
        assert isinstance(found, CompiledPackage)
        connections = found.workflows[0].closure.workflows[0].connections
        assert list(connections[0].cast_inputs) == (["x"] if changed else [])
