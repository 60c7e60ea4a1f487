"""This module holds what a task may ask for beside its code: resources, retries, limits of time, caching.

All are plain values that can be shared between tasks. They are checked when they are made.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from volery._places import caller
from volery._quantities import quantity
from volery.errors import OptionError

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9]+")


def _refused(problem: str, hint: str = "") -> OptionError:
    place = caller()
    return OptionError(problem, file=place.file, line=place.line, hint=hint)


def _positive(name: str, value: timedelta | None) -> None:
    if value is None:
        return
    if not isinstance(value, timedelta):
        raise _refused(f"{name} is {value!r}", "write a timedelta: timedelta(minutes=5)")
    if value <= timedelta(0):
        raise _refused(f"{name} is {value}; a span of time is above zero")


def _not_negative(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused(f"{name} is {value!r}, not a whole number")
    if not 0 <= value < 2**32:
        raise _refused(f"{name} is {value}; it counts from 0")


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of each kind of resource, as Kubernetes writes it. None leaves it to the platform.

    Attributes:
        cpu: processor time: `"500m"`, `2`, `0.5`.
        memory: `"256Mi"`, `"4Gi"`, or bytes.
        gpu: whole devices.
        ephemeral_storage: scratch disk: `"10Gi"`.
        accelerator: the device to schedule on, for example `"nvidia-tesla-a100"`.
        shared_memory: the size of memory-backed shared memory.
    """

    cpu: str | int | float | None = None
    memory: str | int | None = None
    gpu: str | int | None = None
    ephemeral_storage: str | int | None = None
    accelerator: str = ""
    shared_memory: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "gpu", "ephemeral_storage", "shared_memory"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or quantity(str(value)) is None):
                raise _refused(
                    f"{name}={value!r} is not an amount", "write it as Kubernetes does: 500m, 2, 256Mi, 4Gi"
                )
        if self.gpu is not None and not str(self.gpu).isdecimal():
            raise _refused(f"gpu={self.gpu!r}: devices are whole")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a repeat: exponential, with a cap and a random share.

    Attributes:
        initial: the first delay.
        factor: the growth per repeat.
        cap: the longest delay.
        jitter: the share of a delay that is random, from 0 to 1.
    """

    initial: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.5

    def __post_init__(self) -> None:
        _positive("initial", self.initial)
        _positive("cap", self.cap)
        if self.factor < 1:
            raise _refused(f"factor={self.factor}: a delay never shrinks")
        if not 0 <= self.jitter <= 1:
            raise _refused(f"jitter={self.jitter} is a share, from 0 to 1")


@dataclass(frozen=True, slots=True)
class MemoryEscalation:
    """How memory grows after an attempt ran out of it.

    Attributes:
        factor: multiplies the memory of the next attempt.
        limit: a quantity that is never exceeded.
    """

    factor: float = 2.0
    limit: str = ""

    def __post_init__(self) -> None:
        if self.factor <= 1:
            raise _refused(f"factor={self.factor}: memory would not grow")
        if self.limit and quantity(self.limit) is None:
            raise _refused(f"limit={self.limit!r} is not an amount")


ErrorName: TypeAlias = type[BaseException] | str


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt is repeated. Ordinary exceptions are; `NonRecoverable` never is.

    Attributes:
        count: repeats after an ordinary failure.
        backoff: how long to wait; a timedelta is a `Backoff` that starts with it.
        on: exceptions (or their names, or the platform's codes) that are repeated; empty means all.
        never_on: exceptions that are never repeated; stronger than `on`.
        infrastructure_count: repeats after a failure of the infrastructure; None inherits.
        memory: how memory grows after an attempt ran out of it.
    """

    count: int
    backoff: Backoff | timedelta | None = None
    on: Sequence[ErrorName] | ErrorName = ()
    never_on: Sequence[ErrorName] | ErrorName = ()
    infrastructure_count: int | None = None
    memory: MemoryEscalation | None = None

    @property
    def delay(self) -> Backoff | None:
        """The backoff in its one form."""
        return Backoff(initial=self.backoff) if isinstance(self.backoff, timedelta) else self.backoff

    @property
    def names_on(self) -> tuple[str, ...]:
        """`on` as names."""
        return _names(self.on)

    @property
    def names_never_on(self) -> tuple[str, ...]:
        """`never_on` as names."""
        return _names(self.never_on)

    def __post_init__(self) -> None:
        _not_negative("count", self.count)
        _not_negative("infrastructure_count", self.infrastructure_count)
        if self.backoff is not None and not isinstance(self.backoff, Backoff | timedelta):
            raise _refused(f"backoff={self.backoff!r}", "write a timedelta, or Backoff(initial=…)")
        _names(self.on), _names(self.never_on), self.delay


def _names(errors: Sequence[ErrorName] | ErrorName) -> tuple[str, ...]:
    if isinstance(errors, str | type):
        errors = (errors,)
    names = []
    for error in errors:
        if isinstance(error, str):
            names.append(error)
        elif isinstance(error, type) and issubclass(error, BaseException):
            names.append(error.__name__)
        else:
            raise _refused(f"{error!r} is neither an exception class nor a name of one")
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Three limits of time, none derived from another. None means none.

    Attributes:
        queued: how long an attempt may wait for its place.
        running: how long an attempt may run.
        total: how long the node may take, all attempts included.
    """

    queued: timedelta | None = None
    running: timedelta | None = None
    total: timedelta | None = None

    def __post_init__(self) -> None:
        _positive("queued", self.queued)
        _positive("running", self.running)
        _positive("total", self.total)


class CacheScope(enum.Enum):
    """Who shares cache entries."""

    PROJECT_DOMAIN = 1
    GLOBAL = 2


@dataclass(frozen=True, slots=True)
class Cache:
    """Whether and how a task's results are reused.

    Attributes:
        version: part of the key; change it when the task's meaning changes. Never empty.
        ignored_inputs: inputs that are left out of the key.
        serialize: whether identical calls wait for the one that runs.
        ttl: how long an entry may be used; None for ever.
        scope: who shares entries.
    """

    version: str
    ignored_inputs: tuple[str, ...] = ()
    serialize: bool = False
    ttl: timedelta | None = None
    scope: CacheScope = CacheScope.PROJECT_DOMAIN

    def __post_init__(self) -> None:
        if not isinstance(self.version, str) or not self.version:
            raise _refused(f"Cache(version={self.version!r})", 'a version is a text: Cache(version="1")')
        if isinstance(self.ignored_inputs, str):
            raise _refused("ignored_inputs is a text", f'write ("{self.ignored_inputs}",)')
        object.__setattr__(self, "ignored_inputs", tuple(self.ignored_inputs))
        _positive("ttl", self.ttl)


@dataclass(frozen=True, slots=True)
class Secret:
    """Asks for one secret, which the platform gives to each attempt of a task.

    `current_context().secrets.get(group, key)` reads it in the task.

    Attributes:
        group: the secret's group: on Kubernetes the name of a Secret, elsewhere of a directory.
        key: the key in the group; empty means the whole group, which goes into a directory at `file`.
        env_var: the variable it is put into; where neither this nor `file` is given, group and key in
            capitals: `DATABASE_PASSWORD`.
        file: the absolute path it is put at.
    """

    group: str
    key: str = ""
    env_var: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        for name in ("group", "key", "env_var", "file"):
            if not isinstance(getattr(self, name), str):
                raise _refused(f"{name}={getattr(self, name)!r} is not text")
        if not self.group:
            raise _refused("a secret has a group", 'write Secret("database", "password")')
        if self.env_var and self.file:
            raise _refused("a secret is put into a variable or a file, not both", "request it twice")
        if not self.key and not self.file:
            raise _refused("a whole group goes into a directory", f"write Secret({self.group!r}, file=…)")
        if self.file and not self.file.startswith("/"):
            raise _refused(f"file={self.file!r} is not absolute", "/var/secrets/…")
        if not self.env_var and not self.file:
            name = _NOT_IN_NAMES.sub("_", f"{self.group}_{self.key}").upper()
            object.__setattr__(self, "env_var", name)


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """How a task's pods are shaped, for launchers that make pods.

    Attributes:
        name: a template object on the cluster.
        spec: a whole pod specification, in the words of Kubernetes: `{"nodeSelector": {…}, …}`.
        primary_container_name: the container of the specification that runs the task; empty means `primary`.
        labels: added to the pod's.
        annotations: added to the pod's.
        service_account: empty means the namespace's default.
    """

    name: str = ""
    spec: Mapping[str, Any] | None = None
    primary_container_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""

    def __post_init__(self) -> None:
        if self.name and self.spec is not None:
            raise _refused("a pod template is named or has a specification, not both", "keep one of them")
        if self.spec is not None and not isinstance(self.spec, Mapping):
            raise _refused(f"spec={self.spec!r}", 'write {"containers": [{"name": "primary"}]}')
        for name in ("labels", "annotations"):
            for key, value in getattr(self, name).items():
                if not isinstance(key, str) or not isinstance(value, str):
                    raise _refused(f"{name}: {key!r}: {value!r} is not text", "write str(…)")


@dataclass(frozen=True, slots=True)
class Documentation:
    """Text for people.

    Attributes:
        summary: one sentence.
        description: the rest, in Markdown.
        source_uri: where the source can be read.
    """

    summary: str = ""
    description: str = ""
    source_uri: str = ""
