"""Credentials of a worker: the token it shows, whom it trusts, and the channel that follows.

A token comes from a file, which may be replaced while the worker runs, or from the environment; never from
the command line, which others on the machine can read. It travels over TLS, or without leaving the machine.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc


class BadCredentials(ValueError):
    """A token or certificate cannot be used; the message says which and how to mend it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a worker shows of itself, and whom it trusts.

    Attributes:
        token: shown with every call; "" for none.
        token_file: where the token is read instead, again when it is no longer taken.
        tls_ca: the authorities that sign servers, a PEM file; "" for the system's.
        tls_client_certificate: shown to servers that ask for one, a PEM file.
        tls_client_key: its private key.
    """

    token: str = field(default="", repr=False)
    token_file: str = ""
    tls_ca: str = ""
    tls_client_certificate: str = ""
    tls_client_key: str = ""


class Bearer:
    """The token as it stands.

    Raises:
        BadCredentials: when there is to be one and it cannot be used.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._file = "" if credentials.token else credentials.token_file
        self._token = _read(self._file) if self._file else _checked(credentials.token, "VOLERY_TOKEN")

    def metadata(self) -> Sequence[tuple[str, str]]:
        """What goes with a call."""
        return (("authorization", f"Bearer {self._token}"),) if self._token else ()

    def renew(self) -> bool:
        """Reads the file again; whether the token is another now."""
        if not self._file:
            return False
        before, self._token = self._token, _read(self._file)
        return self._token != before


@dataclass(frozen=True, slots=True)
class Target:
    """Where a control plane listens, as gRPC takes it, and whether TLS is spoken there."""

    name: str
    tls: bool

    @classmethod
    def parse(cls, server: str, credentials: Credentials) -> Target:
        """Reads `unix:///path`, `host:port`, `http://host:port` or `https://host:port`.

        Without a scheme TLS is meant where the credentials say something about it.

        Raises:
            BadCredentials: when a token would travel where others can read it.
        """
        if server.startswith("unix:"):
            return cls(server, False)
        about_tls = bool(credentials.tls_ca or credentials.tls_client_certificate)
        tls = server.startswith("https://") or (about_tls and not server.startswith("http://"))
        name = server.removeprefix("https://").removeprefix("http://").rstrip("/")
        has_token = bool(credentials.token or credentials.token_file)
        if has_token and not tls and not _is_loopback(name):
            raise BadCredentials(
                f"refusing to send a token to {server} where others can read it; write https://{name}"
            )
        return cls(name, tls)


def channel(
    target: Target, credentials: Credentials, options: Sequence[tuple[str, int | str]]
) -> grpc.aio.Channel:
    """A channel to a control plane; the name and certificate of the other side are always checked.

    Raises:
        BadCredentials: when a file cannot be used.
    """
    if not target.tls:
        return grpc.aio.insecure_channel(target.name, options=options)
    certificate, key = credentials.tls_client_certificate, credentials.tls_client_key
    if bool(certificate) != bool(key):
        raise BadCredentials("tls_client_certificate and tls_client_key go together: name both, or neither")
    trusted = _trusted(credentials.tls_ca)
    if certificate:
        _require_private(Path(key), "tls_client_key")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, _no_password)
        except (OSError, ssl.SSLError, ValueError) as problem:
            raise BadCredentials(f"{certificate} cannot be used with {key}: {_plainly(problem)}") from problem
    secured = grpc.ssl_channel_credentials(
        root_certificates=trusted,
        private_key=_content(key, "tls_client_key") if certificate else None,
        certificate_chain=_content(certificate, "tls_client_certificate") if certificate else None,
    )
    return grpc.aio.secure_channel(target.name, secured, options=options)


def _trusted(path: str) -> bytes | None:
    """The authorities in PEM: those named, else the system's; None for those that gRPC brings along."""
    if not path:
        system = ssl.get_default_verify_paths().cafile
        return Path(system).read_bytes() if system else None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ssl.SSLError) as problem:
        raise BadCredentials(f"tls_ca {path} cannot be used: {_plainly(problem)}") from problem
    return _content(path, "tls_ca")


def _content(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise BadCredentials(f"{what} {path} cannot be read: {problem.strerror}") from problem


def _read(path: str) -> str:
    content = _content(path, "token_file")
    _require_private(Path(path), "token_file")
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        text = " "  # told as any other text that is no token
    if not text:
        raise BadCredentials(f"token_file {path} is empty")
    return _checked(text, f"token_file {path}")


def _checked(token: str, source: str) -> str:
    """A token that can travel in a header; the complaint never shows it."""
    if not all("!" <= sign <= "~" for sign in token):
        raise BadCredentials(f"{source} holds no token: it has blanks, or signs beyond ASCII")
    return token


def _require_private(path: Path, what: str) -> None:
    """Only its owner, us or root, may read a file with a secret; root may share one with a group."""
    try:
        found = path.stat()
    except OSError as problem:
        raise BadCredentials(f"{what} {path} cannot be read: {problem.strerror}") from problem
    if found.st_uid not in (os.geteuid(), 0):
        raise BadCredentials(f"{what} {path} belongs to another user")
    allowed = stat.S_IRWXU | (stat.S_IRGRP if found.st_uid == 0 else 0)
    if stat.S_IMODE(found.st_mode) & ~allowed:
        raise BadCredentials(f"{what} {path} can be read by others; run: chmod 600 {path}")


def _is_loopback(name: str) -> bool:
    host = name.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _no_password() -> str:
    raise ValueError("the key is protected by a password; remove it from the file")


def _plainly(problem: Exception) -> str:
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or str(problem)).replace("_", " ").lower()
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
