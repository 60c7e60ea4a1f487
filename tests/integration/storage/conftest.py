"""Every kind of object store, made anew for each test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from support.s3 import s3_server
from volery_controlplane.services.ports import BlobStore
from volery_controlplane.storage.opening import Sweep, open_storage


@dataclass
class Store:
    """A store, and ways round it."""

    kind: str
    blobs: BlobStore
    sweep: Sweep

    def uri(self, target: str) -> str:
        return f"{self.blobs.root}/{quote(target)}"


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "file":
        made = open_storage(tmp_path / "storage")
        return Store("file", made.blobs, made.sweep)
    server = s3_server()
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    made = open_storage(f"s3://{server.bucket()}/an installation")
    return Store("s3", made.blobs, made.sweep)
