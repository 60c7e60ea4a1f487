"""Pods as they are made."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pods import cast, differences, order, pod, pod_cases, settings, task
from volery_dataplane.launch.kubernetes import labels
from volery_dataplane.launch.kubernetes.manifest.contract import verbatim
from volery_dataplane.launch.kubernetes.manifest.moulds import Moulds
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation
from volery_dataplane.launch.kubernetes.manifest.security import beyond_restricted
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.launch.secrets import SecretUnavailable
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in pod_cases()])
def test_a_pod_is_made_as_the_task_asks(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case)
    if "refused" in case:
        with pytest.raises((NotRunnable, SecretUnavailable), match=re.escape(case["refused"])):
            pod(case)
        return
    made = pod(case)
    assert differences(case["pod"], made) == []
    if "order" in case:
        assert [container["name"] for container in made["spec"]["initContainers"]] == case["order"]
    assert case == before, "what templates and settings say is shared by all pods, and never changed"


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in pod_cases() if "refused" not in case]
)
def test_a_pod_reads_as_the_attempt_it_was_made_for(case: dict[str, Any]) -> None:
    owned = labels.Owned(pod(case))
    assert (owned.uid, owned.path, owned.attempt) == ("uid-1", "n1/n0/17", 2)
    assert owned.execution == "demo/development/run-1"
    assert owned.storage_prefix == "s3://bucket/x/2"


def test_a_pod_s_name_and_labels_tell_attempts_apart() -> None:
    first = cast(order())["metadata"]
    again = replace(order(), key=AttemptKey(7, "n1/n0/17", 3, 9))
    second = cast(again)["metadata"]
    assert first["name"] != second["name"]
    assert first["labels"][labels.NODE] == second["labels"][labels.NODE]


def test_a_later_holder_makes_the_same_pod_name() -> None:
    later = replace(order(), key=order().key._replace(fencing_token=99))
    names = {cast(each)["metadata"]["name"] for each in (order(), later)}
    assert len(names) == 1


_key = st.one_of(st.text(max_size=70), st.from_regex(r"([a-z.]{1,9}/)?[A-Za-z0-9._-]{1,70}", fullmatch=True))
_value = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=70)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)


@given(st.dictionaries(_key, _text), st.dictionaries(_key, _text))
def test_any_labels_of_an_execution_leave_a_pod_that_a_cluster_takes(
    given_labels: dict[str, str], annotations: dict[str, str]
) -> None:
    metadata = pod({"execution": {"labels": given_labels, "annotations": annotations}})["metadata"]
    for key, value in metadata["labels"].items():
        assert labels.illegal_key(key) == ""
        assert labels.label_value(value) == value
    for key in metadata["annotations"]:
        assert labels.illegal_key(key) == ""
    assert metadata["labels"][labels.EXECUTION_UID] == "uid-1"


@given(_text)
def test_any_text_has_a_value_for_a_label(text: str) -> None:
    value = labels.label_value(text)
    assert re.fullmatch(r"|[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value)
    assert labels.label_value(value) == value


@given(_text, _text)
def test_two_texts_have_two_values(one: str, other: str) -> None:
    assert one == other or labels.label_value(one) != labels.label_value(other)


def expanded(text: str) -> str:
    """What Kubernetes makes of a text: `$$` is `$`, `$(NAME)` a variable's value."""
    return re.sub(r"\$(\$|\(([^)]*)\))", lambda found: "$" if found[1] == "$" else f"<{found[2]}>", text)


@given(st.text(alphabet="$()Ax ", max_size=30))
def test_a_text_arrives_as_it_was_written(text: str) -> None:
    assert expanded(verbatim(text)) == text


_resources = st.fixed_dictionaries(
    {},
    optional={
        side: st.fixed_dictionaries(
            {},
            optional={
                "cpu": st.sampled_from(["0", "100m", "2"]),
                "memory": st.sampled_from(["64Mi", "1Gi", "1e9"]),
                "gpu": st.sampled_from(["0", "1", "4"]),
                "ephemeral_storage": st.sampled_from(["1Gi", "10Gi"]),
            },
        )
        for side in ("requests", "limits")
    },
)
_cases = st.fixed_dictionaries(
    {
        "task": st.fixed_dictionaries(
            {},
            optional={
                "resources": _resources,
                "interruptible": st.booleans(),
                "environment": st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), _value),
                "container": st.just({"image": "x:1", "args": ["{{.input_dir}}"]}),
                "pod_template": st.just({"spec": {"containers": [{"name": "helper", "image": "h:1"}]}}),
                "secrets": st.just([{"group": "g", "file": "/run/g"}]),
            },
        ),
        "platform": st.fixed_dictionaries(
            {}, optional={"maximum": st.just({"cpu": "1", "memory": "512Mi", "gpu": "2"})}
        ),
        "settings": st.fixed_dictionaries({}, optional={"read_only_root": st.booleans()}),
    }
)


@given(_cases)
def test_every_pod_is_within_the_restricted_profile_and_asks_for_what_it_may_have(
    case: dict[str, Any],
) -> None:
    spec = pod(case)["spec"]
    assert list(beyond_restricted(spec)) == []
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    names = [container["name"] for container in containers]
    assert len(set(names)) == len(names)
    volumes = {volume["name"] for volume in spec.get("volumes", ())}
    for container in containers:
        mounts = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
        assert len(set(mounts)) == len(mounts)
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
        variables = [variable["name"] for variable in container.get("env", ())]
        assert len(set(variables)) == len(variables)
    given = next(container for container in containers if container["name"] == "primary")["resources"]
    assert ("memory" in given.get("requests", {})) <= ("memory" in given.get("limits", {}))
    devices = [given.get(side, {}).get("nvidia.com/gpu") for side in ("requests", "limits")]
    assert devices[0] == devices[1]


def test_a_task_needs_no_change_to_be_run_twice() -> None:
    once = task({"resources": {"requests": {"memory": "1Gi"}}})
    kept = once.SerializeToString(deterministic=True)
    cast(replace(order(), task=once))
    assert once.SerializeToString(deterministic=True) == kept


_attempts = st.builds(
    lambda case, changes: replace(order(case), **changes),
    st.fixed_dictionaries(
        {"inputs": st.sampled_from([{"x": {"integer_value": "1"}}, {"x": {"integer_value": "2"}}])},
        optional={
            "task": st.sampled_from(
                [
                    {},
                    {"interruptible": True},
                    {"environment": {"A": "task", "VOLERY_TOKEN": "mine"}},
                    {"pod_template": {"name": "big", "service_account": "of-task"}},
                    {"container": {"image": "x:1", "args": ["{{.inputs.x}}"]}},
                ]
            ),
            "environment": st.sampled_from([{}, {"A": "execution"}]),
            "execution": st.sampled_from(
                [{}, {"labels": {"team": "a"}}, {"service_account": "of-run"}, {"interruptible": True}]
            ),
            "running_timeout": st.sampled_from([None, 10.0]),
            "infrastructure_failures": st.integers(0, 4),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "uid": st.sampled_from(["uid-1", "uid-2"]),
            "key": st.builds(
                AttemptKey, st.just(7), st.sampled_from(["n0", "n1/3"]), st.integers(1, 3), st.just(1)
            ),
            "traceparent": st.sampled_from(["", "00-a-b-01"]),
            "access": st.sampled_from(["", "https://c:1\n\ntoken"]),
            "inline_limit": st.sampled_from([1, 2]),
        },
    ),
)
_templates = [
    {
        "template": {
            "spec": {"containers": [{"name": "primary", "env": [{"name": "VOLERY_NODE", "value": "x"}]}]}
        }
    },
    {"template": {"metadata": {"labels": {"of": "the-cluster"}}, "spec": {"priorityClassName": "high"}}},
]


@given(st.lists(st.tuples(_attempts, st.sampled_from(_templates)), max_size=8))
def test_a_mould_that_is_kept_gives_each_attempt_the_pod_it_would_have_had(
    attempts: list[tuple[AttemptOrder, dict[str, Any]]],
) -> None:
    kept = Moulds(Installation("i"), settings(), kept=2)
    pods = [(cast(each, kept, template), cast(each, None, template)) for each, template in attempts]
    for one, alone in pods:  # compared last, so that none has changed since
        assert one == alone
