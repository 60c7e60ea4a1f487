"""The commands that make, list and revoke tokens."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import grpc
import pytest
from integration.wire.test_command import command, served
from support.databases import fresh_sqlite
from voleryidl.project.v1.project_service_pb2 import ListDomainsRequest
from voleryidl.project.v1.project_service_pb2_grpc import ProjectServiceStub

TOKEN = re.compile(r"vol_[0-9a-f]{12}_[\w-]{43}\n")


@pytest.fixture
def database(directory: Path) -> str:
    return fresh_sqlite(directory)


def tokens(database: str, *arguments: str) -> tuple[int, str, str]:
    verb, *rest = arguments
    done = command("tokens", verb, "--database", database, *rest)
    return done.returncode, done.stdout, done.stderr


def test_a_token_is_shown_once_then_listed_and_revoked(database: str) -> None:
    code, token, told = tokens(
        database, "create", "--name", "ci", "--role", "user", "--project", "demo", "--expires", "90d"
    )
    assert code == 1, "the database has no project yet"
    assert token == ""
    assert "no project 'demo'" in told
    code, token, told = tokens(database, "create", "--name", "ci", "--role", "user", "--expires", "90d")
    assert code == 0, told
    assert TOKEN.fullmatch(token)
    token_id = token.split("_")[1]
    assert token_id in told
    assert token.strip() not in told
    code, listed, _ = tokens(database, "list")
    assert re.search(rf"^{token_id}  ci +user +all .* good$", listed, re.MULTILINE)
    assert token.strip()[-43:] not in listed
    assert tokens(database, "revoke", "ci") == (0, "", f"revoked {token_id} of ci\n")
    assert " revoked\n" in tokens(database, "list")[1]
    code, _, told = tokens(database, "revoke", "ci")
    assert code == 1
    assert "no token with the id or name 'ci'" in told


def test_a_file_for_a_token_is_its_owners_and_never_written_over(database: str, directory: Path) -> None:
    place = directory / "ci.token"
    arguments = ("create", "--name", "ci", "--role", "viewer", "--output", str(place))
    assert tokens(database, *arguments)[:2] == (0, "")
    assert TOKEN.fullmatch(place.read_text())
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    before = place.read_text()
    code, _, told = tokens(database, *arguments)
    assert code == 1
    assert "File exists" in told
    assert place.read_text() == before
    absent = directory / "bad.token"
    assert tokens(database, "create", "--name", "B A D", "--role", "viewer", "--output", str(absent))[0] == 1
    assert not absent.exists()


@pytest.mark.parametrize("span", ["90", "0d", "soon", "-1d"])
def test_a_span_that_cannot_be_read_is_told(database: str, span: str) -> None:
    code, _, told = tokens(database, "create", "--name", "ci", "--role", "user", f"--expires={span}")
    assert code == 2
    assert "12h, 90d or 52w" in told


def test_a_token_made_beside_a_running_server_is_good_at_once(directory: Path) -> None:
    listen = f"unix://{directory / 'socket'}"
    with served(directory, "--listen", listen, "--authentication", "required"):
        database = f"sqlite:///{next(directory.glob('*.db'))}"
        with grpc.insecure_channel(listen) as channel:
            stub = ProjectServiceStub(channel)
            with pytest.raises(grpc.RpcError):
                stub.ListDomains(ListDomainsRequest())
            token = tokens(database, "create", "--name", "ci", "--role", "viewer")[1].strip()
            stub.ListDomains(ListDomainsRequest(), metadata=[("authorization", f"Bearer {token}")])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tls-certificate", "none.pem", "--tls-key", "none.key"], "none.pem cannot be read"),
        (["--tls-certificate", "none.pem"], "name both, or neither"),
        (["--certificate-roles", "a=user"], "take tls_client_ca"),
        (["--listen", "0.0.0.0:0"], "without authentication"),
        (["--listen", "0.0.0.0:0", "--authentication", "required"], "without TLS"),
    ],
)
def test_what_protects_nothing_does_not_serve(directory: Path, arguments: list[str], told: str) -> None:
    done = command("serve", "--database", fresh_sqlite(directory), *arguments)
    assert done.returncode == 2
    assert told in done.stderr
