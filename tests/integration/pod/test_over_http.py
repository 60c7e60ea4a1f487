"""The entry point with nothing but a data server: code, inputs, outputs and verdict by signed URLs of S3."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pods_within
from support.entry import bundle_of
from support.object_servers import OBJECT_STORES, object_server
from support.planes import Planes
from support.type_texts import type_of
from volery.remote import Remote
from volery_rules.verdicts import Elsewhere, Sealed, attempt_tag, read
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

pytestmark = pytest.mark.timeout(300)
TAG = attempt_tag("u", "n0", 1)
FLOW = """
from volery import task

@task
def fill(size: int) -> str:
    return "x" * size
"""


@pytest.fixture(params=OBJECT_STORES)
def planes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Planes]:
    server = object_server(request.param)
    planes = Planes(
        tmp_path / "p",
        storage_url=f"{server.scheme}://{server.bucket()}/volery",
        serving=("--data-listen", "127.0.0.1:0", "--synchronous", "off"),
        environment={**server.environment(), "VOLERY_WORKER_STORAGE_ACCESS": "data-server"},
    )
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        planes.kill_all()


def opened(left: object, planes: Planes) -> AttemptVerdict:
    assert isinstance(left, list)
    message, content = left
    found = read(message, TAG)
    assert isinstance(found, Elsewhere)
    assert found.uri.startswith(planes.storage_url)
    sealed = found.opened(base64.b64decode(content))
    assert isinstance(sealed, Sealed)
    return sealed.verdict


def test_code_outputs_and_verdict_go_by_signed_urls(planes: Planes) -> None:
    code = bundle_of({"code_of_it.py": FLOW})
    with Remote(planes.target) as remote:
        remote.register(pods_within.run_within)
        run = remote.launch(pods_within.run_within, {"size": 100_000, "code": code})
        verdict = opened(run.wait(240).outputs, planes)
    kept = verdict.outputs.literals["o0"].offloaded_value
    assert kept.uri.startswith(planes.storage_url), verdict
    assert kept.size_bytes > 100_000


def test_files_of_programs_go_by_signed_urls(planes: Planes) -> None:
    interface = TypedInterface()
    interface.outputs.add(name="sent", type=type_of("file"))
    interface.outputs.add(name="lines", type=type_of("integer"))
    told = base64.b64encode(interface.SerializeToString()).decode()
    with Remote(planes.target) as remote:
        remote.register(pods_within.move_within)
        run = remote.launch(pods_within.move_within, {"interface": told})
        verdict = opened(run.wait(240).outputs, planes)
    found = verdict.outputs.literals
    assert found["lines"].integer_value == 1000
    assert found["sent"].blob_value.sha256 == hashlib.sha256(b"GIVEN\n" * 1000).hexdigest()
    assert found["sent"].blob_value.uri.startswith(planes.storage_url)
