"""Clients and workers that meet a control plane over TLS, and what they are told when it will not do."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.certificates import Authority
from support.databases import fresh_sqlite
from volery import errors
from volery._engine import Engine, EngineSettings
from volery.credentials import Credentials
from volery.remote import Remote


@contextmanager
def running(log: Path, *arguments: str) -> Iterator[str]:
    """A process, and what it says once it is ready; "" when it ended before."""
    reading, writing = os.pipe()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments, "--ready-fd", str(writing)],
            stdout=output,
            stderr=output,
            pass_fds=[writing],
        )
    os.close(writing)
    try:
        with os.fdopen(reading) as stream:
            yield stream.readline().strip()
    finally:
        process.terminate()
        process.wait(120)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def serving(tmp_path: Path, authority: Authority, *more: str, host: str = "127.0.0.1") -> Iterator[str]:
    pair = authority.server("served", [host])
    with running(
        tmp_path / "server.log",
        *("-m", "volery_controlplane", "serve", "--database", fresh_sqlite(tmp_path)),
        *("--listen", "127.0.0.1:0", "--storage", str(tmp_path / "storage")),
        *("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key), *more),
    ) as address:
        assert address.startswith("https://"), (tmp_path / "server.log").read_text()
        yield address


def test_a_server_of_an_unknown_authority_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    with (
        serving(tmp_path, authority) as address,
        Remote(address, credentials=Credentials()) as remote,
        pytest.raises(errors.ConfigurationError, match=r"is not trusted: .*tls_ca names"),
    ):
        remote.server_version()


def test_a_server_of_another_name_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    trusting = Credentials(tls_ca=str(authority.certificate))
    with (
        serving(tmp_path, authority, host="volery.example") as address,
        Remote(address, credentials=trusting) as remote,
        pytest.raises(errors.ConfigurationError, match=r"is not trusted: .*127\.0\.0\.1"),
    ):
        remote.server_version()


def test_client_and_worker_show_their_certificates(tmp_path: Path, authority: Authority) -> None:
    ann, worker = authority.client("ann"), authority.client("worker-1")
    ca = str(authority.certificate)
    with serving(
        tmp_path,
        authority,
        *("--authentication", "required", "--tls-client-ca", ca),
        *("--certificate-roles", "worker-*=worker, ann=user"),
    ) as address:
        shown = Credentials(
            tls_ca=ca, tls_client_certificate=str(ann.certificate), tls_client_key=str(ann.key)
        )
        with (
            Remote(address, credentials=shown) as remote,
            running(
                tmp_path / "worker.log",
                *("-m", "volery_dataplane", "run", "--server", address, "--worker-id", "w"),
                *("--state", str(tmp_path / "worker"), "--tls-ca", ca),
                *("--tls-client-certificate", str(worker.certificate)),
                *("--tls-client-key", str(worker.key)),
            ) as ready,
        ):
            assert ready, (tmp_path / "worker.log").read_text()
            assert remote.server_version()
            with pytest.raises(errors.DeniedError, match="certificate:ann is a user"):
                remote.create_project("new")
        with (
            Remote(address, credentials=Credentials(tls_ca=ca), patience=1) as nobody,
            pytest.raises(errors.UnavailableError),
        ):
            nobody.server_version()


def test_a_worker_that_cannot_show_its_token_says_why_and_ends(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o644)
    command = [sys.executable, "-m", "volery_dataplane", "run", "--state", str(tmp_path / "state")]
    for arguments, told in (
        (["--token-file", str(token)], f"run: chmod 600 {token}"),
        (["--token-file", str(tmp_path / "none")], "none cannot be read: No such file"),
        (["--server", "https://localhost:1", "--tls-ca", str(token)], f"tls_ca {token} cannot be used"),
    ):
        ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert told in ended.stderr
        assert "secret" not in ended.stderr


def test_a_worker_that_gets_nowhere_says_why(tmp_path: Path, authority: Authority) -> None:
    token, stranger = tmp_path / "token", tmp_path / "stranger"
    token.touch(0o600)
    token.write_text("vol_0123456789ab_" + "s" * 43)
    stranger.mkdir()
    with serving(tmp_path, authority, "--authentication", "required") as address:
        for ca, told in (
            (authority.certificate, "this installation does not know the token"),
            (Authority(stranger, "stranger").certificate, "no connection yet"),
        ):
            command = [sys.executable, "-m", "volery_dataplane", "run", "--server", address]
            worker = subprocess.Popen(
                [*command, "--state", str(tmp_path / "w"), "--token-file", str(token), "--tls-ca", str(ca)],
                stderr=subprocess.PIPE,
                text=True,
            )
            assert worker.stderr is not None
            with worker.stderr as log:
                said = next(line for line in log if told in line)
                assert "s" * 43 not in said
                worker.terminate()
                log.read()
            worker.wait(120)


def test_an_engine_lets_nobody_in_but_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine asks nobody is kept by the file system; what is set for servers does not confuse it."""
    monkeypatch.setenv("VOLERY_AUTHENTICATION", "required")
    monkeypatch.setenv("VOLERY_TLS_CERTIFICATE", "/nowhere/server.pem")
    monkeypatch.setenv("VOLERY_TOKEN_FILE", "/nowhere/token")
    previous = os.umask(0)
    try:
        with Engine(tmp_path / "state", EngineSettings(synchronous="off", slots=1)) as engine:
            socket = Path(engine.server.removeprefix("unix://"))
            assert stat.S_IMODE(socket.stat().st_mode) == 0o600
            assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE((engine.state / "volery.db").stat().st_mode) == 0o600
            with Remote(engine.server, credentials=Credentials()) as remote:
                assert remote.server_version()
    finally:
        os.umask(previous)
