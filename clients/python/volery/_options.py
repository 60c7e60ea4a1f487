"""This module turns the options of a task, and of one node, into plain values.

The decorator takes them in the forms people write (`retries=3`, `timeout=timedelta(…)`); what is kept
has one form. `volery.resources` is imported where an option is given: most tasks give none.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from volery._places import caller
from volery.errors import OptionError

if TYPE_CHECKING:
    from volery.resources import (
        Cache,
        Documentation,
        PodTemplate,
        Resources,
        Retry,
        Secret,
        Timeouts,
    )

_NODE_ID: Final = re.compile(r"[a-z][a-zA-Z0-9_-]{0,62}")


class NodeOptions(TypedDict, total=False):
    """What one node may change of what its task says."""

    retries: int | Retry
    timeout: timedelta | Timeouts
    cache: bool | Cache
    resources: Resources
    requests: Resources
    limits: Resources
    accelerator: str
    shared_memory: str | int
    interruptible: bool
    container_image: str
    environment: Mapping[str, str]
    pod_template: PodTemplate
    node_name: str
    name: str


class TaskKeywords(TypedDict, total=False):
    """What a task may say of itself beside its code; `volery.task.task` tells what each means."""

    cache: Cache | bool
    retries: int | Retry | None
    timeout: timedelta | Timeouts | None
    resources: Resources | None
    requests: Resources | None
    limits: Resources | None
    accelerator: str
    shared_memory: str | int | None
    environment: Mapping[str, str] | None
    interruptible: bool | None
    secret_requests: Sequence[Secret] | None
    pod_template: PodTemplate | None
    container_image: str
    labels: Mapping[str, str] | None
    annotations: Mapping[str, str] | None
    service_account: str
    deprecated: str
    docs: Documentation | str | None


@dataclass(frozen=True, slots=True)
class Overrides:
    """Changes for one node; None changes nothing. `cache` is False to switch caching off."""

    retries: Retry | None = None
    timeouts: Timeouts | None = None
    cache: Cache | bool | None = None
    requests: Resources | None = None
    limits: Resources | None = None
    interruptible: bool | None = None
    container_image: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    pod_template: PodTemplate | None = None
    node_id: str = ""
    label: str = ""

    def changed(self, options: Mapping[str, Any]) -> Overrides:
        """The same with other options laid over it."""
        changes: dict[str, Any] = {}
        for name, value in options.items():
            match name:
                case "retries":
                    changes["retries"] = retry(value)
                case "timeout":
                    changes["timeouts"] = timeouts(value)
                case "cache":
                    changes["cache"] = cache(value)
                case "resources" | "requests" | "limits" | "accelerator" | "shared_memory":
                    pass
                case "interruptible":
                    changes["interruptible"] = flag(name, value)
                case "container_image":
                    changes["container_image"] = text(name, value)
                case "pod_template":
                    changes["pod_template"] = pod_template(value)
                case "environment":
                    changes["environment"] = {**self.environment, **environment(value)}
                case "node_name":
                    changes["node_id"] = _node_id(value)
                case "name":
                    changes["label"] = text(name, value)
                case _:
                    known = ", ".join(NodeOptions.__annotations__)
                    raise refused(f"a node has no option {name}", f"there are: {known}")
        requests, limits = amounts(
            options.get("resources"),
            options.get("requests"),
            options.get("limits"),
            accelerator=options.get("accelerator", ""),
            shared_memory=options.get("shared_memory"),
        )
        if requests or limits:
            changes |= {"requests": requests, "limits": limits}
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """All that a task says of itself beside its code."""

    retries: Retry | None = None
    timeouts: Timeouts | None = None
    cache: Cache | None = None
    requests: Resources | None = None
    limits: Resources | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    interruptible: bool | None = None
    secrets: tuple[Secret, ...] = ()
    pod_template: PodTemplate | None = None
    container_image: str = ""
    deprecated: str = ""
    docs: Documentation | str | None = None


def task_options(given: TaskKeywords) -> TaskOptions:
    """The options of a task, each in its one form."""
    unknown = sorted(set(given) - set(TaskKeywords.__annotations__))
    if unknown:
        known = ", ".join(TaskKeywords.__annotations__)
        raise refused(f"a task has no option {', '.join(unknown)}", f"there are: {known}")
    requested, limited = amounts(
        given.get("resources"),
        given.get("requests"),
        given.get("limits"),
        accelerator=given.get("accelerator", ""),
        shared_memory=given.get("shared_memory"),
    )
    cached = cache(given.get("cache", False))
    return TaskOptions(
        retries=retry(given.get("retries")),
        timeouts=timeouts(given.get("timeout")),
        cache=None if isinstance(cached, bool) else cached,
        requests=requested,
        limits=limited,
        environment=environment(given.get("environment")),
        interruptible=flag("interruptible", given.get("interruptible")),
        secrets=secrets(given.get("secret_requests")),
        pod_template=template(
            given.get("pod_template"),
            given.get("labels"),
            given.get("annotations"),
            given.get("service_account", ""),
        ),
        container_image=text("container_image", given.get("container_image", "")),
        deprecated=text("deprecated", given.get("deprecated", "")),
        docs=given.get("docs"),
    )


def refused(problem: str, hint: str = "") -> OptionError:
    """An option makes no sense; the place is the caller's."""
    place = caller()
    return OptionError(problem, file=place.file, line=place.line, hint=hint)


def retry(value: int | Retry | None) -> Retry | None:
    """`retries=3` is short for `retries=Retry(3)`."""
    if value is None:
        return None
    from volery.resources import Retry

    if isinstance(value, Retry):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Retry(value)
    raise refused(f"retries={value!r}", "write a number, or Retry(…)")


def timeouts(value: timedelta | Timeouts | None) -> Timeouts | None:
    """A timedelta limits how long an attempt may run."""
    if value is None:
        return None
    from volery.resources import Timeouts

    if isinstance(value, Timeouts):
        return value
    if isinstance(value, timedelta):
        return Timeouts(running=value)
    raise refused(f"timeout={value!r}", "write a timedelta, or Timeouts(queued=…, running=…, total=…)")


def cache(value: bool | Cache | None) -> Cache | bool | None:
    """False switches caching off; True is refused, for a cache needs a version."""
    if value is None or value is False:
        return value
    from volery.resources import Cache

    if isinstance(value, Cache):
        return value
    raise refused(
        f"cache={value!r}",
        'write Cache(version="1"), and change the version when the task\'s meaning changes',
    )


def amounts(
    resources: Resources | None,
    requests: Resources | None,
    limits: Resources | None,
    *,
    accelerator: str = "",
    shared_memory: str | int | None = None,
) -> tuple[Resources | None, Resources | None]:
    """What is reserved and what is never exceeded; `resources` sets both alike."""
    if resources is requests is limits is None and shared_memory is None and not accelerator:
        return None, None
    from volery.resources import Resources

    if accelerator or shared_memory is not None:
        told = Resources(accelerator=text("accelerator", accelerator), shared_memory=shared_memory)
        for name, value in (("resources", resources), ("requests", requests), ("limits", limits)):
            if isinstance(value, Resources) and (value.accelerator or value.shared_memory is not None):
                raise refused(f"accelerator= and shared_memory= are in {name}= already", "write each once")
        if resources is not None:
            resources = replace(resources, accelerator=told.accelerator, shared_memory=told.shared_memory)
        else:
            limits = replace(
                limits or Resources(), accelerator=told.accelerator, shared_memory=told.shared_memory
            )

    for name, value in (("resources", resources), ("requests", requests), ("limits", limits)):
        if value is not None and not isinstance(value, Resources):
            raise refused(f"{name}={value!r}", 'write Resources(cpu="500m", memory="256Mi")')
    if resources is None:
        _check_fits(requests, limits)
        return requests, limits
    if requests is not None or limits is not None:
        raise refused(
            "resources= is given beside requests= or limits=", "resources= sets both; write one or the other"
        )
    return resources, resources


def _check_fits(requests: Resources | None, limits: Resources | None) -> None:
    """What is requested must be allowed."""
    if requests is None or limits is None:
        return
    from volery._quantities import quantity

    for kind in ("cpu", "memory", "gpu", "ephemeral_storage"):
        asked, most = getattr(requests, kind), getattr(limits, kind)
        if asked is None or most is None:
            continue
        if (quantity(str(asked)) or 0) > (quantity(str(most)) or 0):
            raise refused(
                f"requests {kind}={asked} is above limits {kind}={most}", "raise the limit, or request less"
            )


def template(
    value: PodTemplate | None,
    labels: Mapping[str, str] | None,
    annotations: Mapping[str, str] | None,
    service_account: str,
) -> PodTemplate | None:
    """How pods are shaped, with the labels and the account that are given beside."""
    value = pod_template(value)
    if not labels and not annotations and not service_account:
        return value
    from volery.resources import PodTemplate

    value = value or PodTemplate()
    return replace(
        value,
        labels={**value.labels, **(labels or {})},
        annotations={**value.annotations, **(annotations or {})},
        service_account=text("service_account", service_account) or value.service_account,
    )


def environment(value: Mapping[str, str] | None) -> dict[str, str]:
    """Variables of the environment: text to text."""
    for key, setting in (value or {}).items():
        if not isinstance(key, str) or not isinstance(setting, str):
            raise refused(f"environment: {key!r}: {setting!r} is not text", "write str(…)")
    return dict(value or {})


def flag(name: str, value: bool | None) -> bool | None:
    """Yes, no, or None to inherit."""
    if value is None or isinstance(value, bool):
        return value
    raise refused(f"{name}={value!r}", "write True or False")


def text(name: str, value: str) -> str:
    """Some text."""
    if isinstance(value, str):
        return value
    raise refused(f"{name}={value!r} is not text")


def pod_template(value: PodTemplate | None) -> PodTemplate | None:
    """How pods are shaped."""
    if value is None:
        return None
    from volery.resources import PodTemplate

    if isinstance(value, PodTemplate):
        return value
    raise refused(f"pod_template={value!r}", "write PodTemplate(name=…)")


def secrets(value: Sequence[Secret] | None) -> tuple[Secret, ...]:
    """The secrets an attempt may read."""
    if not value:
        return ()
    from volery.resources import Secret

    for each in value:
        if not isinstance(each, Secret):
            raise refused(f"secret_requests: {each!r}", "write Secret(group, key)")
    return tuple(value)


def documentation(docs: Documentation | str | None) -> Documentation | None:
    """Text for people, its first line apart."""
    from volery.resources import Documentation

    if not docs or isinstance(docs, Documentation):
        return docs or None
    summary, _, rest = inspect.cleandoc(docs).partition("\n")
    return Documentation(summary.strip(), rest.strip())


def _node_id(value: str) -> str:
    if not isinstance(value, str) or not _NODE_ID.fullmatch(value):
        raise refused(
            f"node_name={value!r} is not an id",
            "a lower-case letter, then letters, digits, dashes and underscores; a free label is name=",
        )
    return value
