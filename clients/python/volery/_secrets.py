"""This module gives a running task the secrets that it asked for."""

from __future__ import annotations

import os
from pathlib import Path

from volery.errors import ConfigurationError
from volery.resources import Secret

DIRECTORY = "VOLERY_SECRETS"
"""The variable that names the directory of secrets, `group/key`, where secrets are files of a machine."""


def default_directory() -> Path:
    """The directory of secrets of this machine: `VOLERY_SECRETS`, else beside the user's configuration."""
    if named := os.environ.get(DIRECTORY):
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser().absolute() / "volery" / "secrets"


class Secrets:
    """The secrets of a task.

    In an execution these are the ones that the task asked for with `secret_requests`. In a plain Python call
    any can be read: from the variable it would be put into, else from the directory of secrets of this
    machine, so that a task can be tried and tested without a platform.
    """

    def __init__(self, requested: tuple[Secret, ...], *, is_local: bool) -> None:
        self._requested = requested
        self._is_local = is_local

    def __repr__(self) -> str:
        return f"<Secrets {', '.join(f'{each.group}/{each.key}' for each in self._requested)}>"

    def get(self, group: str, key: str) -> str:
        """The value of a secret, without the line break at its end, if it has one.

        A secret that was asked for as a variable is read from it, one that was asked for as a file from that.

        Raises:
            ConfigurationError: when the task did not ask for it, or it is not there.
        """
        request = self._request(group, key)
        if request.env_var:
            value = os.environ.get(request.env_var)
            if value is not None:
                return value.removesuffix("\n")
            if not self._is_local:
                raise ConfigurationError(
                    f"secret {group}/{key} was put into {request.env_var}, which is not set any more"
                )
        path = self._place(request, key)
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            hint = f"; set {request.env_var}, or write the file" if self._is_local and request.env_var else ""
            raise ConfigurationError(f"secret {group}/{key} cannot be read: {_reason(error)}{hint}") from None

    def path(self, group: str, key: str = "") -> Path:
        """Where a secret lies that was asked for as a file; without a key, the directory of its group.

        Raises:
            ConfigurationError: when the task did not ask for it as a file.
        """
        request = self._request(group, key)
        if request.env_var and not self._is_local:
            raise ConfigurationError(
                f"secret {group}/{key} was asked for as the variable {request.env_var}; ask for it with file="
            )
        return self._place(request, key)

    def _request(self, group: str, key: str) -> Secret:
        for each in self._requested:
            if each.group == group and (each.key == key or not each.key):
                return each
        if self._is_local:
            return Secret(group, key) if key else Secret(group, file="/")
        raise ConfigurationError(
            f"the task did not ask for secret {group}/{key}; "
            f'@task(secret_requests=[Secret("{group}", "{key}")]) does'
        )

    def _place(self, request: Secret, key: str) -> Path:
        if self._is_local or DIRECTORY in os.environ:
            return default_directory() / request.group / key
        place = Path(request.file)
        return place if request.key or not key else place / key


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return "it is no text; read it from its path"
