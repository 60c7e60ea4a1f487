"""Where a server may listen.

It runs other people's code on request, so unless callers are authenticated over TLS only those who are on
the machine already may reach it: over loopback, or over a Unix socket in a directory of its owner's.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LONGEST_SOCKET_PATH = 103
"""Bytes that every system takes; Linux allows 107, macOS 103."""


class UnsafeAddress(ValueError):
    """The server must not listen there; the message says why and where it may."""


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A Unix domain socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix://{self.path}"

    def prepare(self) -> None:
        """Makes its directory, for its owner alone, and removes a socket that nobody serves any more.

        Raises:
            UnsafeAddress: when something else is there, when somebody serves it, or when the directory
                belongs to somebody else.
        """
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        if found.st_uid not in (os.geteuid(), 0):
            raise UnsafeAddress(f"{directory} belongs to another user, who could replace the socket in it")
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise UnsafeAddress(f"{directory} can be written by everybody; choose a directory of your own")
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise UnsafeAddress(f"{self.path} exists and is not a socket")
        if self._is_served():
            raise UnsafeAddress(f"another server listens on {self}")
        self.path.unlink(missing_ok=True)

    def protect(self) -> None:
        """Lets only its owner connect; called as soon as the socket exists."""
        self.path.chmod(0o600)

    def remove(self) -> None:
        """Takes the socket away after the server ended."""
        self.path.unlink(missing_ok=True)

    def _is_served(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(os.fspath(self.path))
            except OSError:
                return False
            return True


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and port; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Address = UnixSocket | TcpAddress


@dataclass(frozen=True, slots=True)
class Protection:
    """What stands between the network and a server.

    Attributes:
        authentication: callers are asked who they are.
        tls: what passes is encrypted, and the server shows who it is.
    """

    authentication: bool = False
    tls: bool = False


def parse(text: str, protection: Protection = Protection()) -> Address:  # frozen
    """Reads where to listen.

    Args:
        text: `unix:///path` or `host:port`.
        protection: what it takes to listen where others than users of this machine reach the server.

    Returns:
        The address.

    Raises:
        UnsafeAddress: when it is neither, or reachable by others while not all the protection is there.
    """
    if text.startswith("unix:"):
        return _unix(text)
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UnsafeAddress(f"{text!r} is no address: write unix:///path or host:port")
    if not _is_loopback(host):
        if not protection.authentication:
            raise UnsafeAddress(
                f"refusing to listen on {text}: without authentication everybody who reaches this server can"
                " run code on its workers. Listen on unix:///path or 127.0.0.1:PORT, or set --authentication"
                " required, --tls-certificate and --tls-key"
            )
        if not protection.tls:
            raise UnsafeAddress(
                f"refusing to listen on {text}: without TLS tokens would cross the network readable. Set"
                " --tls-certificate and --tls-key, or listen on unix:///path or 127.0.0.1:PORT"
            )
    return TcpAddress(host, int(port))


def check_url(url: str) -> None:
    """Refuses a URL that a server is to be known by where others on the way could read what is sent to it.

    Args:
        url: `http://…` or `https://…`.

    Raises:
        UnsafeAddress: it is neither secured nor of this machine, or is none.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UnsafeAddress(f"{url!r} is no address: write https://host:port") from None
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise UnsafeAddress(
            f"refusing to be known as {url}: without TLS tokens and signed URLs would cross the network"
            " readable. Name an https:// address: of this server with --tls-certificate and --tls-key, or of"
            " what speaks TLS before it"
        )


def reachable(address: Address, *, tls: bool) -> str:
    """What clients on this machine call an address by; "" where it stands for all interfaces."""
    match address:
        case UnixSocket():
            return str(address)
        case TcpAddress(host) if _is_wildcard(host):
            return ""
    return f"https://{address}" if tls else str(address)


def _unix(text: str) -> UnixSocket:
    path = text.removeprefix("unix:").removeprefix("//")
    if not path.startswith("/"):
        raise UnsafeAddress(f"{text!r} is no address: a Unix socket needs an absolute path, unix:///path")
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise UnsafeAddress(f"{path} has more than {LONGEST_SOCKET_PATH} bytes, too many for a Unix socket")
    return UnixSocket(Path(path))


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches it; of names only `localhost` is believed."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
