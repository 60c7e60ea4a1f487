"""Every kind of object store, made anew for each test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from support.object_servers import OBJECT_STORES, object_server
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


@pytest.fixture(params=["file", *OBJECT_STORES])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "file":
        made = open_storage(tmp_path / "storage")
        return Store("file", made.blobs, made.sweep)
    server = object_server(request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    made = open_storage(f"{server.scheme}://{server.bucket()}/an installation")
    return Store(server.scheme, made.blobs, made.sweep)
