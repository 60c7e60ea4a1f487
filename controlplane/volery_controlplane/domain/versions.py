"""Versions are immutable: what registering the same identifier again means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from volery_rules.digests import Difference, differences
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.errors import VersionConflict
from volery_controlplane.domain.names import entity_resource, entity_text
from volery_controlplane.domain.records import EntityRecord

Template = TaskTemplate | WorkflowTemplate | LaunchPlanTemplate

_TEMPLATES: Mapping[int, type[Template]] = {
    EntityKind.ENTITY_KIND_TASK: TaskTemplate,
    EntityKind.ENTITY_KIND_WORKFLOW: WorkflowTemplate,
    EntityKind.ENTITY_KIND_LAUNCH_PLAN: LaunchPlanTemplate,
}
# The message tells a few differences; the metadata a few more.
_TOLD = 3
_LISTED = 10


class Judgement(Enum):
    """What registering an entity comes to."""

    CREATED = "created"
    UNCHANGED = "unchanged"


def judge(
    template: Template, digest: str, existing: EntityRecord | None, *, generated: bool = False
) -> Judgement:
    """Judges a registration against what is there.

    Args:
        template: what is to be registered.
        digest: its digest.
        existing: the same identifier as it is registered; None when it is not.
        generated: whether it is a default launch plan, which gives way to what is there.

    Raises:
        VersionConflict: something else is registered; the message tells the difference, and so does
            the metadata, as `difference.0` and so on.
    """
    if existing is None:
        return Judgement.CREATED
    if generated or existing.digest == digest:
        return Judgement.UNCHANGED
    old = _TEMPLATES[template.id.kind].FromString(existing.content)
    # Digests of different algorithms differ for equal content, so the content itself decides.
    found = differences(old, template)
    if not found:
        return Judgement.UNCHANGED
    raise _conflict(template, found)


def _conflict(template: Template, found: list[Difference]) -> VersionConflict:
    told = "; ".join(str(difference) for difference in found[:_TOLD])
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    metadata = {
        "resource_type": _TEMPLATES[template.id.kind].DESCRIPTOR.name.removesuffix("Template"),
        "resource_name": entity_resource(template.id),
        "differences": str(len(found)),
        **{f"difference.{i}": str(difference) for i, difference in enumerate(found[:_LISTED])},
    }
    return VersionConflict(
        f"{entity_text(template.id)} is registered with other content: {told}{more}."
        " A version never changes: register a new one",
        metadata,
    )
