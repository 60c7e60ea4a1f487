from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import drop_postgres, fresh_postgres
from support.planes import Planes
from support.remains import remains


@pytest.fixture(params=["sqlite", "postgres"])
def crash_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of each kind; "" is SQLite in the planes' own directory."""
    if request.param == "sqlite":
        yield ""
        return
    url = fresh_postgres()
    yield url
    drop_postgres(url)


@pytest.fixture
def lease() -> float:
    """Seconds; short, so that its end is not waited for long."""
    return 2.0


@pytest.fixture
def serving() -> tuple[str, ...]:
    """Further options of the control plane."""
    return ()


@pytest.fixture
def planes(tmp_path: Path, crash_database: str, lease: float, serving: tuple[str, ...]) -> Iterator[Planes]:
    """Both planes, serving; a test stops them itself, or leaves nothing of them all the same."""
    planes = Planes(tmp_path / "p", database=crash_database, lease_seconds=lease, serving=serving)
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        planes.kill_all()


@pytest.fixture
def chance() -> random.Random:
    """Random choices that `VOLERY_TEST_SEED` repeats; a failed test shows its seed."""
    seed = int(os.environ.get("VOLERY_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"VOLERY_TEST_SEED={seed}")
    return random.Random(seed)


def stop_and_look(planes: Planes) -> None:
    """Stops an installation as its operator would; nothing of it may be left but what it keeps."""
    planes.stop()
    assert planes.leftovers() == [], planes.logs()
    assert remains(planes.directory) == []
