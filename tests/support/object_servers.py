"""The servers of object stores that suites run against: S3, GCS and Azure, each over real HTTP.

A suite takes the kinds as parameters. The S3 server comes with `make install`; those of GCS and Azure are
built and fetched when they are first asked for, so what runs against them is for the deeper suites.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

import pytest
from support import azure, gcs
from support.s3 import s3_server

REQUIRED = "VOLERY_REQUIRE_OBJECT_STORES"
"""Set where all servers could be had: then a test that cannot have one fails instead of being skipped."""

S3 = pytest.param("s3", id="s3")
GCS = pytest.param("gs", id="gs", marks=pytest.mark.deep)
AZURE = pytest.param("az", id="az", marks=pytest.mark.deep)
OBJECT_STORES = (S3, GCS, AZURE)

_BUILT = frozenset({"gs", "az"})


class ObjectServer(Protocol):
    """A running server, or how it is reached."""

    @property
    def scheme(self) -> str:
        """Of the URIs of what lies there."""

    @property
    def host(self) -> str:
        """Where it listens."""

    @property
    def port(self) -> int:
        """Where it listens."""

    @property
    def endpoint(self) -> str:
        """The URL of the service."""

    def bucket(self) -> str:
        """The name of a new bucket."""

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """What a process needs to reach it, through another endpoint if one is given."""


def give_time(items: Iterable[pytest.Item]) -> None:
    """Lets the test that comes first to a server wait until that is built."""
    waited: set[str] = set()
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        new = {value for value in parameters.values() if isinstance(value, str) and value in _BUILT} - waited
        if new and item.get_closest_marker("deep"):
            waited |= new
            item.add_marker(pytest.mark.timeout(1200), append=False)


_running: dict[tuple[str, str], ObjectServer] = {}


def object_server(scheme: str, host: str = "127.0.0.1") -> ObjectServer:
    """The server of this test process; the test is skipped, loudly, where this machine cannot run it."""
    if scheme == "s3":
        return s3_server(host)
    if scheme == "az":
        _require("AZURE", azure.missing())
    if (scheme, host) not in _running:
        _running[scheme, host] = {"gs": gcs.start, "az": azure.start}[scheme](host)
    return _running[scheme, host]


def _require(name: str, lacks: Iterable[str]) -> None:
    lacks = list(lacks)
    if not lacks:
        return
    message = f"NO {name} HERE, so nothing of it is tested: this machine lacks {'; '.join(lacks)}"
    if os.environ.get(REQUIRED):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
