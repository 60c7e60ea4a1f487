"""Configuration: which server, project and domain a program means, and what it shows of itself.

An argument wins over the environment (`VOLERY_SERVER`, `VOLERY_PROJECT`, `VOLERY_DOMAIN` and so on), which
wins over the configuration file, which wins over the defaults. The file is TOML: `VOLERY_CONFIG` where that
is set, else `volery/config.toml` in the user's configuration directory. It is read when a value is needed
that nothing stronger gives. What it says of tokens and TLS belongs to the server it names, and is shown to no
other.

    server = "https://volery.example:8470"
    token_file = "token"
    project = "demo"
    domain = "development"
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from volery.credentials import Credentials, require_private
from volery.errors import ConfigurationError

DEFAULT_PROJECT = "demo"
DEFAULT_DOMAIN = "development"

_FILES = ("token_file", "tls_ca", "tls_client_certificate", "tls_client_key")
_CREDENTIALS = ("token", *_FILES)


@dataclass(frozen=True, slots=True)
class Config:
    """Which server, project and domain, and what is shown to the server.

    Attributes:
        server: `host:port`, `https://host:port` or `unix:///path`, or several with commas between; "" where
            none is configured.
        project: the tenant.
        domain: the second axis of tenancy.
        token: shown with every call; "" for none.
        token_file: where the token is read instead.
        tls_ca: the authorities that sign servers, a PEM file; "" for the system's.
        tls_client_certificate: shown to servers that ask for one, a PEM file.
        tls_client_key: its private key.
    """

    server: str = ""
    project: str = DEFAULT_PROJECT
    domain: str = DEFAULT_DOMAIN
    token: str = field(default="", repr=False)
    token_file: str = ""
    tls_ca: str = ""
    tls_client_certificate: str = ""
    tls_client_key: str = ""

    @property
    def credentials(self) -> Credentials:
        """What is shown to the server, and which servers are trusted."""
        return Credentials(**{name: getattr(self, name) for name in _CREDENTIALS})

    @classmethod
    def load(
        cls,
        *,
        server: str | None = None,
        project: str | None = None,
        domain: str | None = None,
        credentials: Credentials | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Config:
        """Lay arguments over the environment over the file over the defaults.

        Credentials that are given are all there are: nothing is added to them.

        Raises:
            ConfigurationError: when the file cannot be read or names something unknown.
        """
        environment = os.environ if environment is None else environment
        given = {"server": server, "project": project, "domain": domain}
        values = {
            name: value if value is not None else environment.get(f"VOLERY_{name.upper()}")
            for name, value in given.items()
        }
        shown = {name: environment.get(f"VOLERY_{name.upper()}") or "" for name in _CREDENTIALS}
        kept: dict[str, str] = {}
        is_needed = not all(values.values())
        if is_needed or credentials is None:
            kept = _read(config_file(environment), named=is_needed and "VOLERY_CONFIG" in environment)
            values = {name: value or kept.get(name) for name, value in values.items()}
        if credentials is not None:
            shown = {name: getattr(credentials, name) for name in _CREDENTIALS}
        elif values["server"] == kept.get("server"):
            if shown["token"] or shown["token_file"]:
                kept = {name: value for name, value in kept.items() if name not in ("token", "token_file")}
            shown = {name: value or kept.get(name, "") for name, value in shown.items()}
        if shown["token"] and shown["token_file"]:
            raise ConfigurationError("token and token_file are two ways to say one thing; keep one of them")
        values |= shown
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
    if "token" in values:
        require_private(path, "the file with the token,")
    # Files are named as seen from the file that names them.
    beside = {name: str(path.parent / Path(values[name]).expanduser()) for name in _FILES if name in values}
    return values | beside
