"""TLS of the server: its certificate and key, whose client certificates it takes, and their renewal.

Files are checked before anything listens, by a handshake with ourselves in memory: it fails on whatever
would fail later, with a reason that names the file. While serving, each new connection looks whether the
files have changed; what is good is used from then on, what is not is told in the log and the old goes on.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import structlog

from volery_controlplane.private_files import NotPrivate, require_private

log = structlog.get_logger(__name__)


class UnusableTls(ValueError):
    """A certificate or key cannot be used; the message names the file and how to mend it."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the server's TLS comes from, in PEM.

    Attributes:
        certificate: its certificate, then those between it and the root.
        key: the certificate's private key; for its owner's eyes only.
        client_ca: the authorities whose client certificates are asked for; None asks for none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def states(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file is replaced or rewritten."""
        files = (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))
        return tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in (f.stat() for f in files))


@dataclass(frozen=True, slots=True)
class _Material:
    """What was read and found good."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    subject: str
    expires: datetime

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """As gRPC takes it."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.client_ca)


class ServerTls:
    """The server's side of TLS, kept up to date.

    Args:
        files: where it comes from.

    Raises:
        UnusableTls: when it cannot be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._states = _states(files)
        self._material = _read(files)
        _tell("TLS is ready", self._material)

    def credentials(self) -> grpc.ServerCredentials:
        """What a port is secured with."""
        return grpc.dynamic_ssl_server_credentials(
            self._material.configuration(),
            self._renewed,  # type: ignore[arg-type]  # None is allowed, and means no change
            require_client_authentication=self._files.client_ca is not None,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What new connections use from now on; None for what they used before."""
        with self._lock:
            try:
                states = self._files.states()
            except OSError:
                return None  # a file is being replaced; the next connection looks again
            if states == self._states:
                return None
            self._states = states
            try:
                self._material = _read(self._files)
            except UnusableTls as problem:
                log.error("changed TLS files are not used", problem=str(problem))
                return None
            _tell("TLS was renewed", self._material)
            return self._material.configuration()


def _tell(event: str, material: _Material) -> None:
    log.info(event, certificate=material.subject, expires=material.expires.isoformat())


def _states(files: TlsFiles) -> tuple[tuple[int, int, int], ...]:
    try:
        return files.states()
    except OSError as problem:
        raise UnusableTls(f"{problem.filename} cannot be read: {problem.strerror}") from problem


def _read(files: TlsFiles) -> _Material:
    """Reads the files and proves that they work; raises UnusableTls."""
    certificate, key = _content(files.certificate), _content(files.key)
    try:
        require_private(files.key, "the key of the server")
    except NotPrivate as problem:
        raise UnusableTls(str(problem)) from problem
    found = _proven(files, certificate)
    names = [value for part in found.get("subject", ()) for kind, value in part if kind == "commonName"]
    names += [value for _, value in found.get("subjectAltName", ()) if value not in names]
    return _Material(
        certificate,
        key,
        _authorities(files.client_ca) if files.client_ca else None,
        ", ".join(names),
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC),
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise UnusableTls(f"{path} cannot be read: {problem.strerror}") from problem


def _proven(files: TlsFiles, certificate: bytes) -> Mapping[str, Any]:
    """The facts of a certificate that has just served a handshake."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password would be asked for on a terminal that a server does not have.
        server.load_cert_chain(files.certificate, files.key, password=_no_password)
    except _Encrypted:
        raise UnusableTls(f"{files.key} is protected by a password; remove it from the file") from None
    except ssl.SSLError as problem:
        raise UnusableTls(_unfit(files, problem)) from problem
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # clients check the name they called; here only the rest is
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever signed it: that is for clients to trust
    try:
        client.load_verify_locations(cadata=certificate.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as problem:
        raise UnusableTls(f"{files.certificate} has no certificate in PEM: {problem}") from problem
    try:
        return _handshake(server, client)
    except ssl.SSLCertVerificationError as problem:
        raise UnusableTls(f"{files.certificate} cannot be used: {problem.verify_message}") from problem
    except ssl.SSLError as problem:
        raise UnusableTls(f"{files.certificate} cannot be used: {problem.reason or problem}") from problem


class _Encrypted(Exception):
    """A key needs a password."""


def _no_password() -> str:
    raise _Encrypted


def _unfit(files: TlsFiles, problem: ssl.SSLError) -> str:
    if problem.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {files.key} is not that of the certificate in {files.certificate}"
    return (
        f"{files.certificate} and {files.key} cannot be used together: both must be in PEM, a certificate"
        f" (then those that signed it) and its private key ({problem.reason or problem})"
    )


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, Any]:
    """Shakes hands in memory; gives what the client verified of the server."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server)
    sides = [ours, theirs]
    while sides:
        side = sides.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            sides.append(side)
    return ours.getpeercert() or {}


def _authorities(path: Path) -> bytes:
    content = _content(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as problem:
        raise UnusableTls(f"{path} has no certificate in PEM: {problem}") from problem
    found = context.get_ca_certs()
    if not found:
        raise UnusableTls(f"{path} has no certificate of an authority, which could sign those of clients")
    now = datetime.now(UTC).timestamp()
    if all(ssl.cert_time_to_seconds(str(each["notAfter"])) < now for each in found):
        raise UnusableTls(f"the authorities in {path} have expired")
    return content
