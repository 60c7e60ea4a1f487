"""Configuration: which server, project and domain a program means.

An argument wins over the environment (`VOLERY_SERVER`, `VOLERY_PROJECT`, `VOLERY_DOMAIN`), which wins over
the configuration file, which wins over the defaults. The file is TOML: `VOLERY_CONFIG` where that is set,
else `volery/config.toml` in the user's configuration directory. It is read when a value is needed that
nothing stronger gives.

    server = "localhost:8470"
    project = "demo"
    domain = "development"
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from volery.errors import ConfigurationError

DEFAULT_PROJECT = "demo"
DEFAULT_DOMAIN = "development"


@dataclass(frozen=True, slots=True)
class Config:
    """Which server, project and domain.

    Attributes:
        server: `host:port`, `https://host:port` or `unix:///path`; "" where none is configured.
        project: the tenant.
        domain: the second axis of tenancy.
    """

    server: str = ""
    project: str = DEFAULT_PROJECT
    domain: str = DEFAULT_DOMAIN

    @classmethod
    def load(
        cls,
        *,
        server: str | None = None,
        project: str | None = None,
        domain: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Config:
        """Lay arguments over the environment over the file over the defaults.

        Raises:
            ConfigurationError: when the file cannot be read or names something unknown.
        """
        environment = os.environ if environment is None else environment
        given = {"server": server, "project": project, "domain": domain}
        values = {
            name: value if value is not None else environment.get(f"VOLERY_{name.upper()}")
            for name, value in given.items()
        }
        if not all(values.values()):
            kept = _read(config_file(environment), named="VOLERY_CONFIG" in environment)
            values = {name: value or kept.get(name) for name, value in values.items()}
        return cls(**{name: value for name, value in values.items() if value})


def config_file(environment: Mapping[str, str]) -> Path:
    """Where the configuration file is looked for."""
    if named := environment.get("VOLERY_CONFIG"):
        return Path(named)
    if sys.platform == "win32":
        place = Path(environment.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        place = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return place / "volery" / "config.toml"


def _read(path: Path, *, named: bool) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise ConfigurationError(f"VOLERY_CONFIG names {path}, which does not exist") from None
        return {}
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}") from problem
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path} is not TOML: {problem}") from problem
    known = {field.name for field in fields(Config)}
    for name, value in values.items():
        if name not in known:
            raise ConfigurationError(
                f"{path}: unknown setting {name!r}; known are {', '.join(sorted(known))}"
            )
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: {name} must be text in quotes")
    return values
