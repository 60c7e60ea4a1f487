"""Addresses: where control planes listen, as people write it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from volery.errors import ConfigurationError

DEFAULT_PORT = 8470


@dataclass(frozen=True, slots=True)
class Address:
    """Where a control plane listens: a Unix socket, or a host and port with or without TLS.

    `others` are where further control planes of the same installation listen.
    """

    path: str | None = None
    host: str = ""
    port: int = DEFAULT_PORT
    tls: bool = False
    others: tuple[Address, ...] = ()

    @property
    def every(self) -> tuple[Address, ...]:
        """This one and the others, each by itself."""
        return (replace(self, others=()), *self.others)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is sent: over TLS, or without leaving the machine."""
        if not all(other.is_private for other in self.others):
            return False
        if self.path is not None or self.tls or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, server: str, *, tls: bool = False) -> Address:
        """Read `unix:///path`, `host`, `host:port`, `[::1]:port`, `http://host:port` or `https://host:port`.

        Several are separated by commas. `tls` says what a host and port without a scheme mean.
        """
        server, *others = [part for part in server.split(",") if part.strip()] or [server]
        if others:
            further = tuple(cls.parse(other, tls=tls) for other in others)
            return replace(cls.parse(server, tls=tls), others=further)
        text = server.strip()
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            path = path.removeprefix("//")
            if not path.startswith("/"):
                raise ConfigurationError(
                    f"server {server!r}: a Unix socket needs an absolute path, unix:///path"
                )
            return cls(path=path)
        tls = text.startswith("https://") or (tls and not text.startswith("http://"))
        text = text.removeprefix("https://").removeprefix("http://").rstrip("/")
        host, separator, port = text.rpartition(":")
        if not separator or port.endswith("]"):
            host, port = text, str(443 if server.strip().startswith("https://") else DEFAULT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
            raise ConfigurationError(f"server {server!r}: write host:port, https://host:port or unix:///path")
        return cls(host=host, port=int(port), tls=tls)

    def __str__(self) -> str:
        if self.others:
            return ",".join(map(str, self.every))
        if self.path is not None:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https://' if self.tls else ''}{host}:{self.port}"
