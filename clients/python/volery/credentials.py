"""Credentials: what a client shows of itself, and whom it trusts.

A token comes from a file, which may be replaced while a client lives, or is given as it is. It travels only
where nobody else can read it: over TLS, or without leaving the machine.
"""

from __future__ import annotations

import os
import ssl
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from volery.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows of itself, and whom it trusts. Nothing in it is said by its `repr`.

    Attributes:
        token: shown with every call; "" for none.
        token_file: where the token is read instead, again when the server no longer takes it.
        tls_ca: the authorities that sign servers, a PEM file; "" for the system's.
        tls_client_certificate: shown to servers that ask for one, a PEM file.
        tls_client_key: its private key.
    """

    token: str = field(default="", repr=False)
    token_file: str = ""
    tls_ca: str = ""
    tls_client_certificate: str = ""
    tls_client_key: str = ""

    @property
    def has_token(self) -> bool:
        """Whether there is a token to show."""
        return bool(self.token or self.token_file)

    @property
    def wants_tls(self) -> bool:
        """Whether it says something about TLS, so that TLS is meant where an address leaves it open."""
        return bool(self.tls_ca or self.tls_client_certificate)

    def context(self) -> ssl.SSLContext:
        """The TLS of a connection: the server's name and certificate are always checked.

        Raises:
            ConfigurationError: when a file cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.tls_ca or None)
        except (OSError, ssl.SSLError) as problem:
            raise ConfigurationError(f"tls_ca {self.tls_ca} cannot be used: {_plainly(problem)}") from problem
        context.set_alpn_protocols(["h2"])
        if self.tls_client_certificate:
            if self.tls_client_key:
                require_private(Path(self.tls_client_key), "tls_client_key")
            try:
                context.load_cert_chain(
                    self.tls_client_certificate, self.tls_client_key or None, _no_password
                )
            except (OSError, ssl.SSLError, ValueError) as problem:
                raise ConfigurationError(
                    f"tls_client_certificate {self.tls_client_certificate} cannot be used with tls_client_key"
                    f" {self.tls_client_key or '(none given)'}: {_plainly(problem)}"
                ) from problem
        return context


class Bearer:
    """The token as it stands; read when it is first needed."""

    def __init__(self, credentials: Credentials) -> None:
        self._given = credentials.token
        self._file = "" if credentials.token else credentials.token_file
        self._token = ""

    def token(self) -> str:
        """The token; "" where there is none.

        Raises:
            ConfigurationError: when its file cannot be used.
        """
        if not self._token:
            self._token = read_token(Path(self._file)) if self._file else checked(self._given, "the token")
        return self._token

    def renew(self) -> bool:
        """Read the file again; whether the token is another now."""
        if not self._file:
            return False
        before, self._token = self._token, read_token(Path(self._file))
        return self._token != before


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ConfigurationError: when there is none, or others may read it.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"token_file {path} cannot be read: {_plainly(problem)}") from problem
    require_private(path.expanduser(), "token_file")
    if not text.strip():
        raise ConfigurationError(f"token_file {path} is empty")
    return checked(text.strip(), f"token_file {path}")


def checked(token: str, source: str) -> str:
    """A token that can travel in a header; the complaint never shows it."""
    if not all("!" <= sign <= "~" for sign in token):
        raise ConfigurationError(f"{source} holds no token: it has blanks, or signs beyond ASCII")
    return token


def require_private(path: Path, what: str) -> None:
    """Refuse a file with a secret that others than its owner may read; root may share one with a group.

    Raises:
        ConfigurationError: when others may read it.
    """
    if sys.platform == "win32":
        return  # there the mode says nothing
    try:
        found = path.stat()
    except OSError as problem:
        raise ConfigurationError(f"{what} {path} cannot be read: {_plainly(problem)}") from problem
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigurationError(f"{what} {path} belongs to another user")
    allowed = stat.S_IRWXU | (stat.S_IRGRP if found.st_uid == 0 else 0)
    if stat.S_IMODE(found.st_mode) & ~allowed:
        raise ConfigurationError(f"{what} {path} can be read by others; run: chmod 600 {path}")


def _no_password() -> str:
    raise ValueError("the key is protected by a password; remove it from the file")


def _plainly(problem: Exception) -> str:
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or str(problem)).replace("_", " ").lower()
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
