from __future__ import annotations

from typing import Any

import pytest
from support.compile_vectors import launch_plan, task
from volery_controlplane.domain.errors import VersionConflict
from volery_controlplane.domain.records import EntityName, EntityRecord, Micros
from volery_controlplane.domain.versions import Judgement, Template, judge
from volery_rules.digests import digest
from voleryidl.core.v1.reason_pb2 import ErrorReason

FIT: dict[str, Any] = {"in": {"x": "integer"}, "out": {"y": "float"}, "proto": {"environment": {"a": "1"}}}


def stored(template: Template, digest_: str = "") -> EntityRecord:
    id = template.id
    return EntityRecord(
        name=EntityName(id.kind, id.project, id.domain, id.name),
        version=id.version,
        digest=digest_ or digest(template),
        content=template.SerializeToString(),
        closure_digest="",
        summary="",
        create_time=Micros(0),
    )


def test_something_new_is_created() -> None:
    fit = task("fit", FIT)
    assert judge(fit, digest(fit), None) is Judgement.CREATED


def test_the_same_again_changes_nothing() -> None:
    fit = task("fit", FIT)
    assert judge(fit, digest(fit), stored(fit)) is Judgement.UNCHANGED


def test_texts_for_people_may_change() -> None:
    fit, told = task("fit", FIT), task("fit", FIT)
    told.docs.summary = "Fits."
    assert judge(told, digest(told), stored(fit)) is Judgement.UNCHANGED


def test_a_digest_of_another_algorithm_makes_the_content_decide() -> None:
    fit = task("fit", FIT)
    assert judge(fit, digest(fit), stored(fit, "0:abc")) is Judgement.UNCHANGED
    with pytest.raises(VersionConflict):
        judge(task("fit", {}), digest(fit), stored(fit, "0:abc"))


def test_other_content_is_refused_and_the_difference_shown() -> None:
    old = task("fit", FIT)
    new = task(
        "fit", FIT | {"in": {"x": "float"}, "proto": {"environment": {"a": "2", "b": "3"}, "dynamic": True}}
    )
    with pytest.raises(VersionConflict) as refusal:
        judge(new, digest(new), stored(old))
    conflict = refusal.value
    assert conflict.reason == ErrorReason.ERROR_REASON_VERSION_CONFLICT
    assert conflict.message == (
        "task fit@v1 of demo/development is registered with other content:"
        " interface.inputs[x].type: integer became float; environment[a]: '1' became '2';"
        " environment[b]: '3' was added; and 1 more. A version never changes: register a new one"
    )
    assert conflict.metadata["resource_type"] == "Task"
    assert conflict.metadata["resource_name"].endswith("/tasks/fit/versions/v1")
    assert conflict.metadata["differences"] == "4"
    assert conflict.metadata["difference.3"] == "dynamic: true was added"


def test_a_default_launch_plan_gives_way_to_one_that_is_there() -> None:
    declared, generated = (
        launch_plan("w", {"workflow": "w", "fixed": {"x": 1}}),
        launch_plan("w", {"workflow": "w"}),
    )
    assert judge(generated, digest(generated), stored(declared), generated=True) is Judgement.UNCHANGED
    with pytest.raises(VersionConflict):
        judge(generated, digest(generated), stored(declared))
