from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from support.databases import fresh_sqlite
from support.s3 import free_port
from voleryidl.project.v1.project_service_pb2 import ListDomainsRequest
from voleryidl.project.v1.project_service_pb2_grpc import ProjectServiceStub


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "volery_controlplane", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def served(directory: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process, once it serves, and the address that it told."""
    ready, told = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "volery_controlplane", "serve"),
            *("--database", fresh_sqlite(directory), "--storage", str(directory / "storage")),
            *("--ready-fd", str(told), *more),
        ],
        pass_fds=[told],
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(told)
    with os.fdopen(ready) as stream:
        address = stream.readline().strip()
    try:
        yield process, address
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_tells_its_address_serves_and_ends_when_asked(directory: Path, how: signal.Signals) -> None:
    ready = directory / "ready"
    arguments = ("--listen", "127.0.0.1:0", "--ready-file", str(ready))
    with served(directory, *arguments) as (process, address):
        assert ready.read_text().strip() == address
        with grpc.insecure_channel(address) as channel:
            stub = ProjectServiceStub(channel)
            assert stub.ListDomains(ListDomainsRequest(), timeout=120).domains
        process.send_signal(how)
        _, log = process.communicate(timeout=120)
        assert process.returncode == 0
    assert "draining" in log
    assert "stopped" in log


def test_what_the_server_keeps_is_readable_by_its_owner_only(directory: Path) -> None:
    directory.chmod(0o755)
    with served(directory, "--listen", f"unix://{directory / 'socket'}") as (_, address):
        assert address == f"unix://{directory / 'socket'}"
        for kept in ("socket", "storage"):
            assert (directory / kept).stat().st_mode & 0o077 == 0


def test_an_unsafe_address_is_refused_as_a_wrong_argument(directory: Path) -> None:
    done = command("serve", "--listen", "0.0.0.0:8470", "--database", f"sqlite:///{directory / 'x.db'}")
    assert done.returncode == 2
    assert "without authentication" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_is_checked_and_brought_to_head(directory: Path) -> None:
    url = f"sqlite:///{directory / 'new.db'}"
    missing = command("check", "--database", url)
    assert missing.returncode == 1
    assert "volery-controlplane migrate" in missing.stderr
    refused = command("serve", VOLERY_DATABASE=url, VOLERY_STORAGE=str(directory / "storage"))
    assert refused.returncode == 1
    assert "volery-controlplane migrate" in refused.stderr
    assert command("migrate", VOLERY_DATABASE=url).returncode == 0
    assert command("check", "--database", url).returncode == 0
    assert (directory / "new.db").stat().st_mode & 0o077 == 0


def test_a_check_with_patience_waits_until_somebody_has_migrated(directory: Path) -> None:
    url = f"sqlite:///{directory / 'new.db'}"
    checking = [sys.executable, "-m", "volery_controlplane", "check", "--database", url, "--patience", "45"]
    with subprocess.Popen(checking, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert "waiting: the database sqlite:///" in waiting.stderr.readline()
        assert command("migrate", "--database", url).returncode == 0
        assert waiting.wait(45) == 0
        assert waiting.stderr.read() == "", "it is told once"


def test_patience_comes_to_an_end_and_then_it_is_told_as_without(directory: Path) -> None:
    done = command("check", "--database", f"sqlite:///{directory / 'new.db'}", "--patience", "0.1")
    assert done.returncode == 1
    waiting, refused = done.stderr.splitlines()
    assert refused == waiting.replace("waiting: ", "")


def test_a_migration_with_patience_waits_for_its_database(directory: Path) -> None:
    server = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    done = command("migrate", "--database", server, "--patience", "0.1")
    assert done.returncode == 1
    assert done.stderr.count("cannot be used: ") == 2


def test_a_check_that_waits_ends_at_once_when_told(directory: Path) -> None:
    url = f"sqlite:///{directory / 'new.db'}"
    checking = [sys.executable, "-m", "volery_controlplane", "check", "--database", url, "--patience", "45"]
    with subprocess.Popen(checking, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        waiting.stderr.readline()
        waiting.terminate()
        assert waiting.wait(45) == 128 + signal.SIGTERM


def test_a_setting_that_cannot_be_read_is_told_by_its_name() -> None:
    done = command("check", VOLERY_LEASE="soon")
    assert done.returncode == 2
    assert "VOLERY_LEASE" in done.stderr
    assert "Traceback" not in done.stderr
