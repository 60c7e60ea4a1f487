"""What the data server is told: where it listens, what it lets through, and whether it can run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec

from volery_controlplane.grpc.addresses import TcpAddress
from volery_controlplane.grpc.tls import TlsFiles


class DataServerNotInstalled(RuntimeError):
    """The library that the data server takes is missing."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the data server listens.

    Attributes:
        listen: where.
        public_address: the URL that others know it by; "" for where it listens.
        tls: the files that secure it; None leaves it plain.
    """

    listen: TcpAddress
    public_address: str = ""
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What the data server lets through.

    Attributes:
        request: bytes of a request for URLs.
        transfers: requests served at a time.
        queue: how many wait.
        queue_wait: how long one waits.
        patience: how long a client may take to send or read a piece.
    """

    request: int
    transfers: int
    queue: int
    queue_wait: timedelta
    patience: timedelta


def check_installed() -> None:
    """Raises DataServerNotInstalled where the library is missing."""
    if find_spec("aiohttp") is None:
        raise DataServerNotInstalled(
            "--data-listen takes the extra `objects`: pip install 'volery-controlplane[objects]'"
        )
