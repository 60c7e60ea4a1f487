from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.compile_vectors import package
from volery_controlplane.domain.compiler.package import compile_package
from volery_controlplane.domain.platform_resources import MOST_LINES, amounts, warnings
from volery_controlplane.settings import BadSetting, Settings
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.task_pb2 import ResourceSet
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

SMALL = PlatformResources(maximum=ResourceSet(cpu="2", memory="1Gi"))


def closure(nodes: list[dict[str, object]], **tasks: dict[str, object]) -> WorkflowClosure:
    entry = {
        "tasks": {name: {"proto": {"resources": resources}} for name, resources in tasks.items()},
        "workflows": {"w": {"nodes": nodes}},
    }
    return compile_package(package(entry), {}).workflows[0].closure


def test_amounts_are_read_from_a_short_form() -> None:
    found = amounts("cpu=500m, memory=1Gi,gpu=1,ephemeral_storage=10Gi")
    assert found == ResourceSet(cpu="500m", memory="1Gi", gpu="1", ephemeral_storage="10Gi")
    assert amounts("") == ResourceSet()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cpu", "is not KIND=QUANTITY"),
        ("disk=1Gi", "a kind of cpu, memory, gpu, ephemeral_storage"),
        ("cpu=1,cpu=2", "cpu is there twice"),
        ("memory=lots", "'lots' is not a quantity"),
        ("gpu=500m", "devices are whole"),
    ],
)
def test_what_is_no_amount_is_told_with_the_setting(text: str, told: str) -> None:
    with pytest.raises(BadSetting, match="resource_maximum: ") as refusal:
        Settings.load({"VOLERY_RESOURCE_MAXIMUM": text})
    assert told in str(refusal.value)


@given(st.text(max_size=40))
def test_no_text_crashes_the_reader(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert amounts(text).ByteSize() <= len(text.encode()) + 8


def test_each_task_that_gets_less_than_it_asks_for_is_told_once() -> None:
    found = closure(
        [{"id": "a", "task": "big"}, {"id": "b", "task": "big"}, {"id": "c", "task": "small"}],
        big={"requests": {"cpu": "4"}, "limits": {"cpu": "8", "memory": "64Gi"}},
        small={"limits": {"cpu": "2"}},
    )
    assert warnings(found, SMALL) == (
        "task big asks for more than a task gets here: cpu 8, gets 2; memory 64Gi, gets 1Gi",
    )
    assert warnings(found, PlatformResources()) == ()


def test_what_a_node_overrides_is_what_is_asked_for() -> None:
    more = {"overrides": {"resources": {"limits": {"memory": "4Gi"}}}}
    less = {"overrides": {"resources": {"limits": {"memory": "1Mi"}}}}
    found = closure(
        [{"id": "a", "task": "t", "proto": more}, {"id": "b", "task": "u", "proto": less}],
        t={"limits": {"memory": "1Mi"}},
        u={"limits": {"memory": "4Gi"}},
    )
    assert warnings(found, SMALL) == ("task t asks for more than a task gets here: memory 4Gi, gets 1Gi",)


def test_a_branchs_nodes_are_looked_at_too() -> None:
    arm = {"when": [1, "==", 1], "then": {"id": "t", "task": "big"}}
    nodes = [{"id": "b", "branch": {"arms": [arm], "else": {"id": "e", "task": "bigger"}}}]
    found = closure(nodes, big={"limits": {"cpu": "3"}}, bigger={"limits": {"cpu": "4"}})
    assert [line.split()[1] for line in warnings(found, SMALL)] == ["big", "bigger"]


def test_very_many_warnings_are_counted() -> None:
    names = [f"t{number:02}" for number in range(MOST_LINES + 5)]
    found = closure(
        [{"id": name, "task": name} for name in names], **{name: {"limits": {"cpu": "9"}} for name in names}
    )
    told = warnings(found, SMALL)
    assert len(told) == MOST_LINES + 1
    assert told[-1] == "and 5 more tasks ask for more than they get"
