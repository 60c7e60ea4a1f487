"""Secrets of local processes: files of a directory, `group/key`, checked when an attempt is launched.

A secret that is asked for as a variable is read when the process's parent is started, and kept nowhere: what
tells processes apart, and might be logged, knows of it where it lies and when it last changed, so a changed
secret reaches the next attempt in a process of its own. One that is asked for as a file is read by the task
where it lies; `VOLERY_SECRETS` tells it the directory.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from voleryidl.core.v1.task_pb2 import SecretRequest

LARGEST_VARIABLE: Final = 128 * 1024 - 1024
"""Bytes of the largest secret in a variable; the kernel takes no longer one."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")


class SecretUnavailable(Exception):
    """A secret that a task asks for is not here, or cannot be used; the message says what to do."""


class SecretVariable(NamedTuple):
    """A secret that goes into a variable: which, and which version of it, but not its value."""

    name: str
    group: str
    key: str
    version: tuple[int, int, int]


class Secrets:
    """The secrets that a worker has.

    Args:
        root: the directory of groups; None where the worker was given none.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._checked: set[SecretVariable] = set()

    def variables(self, requests: Iterable[SecretRequest]) -> tuple[SecretVariable, ...]:
        """Finds what is asked for; those that go into variables.

        Raises:
            SecretUnavailable: when one is not here or cannot be used.
        """
        found = []
        for request in requests:
            path = self._path(request)
            if not request.environment_variable:
                self._check_readable(path, request)
                continue
            status = self._status(path, request)
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            variable = SecretVariable(request.environment_variable, request.group, request.key, version)
            if variable not in self._checked:
                self._value(path, request)
                if len(self._checked) >= 4096:
                    self._checked.clear()
                self._checked.add(variable)
            found.append(variable)
        return tuple(found)

    def values(self, variables: Iterable[SecretVariable]) -> dict[str, str]:
        """The variables with their values, read now.

        Raises:
            SecretUnavailable: when one has gone meanwhile.
        """
        found = {}
        for each in variables:
            request = SecretRequest(group=each.group, key=each.key, environment_variable=each.name)
            found[each.name] = self._value(self._path(request), request)
        return found

    def _path(self, request: SecretRequest) -> Path:
        named = _named(request)
        if self._root is None:
            raise SecretUnavailable(
                f"the task asks for {named}, and this worker was given no directory of secrets; start it "
                f"with --secrets DIR and put the value into DIR/{request.group}/{request.key}"
            )
        for name in filter(None, (request.group, request.key)):
            if not _NAME.fullmatch(name) or name.startswith(".."):
                raise SecretUnavailable(f"{named} has a name that is none")
        if not request.group or request.group == ".":
            raise SecretUnavailable(f"{named} has a name that is none")
        return self._root / request.group / request.key

    def _status(self, path: Path, request: SecretRequest) -> os.stat_result:
        try:
            return path.stat()
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise SecretUnavailable(
                    f"the task asks for {_named(request)}, which this worker does not have; "
                    f"put the value into the file {path}"
                    if request.key
                    else f"the task asks for {_named(request)}, which this worker does not have; "
                    f"make the directory {path}"
                ) from None
            raise _unreadable(path, request, error) from None

    def _check_readable(self, path: Path, request: SecretRequest) -> None:
        is_directory = stat.S_ISDIR(self._status(path, request).st_mode)
        if is_directory == bool(request.key):
            wanted = "a file" if request.key else "a directory"
            raise SecretUnavailable(f"{_named(request)} is not {wanted}: {path}")
        if not os.access(path, os.R_OK):
            raise SecretUnavailable(f"{_named(request)} cannot be read by this worker: {path}")

    def _value(self, path: Path, request: SecretRequest) -> str:
        self._check_readable(path, request)
        try:
            with path.open("rb") as stream:
                content = stream.read(LARGEST_VARIABLE + 1)
        except OSError as error:
            raise _unreadable(path, request, error) from None
        if len(content) > LARGEST_VARIABLE:
            raise SecretUnavailable(
                f"{_named(request)} is larger than a variable can be; ask for it as a file: {path}"
            )
        try:
            value = content.decode()
        except UnicodeDecodeError:
            value = "\0"
        if "\0" in value:
            raise SecretUnavailable(
                f"{_named(request)} is no text that a variable can hold; ask for it as a file: {path}"
            )
        return value.removesuffix("\n")


def _named(request: SecretRequest) -> str:
    return f"secret {request.group}/{request.key}" if request.key else f"the secrets of {request.group}"


def _unreadable(path: Path, request: SecretRequest, error: OSError) -> SecretUnavailable:
    return SecretUnavailable(f"{_named(request)} cannot be read: {path}: {error.strerror}")
