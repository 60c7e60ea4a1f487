"""Credentials of a kubeconfig file, taken anew before they expire.

What a file tells may be good for a quarter of an hour: the token that its `exec` plugin makes, or the one of
a file that somebody renews. A worker lives longer. The client's library reads it all once, so here it is read
again: shortly before the end that a plugin names, and where the API server takes the token no more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from kubernetes.aio import client, config

from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings

log = structlog.get_logger(__name__)

EARLY = 60.0
"""Seconds before its end at which a token is made anew."""

SHORTEST = 10.0
"""Seconds between two readings: a plugin is a program, and may ask others."""


class Kubeconfig:
    """The credentials of one file.

    Args:
        settings: which file, and which context of it.
        clock: seconds, never going back.
    """

    def __init__(self, settings: ApiSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._reading = asyncio.Lock()
        self._due = math.inf
        self._read_at = -math.inf

    async def load(self) -> client.Configuration:
        """Reads all that the file tells, and keeps its token good. Raises ConfigException, OSError."""
        configuration = await self._read()
        configuration.refresh_api_key_hook = self.renew  # type: ignore[assignment]  # theirs begins as None
        return configuration

    def refused(self) -> None:
        """The API server does not take what it was shown."""
        self._due = self._read_at + SHORTEST

    async def renew(self, configuration: client.Configuration) -> None:
        """Puts a new token in the place of one that is about to end, or was refused."""
        if self._clock() < self._due:
            return
        async with self._reading:
            if self._clock() < self._due:  # somebody else has, while this call waited
                return
            try:
                found = await self._read()
            except (config.ConfigException, OSError, ValueError) as problem:
                self._again()
                log.warning("credentials of the kubeconfig cannot be read again", why=str(problem))
                return
            if "BearerToken" in found.api_key:
                configuration.api_key["BearerToken"] = found.api_key["BearerToken"]
            else:  # the library logs why a plugin gave none
                self._again()

    async def _read(self) -> client.Configuration:
        configuration = client.Configuration()
        settings = self._settings
        loader = await config.load_kube_config(  # type: ignore[no-untyped-call]  # theirs
            settings.kubeconfig or None,
            settings.context or None,
            client_configuration=configuration,
            temp_file_path=None if settings.credentials is None else str(settings.credentials),
        )
        self._read_at = self._clock()
        ends: datetime | None = getattr(loader, "exec_plugin_expiry", None)
        left = math.inf if ends is None else (ends - datetime.now(UTC)).total_seconds()
        self._due = self._read_at + max(SHORTEST, left - EARLY)
        return configuration

    def _again(self) -> None:
        self._read_at = self._clock()
        self._due = self._read_at + SHORTEST
