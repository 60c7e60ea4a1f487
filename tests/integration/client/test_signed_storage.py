"""What tasks reach the store with: URLs of a real server, on a directory and on stores that may fail."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from support.databases import fresh_sqlite
from support.object_servers import OBJECT_STORES, object_server
from support.plane_thread import serving
from support.s3 import Faults, proxy
from volery._pod import process
from volery._signed_storage import Access, SignedStorage
from volery.context import TaskContext
from volery.errors import StorageError
from volery.remote import Remote
from volery.storage import Workspace, storage_of
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings

MIB = 2**20


@dataclass
class Shop:
    """A server with a data server, and its store behind a proxy."""

    plane: ControlPlane
    faults: Faults
    kind: str

    @property
    def root(self) -> str:
        storage = self.plane.settings.storage
        return storage.as_uri() if isinstance(storage, Path) else storage

    def prefix(self) -> str:
        return f"{self.root}/executions/demo/development/e/0123abcd/n0/1"

    def storage(self, patience: float = 30.0) -> SignedStorage:
        return SignedStorage(Access(self.plane.data_server), patience)


@pytest.fixture(params=["file", *OBJECT_STORES])
def shop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    faults = Faults()
    is_file = request.param == "file"
    server = object_server("s3" if is_file else request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with tempfile.TemporaryDirectory(prefix="volery-") as name, proxy(server, faults) as endpoint:
        directory = Path(name)
        settings = Settings(
            database=fresh_sqlite(directory),
            synchronous="off",
            listen=f"unix://{directory / 'socket'}",
            storage=directory / "storage" if is_file else f"{server.scheme}://{server.bucket()}",
            storage_public_endpoint="" if is_file else f"{endpoint}{urlsplit(server.endpoint).path}",
            data_listen="127.0.0.1:0",
            blob_size_limit=64 * MIB,
        )
        with serving(settings) as plane:
            yield Shop(plane, faults, str(request.param))


@pytest.mark.parametrize("size", [0, 1, 10 * MIB + 3])
def test_what_is_put_is_read_back(shop: Shop, tmp_path: Path, size: int) -> None:
    storage = shop.storage()
    content = os.urandom(size)
    uri = f"{shop.prefix()}/0123456789ab-{quote('a b%ü#?.bin')}"
    storage.write(uri, content)
    assert storage.read(uri) == content
    source = tmp_path / "source"
    source.write_bytes(content[::-1])
    storage.upload(source, f"{uri}2")
    path = storage.local(f"{uri}2", tmp_path / "scratch", hashlib.sha256(content[::-1]).hexdigest())
    assert path.read_bytes() == content[::-1]
    assert path.name == "0123456789ab-a b%ü#?.bin2"
    assert storage.local(f"{uri}2", tmp_path / "scratch") == path
    with pytest.raises(StorageError, match="hash differs"):
        storage.local(f"{uri}2", tmp_path / "elsewhere", "0" * 64)
    assert not [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]


def test_a_directory_goes_there_and_back(shop: Shop, tmp_path: Path) -> None:
    top = tmp_path / "birds"
    names = [Path(f"family {number % 7}") / f"{number}%.txt" for number in range(60)]
    for number, name in enumerate(names):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"bird {number}")
    access = f"\n\n\n{shop.plane.data_server}"
    if shop.kind == "file":
        workspace = Workspace("s3://nowhere/executions/x", tmp_path / "scratch", access)
        workspace._prefix = shop.prefix()
        workspace._is_here = False
    else:
        workspace = Workspace(shop.prefix(), tmp_path / "scratch", access)
    uri, size = workspace.put_directory(top, names)
    assert size == sum((top / name).stat().st_size for name in names)
    found = workspace.local_directory(uri)
    assert {path.relative_to(found): path.read_text() for path in found.rglob("*.txt")} == {
        name: f"bird {number}" for number, name in enumerate(names)
    }
    assert found.is_relative_to(tmp_path / "scratch")
    with pytest.raises(StorageError, match="does not exist"):
        workspace.local_directory(f"{shop.prefix()}/nothing")
    assert workspace.local_directory(f"{shop.prefix()}/nothing", is_empty=True).is_dir()


def test_what_is_not_there_or_not_ones_own_is_told_at_once(shop: Shop) -> None:
    storage = shop.storage(patience=1000.0)
    with pytest.raises(StorageError, match="does not exist"):
        storage.read(f"{shop.prefix()}/nothing")
    with pytest.raises(StorageError, match="not below the installation's storage"):
        storage.read("file:///etc/passwd")
    with pytest.raises(StorageError, match="an upload may have"):
        storage.write(f"{shop.prefix()}/large", bytes(65 * MIB))
    wrong = SignedStorage(Access(shop.plane.data_server, "vat_wrong"), 1000.0)
    with pytest.raises(StorageError, match="did not make"):
        wrong.read(f"{shop.prefix()}/x")


@pytest.mark.parametrize("shop", OBJECT_STORES, indirect=True)
def test_a_store_that_fails_or_breaks_off_is_asked_again_and_a_read_goes_on_where_it_was(shop: Shop) -> None:
    storage = shop.storage()
    content = os.urandom(6 * MIB)
    uri = f"{shop.prefix()}/x"
    failures = {"PUT": 2, "GET": 2}
    cuts = {"GET": 3}

    def fail(method: str, path: str) -> bool:
        failures[method] = failures.get(method, 0) - 1
        return failures[method] >= 0

    def cut(method: str, path: str) -> bool:
        cuts[method] = cuts.get(method, 0) - 1
        return cuts[method] >= 0

    shop.faults.fail, shop.faults.cut = fail, cut
    storage.write(uri, content)
    assert storage.read(uri) == content
    sent = [seen for seen in shop.faults.seen if seen.startswith("GET")]
    assert len(sent) == 6


@pytest.mark.parametrize("shop", OBJECT_STORES, indirect=True)
def test_a_store_that_stays_away_is_given_up_and_told(shop: Shop) -> None:
    shop.faults.fail = lambda method, path: True
    with pytest.raises(StorageError, match=r"cannot write .*503"):
        shop.storage(patience=0.5).write(f"{shop.prefix()}/x", b"x")
    nowhere = SignedStorage(Access("http://127.0.0.1:9"), 0.5)
    with pytest.raises(StorageError, match="gives no URLs"):
        nowhere.read("s3://bucket/x")


def test_no_token_is_sent_where_others_can_read_it() -> None:
    with pytest.raises(StorageError, match="refusing to send a token"):
        SignedStorage(Access("http://data.example", "vat_secret")).read("s3://bucket/x")
    assert "vat_secret" not in repr(Access("http://data.example", "vat_secret"))


def test_a_workspace_takes_urls_where_the_store_is_not_of_this_machine(tmp_path: Path) -> None:
    access = "\n\n\nhttp://127.0.0.1:9"
    here, away = tmp_path / "here", tmp_path / "away"
    here.mkdir()

    def way(root: str, uri: str, told: str = access) -> str:
        workspace = Workspace(f"{root}/executions/p/d/e/u/n0/1", tmp_path, told)
        return type(workspace._storage(uri)).__name__

    assert way(here.as_uri(), f"{here.as_uri()}/executions/x") == "FileStorage"
    assert way(away.as_uri(), f"{away.as_uri()}/executions/x") == "SignedStorage"
    assert way(away.as_uri(), f"{tmp_path.as_uri()}/mine") == "FileStorage"
    assert way(away.as_uri(), f"{away.as_uri()}/executions/x", "") == "FileStorage"
    assert way("s3://bucket", "s3://bucket/executions/x") == "SignedStorage"
    for told in ("", "server\n\ntoken", "server\n\ntoken\n"):
        with pytest.raises(StorageError, match="--data-listen"):
            way("s3://bucket", "s3://bucket/executions/x", told)
    with pytest.raises(StorageError, match="no storage"):
        storage_of("s3://bucket/x")


@pytest.mark.parametrize("shop", OBJECT_STORES, indirect=True)
def test_a_pod_reads_its_code_and_inputs_from_the_store_by_urls(shop: Shop, tmp_path: Path) -> None:
    access = f"\n\n\n{shop.plane.data_server}"
    context = TaskContext("demo/development/e", "n0", 1, shop.prefix(), access=access)
    workspace = process.workspace_of(context, str(tmp_path))
    stored = workspace.put("inputs.pb", b"content")
    assert workspace.read(stored.uri) == b"content"
    assert workspace.local(stored.uri, stored.sha256).read_bytes() == b"content"


def test_names_that_climb_out_of_a_directory_are_refused(tmp_path: Path) -> None:
    from volery._signed_storage import _below

    assert _below("s3://b/d/a%20b/c", "s3://b/d", tmp_path) == tmp_path / "a b" / "c"
    for uri in (
        "s3://b/d/../x",
        "s3://b/d/%2e%2e/x",
        "s3://b/d/a%2f..%2f..%2fx",
        "s3://b/other",
        "s3://b/d//x",
    ):
        with pytest.raises(StorageError, match="not below"):
            _below(uri, "s3://b/d", tmp_path)


def test_programs_outside_carry_large_files_by_urls_and_by_grpc_where_urls_are_out_of_reach(
    shop: Shop, tmp_path: Path
) -> None:
    source = tmp_path / "large.bin"
    source.write_bytes(os.urandom(9 * MIB))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    with Remote(shop.plane.settings.listen) as remote:
        workspace = remote._workspace
        workspace.reaches_files = False
        stored = workspace.put_file(source)
        assert (stored.sha256, stored.size_bytes) == (digest, 9 * MIB)
        assert workspace.put_file(source) == stored
        assert remote._transfer._urls is not None
        assert workspace.local(stored.uri).read_bytes() == source.read_bytes()
        assert remote._transfer._urls is not None
        shop.faults.fail = lambda method, path: True
        remote._transfer._urls._patience = 0.2
        remote._transfer._urls._access = Access("http://127.0.0.1:9")
        other = tmp_path / "other.bin"
        other.write_bytes(b"x" * 9 * MIB)
        again = workspace.put_file(other)
        assert workspace.local(again.uri).read_bytes() == other.read_bytes()
