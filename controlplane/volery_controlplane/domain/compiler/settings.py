"""Retries, timeouts, cache, resources, environment and secrets that make sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.task_pb2 import (
    CachePolicy,
    Resources,
    RetryPolicy,
    SecretRequest,
    TaskTemplate,
    Timeouts,
)
from voleryidl.core.v1.workflow_pb2 import Node

from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.names import shown

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d{1,2})?")
_SCALES: Mapping[str, Decimal] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** n for n, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTPE", 1)},
}
_KINDS = ("cpu", "memory", "gpu", "ephemeral_storage")


def quantity(text: str) -> Decimal | None:
    """A Kubernetes quantity as a number; None when it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, unit = found[1], found[2] or ""
    if unit in _SCALES:
        return Decimal(number) * _SCALES[unit]
    return Decimal(number) * Decimal(10) ** int(unit[1:])


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
    for index, secret in enumerate(task.secrets):
        _check_secret(secret, place.at(f"secrets[{index}]"), report)


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
        if escalation.limit and quantity(escalation.limit) is None:
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
    for kind in _KINDS:
        amounts: dict[str, Decimal | None] = {}
        for side in ("requests", "limits"):
            text = getattr(getattr(resources, side), kind)
            amounts[side] = quantity(text) if text else None
            if text and amounts[side] is None:
                here = place.at(f"{side}.{kind}")
                report.add(Code.ILLEGAL_RESOURCES, here, f"{shown(text)} is no quantity", _QUANTITY_HINT)
        requested, limit = amounts["requests"], amounts["limits"]
        if requested is not None and limit is not None and requested > limit:
            message = f"more {kind} is requested than its limit allows"
            report.add(Code.ILLEGAL_RESOURCES, place.at(f"requests.{kind}"), message)
    if resources.shared_memory and quantity(resources.shared_memory) is None:
        message = f"{shown(resources.shared_memory)} is no quantity"
        report.add(Code.ILLEGAL_RESOURCES, place.at("shared_memory"), message, _QUANTITY_HINT)


def check_environment(environment: Mapping[str, str], place: Place, report: Report) -> None:
    """Complains about names that cannot be set in an environment."""
    for name in sorted(environment):
        if not name or "=" in name or "\0" in name:
            message = f"{shown(name)} is no name of an environment variable"
            report.add(Code.ILLEGAL_ENVIRONMENT, place, message)
        elif "\0" in environment[name]:
            report.add(Code.ILLEGAL_ENVIRONMENT, place.at(f"[{name}]"), "the value has a zero byte")


def _check_secret(secret: SecretRequest, place: Place, report: Report) -> None:
    if not secret.group and not secret.key:
        report.add(Code.ILLEGAL_SECRET, place, "neither a group nor a key is named")
    if not secret.environment_variable and not secret.file:
        message = "it is not said where the secret is put"
        report.add(Code.ILLEGAL_SECRET, place, message, "name an environment variable or a file")
