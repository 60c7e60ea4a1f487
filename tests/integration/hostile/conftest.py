"""A control plane as a process of its own, with something in it that is worth attacking."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from integration.hostile.prey import Prey
from support.databases import drop_postgres, fresh_postgres
from support.planes import Planes
from support.verdicts import ROOM


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def prey(request: pytest.FixtureRequest) -> Iterator[Prey]:
    with tempfile.TemporaryDirectory(prefix="volery-") as name:
        url = fresh_postgres() if request.param == "postgresql" else ""
        serving = ("--data-listen", "127.0.0.1:0")
        planes = Planes(Path(name), url, synchronous="off", lease_seconds=3600.0, serving=serving)
        planes.start_control_plane()
        planes.wait_until_ready()
        try:
            with grpc.insecure_channel(planes.target, options=ROOM) as channel:
                yield Prey.stocked(planes, channel, uuid.uuid4().hex)
        finally:
            planes.stop()
            if url:
                drop_postgres(url)
