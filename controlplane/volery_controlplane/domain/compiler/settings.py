"""Retries, timeouts, cache, resources and environment that make sense."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from google.protobuf.duration_pb2 import Duration
from volery_rules.granted import KINDS
from volery_rules.quantities import quantity
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.task_pb2 import (
    CachePolicy,
    Resources,
    RetryPolicy,
    TaskTemplate,
    Timeouts,
)
from voleryidl.core.v1.workflow_pb2 import Node

from volery_controlplane.domain import kubernetes_names as kubernetes
from volery_controlplane.domain.compiler.pods import check_image, check_pod_template
from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.names import shown


def is_positive(span: Duration) -> bool:
    """Whether a span of time is well formed and longer than nothing."""
    return span.seconds >= 0 and span.nanos >= 0 and (span.seconds > 0 or span.nanos > 0)


def _is_negative(span: Duration) -> bool:
    return span.seconds < 0 or span.nanos < 0


def check_task_settings(task: TaskTemplate, place: Place, report: Report) -> None:
    """Complains about what a task says of how it is run."""
    if task.HasField("retries"):
        check_retries(task.retries, place.at("retries"), report)
    if task.HasField("timeouts"):
        check_timeouts(task.timeouts, place.at("timeouts"), report)
    if task.HasField("cache"):
        check_cache(task.cache, task.interface, place.at("cache"), report)
    if task.HasField("resources"):
        check_resources(task.resources, place.at("resources"), report)
    check_environment(task.environment, place.at("environment"), report)


# What can be overridden, by what the node does. A map's overrides are those of its items' target.
_OVERRIDABLE: Mapping[str, frozenset[str]] = {
    "task": frozenset(
        {
            "retries",
            "timeouts",
            "cache",
            "resources",
            "interruptible",
            "container_image",
            "environment",
            "pod_template",
        }
    ),
    "launch_plan": frozenset({"retries", "timeouts", "cache", "interruptible"}),
    "workflow": frozenset({"timeouts", "interruptible"}),
    "gate": frozenset({"timeouts"}),
    "branch": frozenset(),
}


def check_overrides(node: Node, interface: TypedInterface | None, place: Place, report: Report) -> None:
    """Complains about overrides that make no sense, in themselves or for what the node does."""
    if not node.HasField("overrides"):
        return
    overrides, here = node.overrides, place.at("overrides")
    target = node.WhichOneof("target") or "task"
    target = (node.map.WhichOneof("target") or "task") if target == "map" else target
    for field, _ in overrides.ListFields():
        if field.name not in _OVERRIDABLE[target]:
            called = target.replace("_", " ")
            message = f"{field.name} cannot be overridden for a {called} node"
            hint = "set it on the nodes inside" if target in ("workflow", "branch") else ""
            report.add(Code.ILLEGAL_OVERRIDE, here.at(field.name), message, hint)
    if overrides.HasField("retries"):
        check_retries(overrides.retries, here.at("retries"), report)
    if overrides.HasField("timeouts"):
        check_timeouts(overrides.timeouts, here.at("timeouts"), report)
    if overrides.HasField("cache") and overrides.cache.version and interface is not None:
        check_cache(overrides.cache, interface, here.at("cache"), report)
    if overrides.HasField("resources"):
        check_resources(overrides.resources, here.at("resources"), report)
    check_environment(overrides.environment, here.at("environment"), report)
    if overrides.container_image:
        check_image(overrides.container_image, here.at("container_image"), report)
    if overrides.HasField("pod_template"):
        check_pod_template(overrides.pod_template, here.at("pod_template"), report)


def check_retries(retries: RetryPolicy, place: Place, report: Report) -> None:
    """Complains about a retry policy."""

    def complain(part: str, message: str, hint: str = "") -> None:
        report.add(Code.ILLEGAL_RETRIES, place.at(part), message, hint)

    backoff = retries.backoff
    if backoff.HasField("initial") and not is_positive(backoff.initial):
        complain(
            "backoff.initial", "the first delay must be longer than nothing", "leave it out for no delay"
        )
    if backoff.HasField("cap") and not is_positive(backoff.cap):
        complain("backoff.cap", "the longest delay must be longer than nothing", "leave it out for one hour")
    # Written so that not-a-number is refused as well.
    if backoff.factor and not 1 <= backoff.factor < float("inf"):
        complain(
            "backoff.factor", f"the factor is {backoff.factor}; delays must not shrink, so it is at least 1"
        )
    if not 0 <= backoff.jitter <= 1:
        complain("backoff.jitter", f"the jitter is {backoff.jitter}; it is a share, from 0 to 1")
    for code in sorted(set(retries.retry_on) & set(retries.never_on)):
        complain("never_on", f"{shown(code)} is both repeated and never repeated")
    if retries.HasField("memory_escalation"):
        escalation = retries.memory_escalation
        if not 1 < escalation.factor < float("inf"):
            complain("memory_escalation.factor", f"the factor is {escalation.factor}; it must be above 1")
        if escalation.limit and _number(escalation.limit) is None:
            complain("memory_escalation.limit", f"{shown(escalation.limit)} is no quantity", _QUANTITY_HINT)


def check_timeouts(timeouts: Timeouts, place: Place, report: Report) -> None:
    """Complains about time limits that leave no time."""
    for field, span in timeouts.ListFields():
        if not is_positive(span):
            message = f"the limit of {field.name} time must be longer than nothing"
            report.add(Code.ILLEGAL_TIMEOUT, place.at(field.name), message, "leave it out for no limit")


def check_cache(cache: CachePolicy, interface: TypedInterface, place: Place, report: Report) -> None:
    """Complains about a cache policy."""
    if not cache.version:
        message = "a cached task needs a cache version"
        hint = 'give one, for example "1", and change it when old results should not be used any more'
        report.add(Code.ILLEGAL_CACHE, place.at("version"), message, hint)
    names = [variable.name for variable in interface.inputs]
    for name in cache.ignored_inputs:
        if name not in names:
            message = f"the ignored input {shown(name)} is no input"
            report.add(Code.ILLEGAL_CACHE, place.at("ignored_inputs"), message, did_you_mean(name, names))
    if cache.HasField("ttl") and not is_positive(cache.ttl):
        message = "entries must be usable for longer than nothing"
        report.add(Code.ILLEGAL_CACHE, place.at("ttl"), message, "leave it out for entries without an end")


_QUANTITY_HINT = "write it as in Kubernetes, for example 500m, 2 or 256Mi"


def check_resources(resources: Resources, place: Place, report: Report) -> None:
    """Complains about amounts that are none, and requests above limits."""

    def complain(part: str, message: str, hint: str = "") -> None:
        report.add(Code.ILLEGAL_RESOURCES, place.at(part), message, hint)

    for kind in KINDS:
        amounts: dict[str, Fraction | None] = {}
        for side in ("requests", "limits"):
            text = getattr(getattr(resources, side), kind)
            number = amounts[side] = _number(text) if text else None
            if text and number is None:
                complain(f"{side}.{kind}", f"{shown(text)} is no quantity", _QUANTITY_HINT)
            elif kind == "gpu" and number is not None and number.denominator != 1:
                complain(f"{side}.{kind}", f"{shown(text)} is no whole number of devices")
        requested, limit = amounts["requests"], amounts["limits"]
        if kind == "gpu" and None not in (requested, limit) and requested != limit:
            complain("requests.gpu", "devices are not shared: requests are limits", "leave it out")
        elif requested is not None and limit is not None and requested > limit:
            hint = "raise the limit, or request less"
            complain(f"requests.{kind}", f"more {kind} is requested than its limit allows", hint)
    if resources.shared_memory and not _number(resources.shared_memory):
        complain("shared_memory", f"{shown(resources.shared_memory)} is no quantity", _QUANTITY_HINT)
    if resources.accelerator and kubernetes.check_label_value(resources.accelerator):
        complain(
            "accelerator",
            f"the accelerator {shown(resources.accelerator)} {kubernetes.check_label_value('?')}",
            "it is the value of a node's label, for example nvidia-tesla-a100",
        )


def _number(text: str) -> Fraction | None:
    try:
        return quantity(text)
    except ValueError:
        return None


def check_environment(environment: Mapping[str, str], place: Place, report: Report) -> None:
    """Complains about names that cannot be set in an environment, or are the platform's."""
    for name in sorted(environment):
        if complaint := kubernetes.check_variable(name):
            message = f"the environment variable {shown(name)} {complaint}"
            report.add(Code.ILLEGAL_ENVIRONMENT, place, message)
        elif "\0" in environment[name]:
            report.add(Code.ILLEGAL_ENVIRONMENT, place.at(f"[{name}]"), "the value has a zero byte")
