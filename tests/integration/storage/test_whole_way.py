"""Both planes as processes over an object store: values, files, tables, code and logs on their whole way."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import carrying
from support.object_servers import OBJECT_STORES, object_server
from support.planes import Planes
from support.s3 import Faults, proxy
from volery import Directory, File
from volery.remote import Remote

pytestmark = pytest.mark.timeout(300)

PART = re.compile("uploadId=|partNumber=|comp=block")
"""In what asks for a part of something, as each store writes it."""


@pytest.fixture(params=OBJECT_STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["direct", "data-server"])
def access(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def planes(tmp_path: Path, kind: str, access: str, faults: Faults) -> Iterator[Planes]:
    server = object_server(kind)
    with proxy(server, faults) as endpoint:
        planes = Planes(
            tmp_path / "p",
            storage_url=f"{kind}://{server.bucket()}/volery",
            serving=("--data-listen", "127.0.0.1:0", "--synchronous", "off"),
            environment={
                **server.environment(endpoint),
                "VOLERY_WORKER_STORAGE_ACCESS": access,
                "VOLERY_LOG_SIZE_LIMIT": str(8 * 2**20),
            },
        )
        planes.start()
        planes.wait_until_ready()
        try:
            yield planes
        finally:
            planes.kill_all()


def given(tmp_path: Path) -> File:
    path = tmp_path / "given.txt"
    path.write_text("given\n" * 1_400_000)  # large enough to go by a signed URL
    return File(path)


def expected() -> carrying.Told:
    return carrying.Told(
        total=sum(range(20_000)),
        rows=sum(range(2_000)),
        film=hashlib.sha256(bytes(range(256)) * 4096 * 2).hexdigest(),
        birds=sum(len(f"bird {number}\n") * number for number in range(40)),
        given="given\n" * 1_400_000,
    )


def test_everything_large_goes_by_the_store(planes: Planes, tmp_path: Path, faults: Faults) -> None:
    with Remote(planes.target) as remote:
        remote.register(carrying.carry, carrying.pass_on, carrying.flock_of)
        run = remote.launch(carrying.carry, {"given": given(tmp_path)})
        assert run.wait(240).outputs == expected(), planes.logs()
        log = b"".join(piece.data for piece in run.logs())
        assert log.count(b"a line of a long log ") == 20_000
        made = remote.launch(carrying.flock_of, {"count": 9})
        flock = made.wait(240).outputs
        assert isinstance(flock, Directory)
        # What another execution made is given by reference.
        taken = remote.launch(carrying.pass_on, {"flock": flock, "xs": list(range(30_000))})
        assert taken.wait(240).outputs == 9 + 30_000, planes.logs()
    assert any(PART.search(request) for request in faults.seen), "the given file goes up in parts"
    assert not list(planes.storage.rglob("*")), "nothing lies on the disk"


@pytest.mark.parametrize("access", ["data-server"], indirect=True)
def test_a_store_that_is_slow_and_fails_now_and_then_loses_nothing(
    planes: Planes, tmp_path: Path, faults: Faults
) -> None:
    seen: dict[str, int] = {}

    def the_first_time(method: str, path: str) -> bool:
        where = f"{method} {path.partition('?')[0]}"
        seen[where] = seen.get(where, 0) + 1
        return seen[where] == 1

    faults.fail = the_first_time
    faults.delay = 0.02
    with Remote(planes.target) as remote:
        remote.register(carrying.carry)
        run = remote.launch(carrying.carry, {"given": given(tmp_path)})
        assert run.wait(240).outputs == expected(), planes.logs()
        (node,) = [node for node in run.nodes() if node.path == "n4"]
        assert node.attempt == 1
