"""Credentials of a kubeconfig file that do not last as long as a worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal
from volery_dataplane.launch.kubernetes.kubeconfigs import EARLY, SHORTEST, Kubeconfig
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings

PLUGIN = """
import json, pathlib, sys
from datetime import UTC, datetime, timedelta
made = pathlib.Path(sys.argv[1])
count = int(made.read_text() or 0) + 1
made.write_text(str(count))
if (made.parent / "broken").exists():
    sys.exit("nobody is logged in")
status = {"token": f"made-{count}"}
if len(sys.argv) > 2:
    ends = datetime.now(UTC) + timedelta(seconds=float(sys.argv[2]))
    status["expirationTimestamp"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
told = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
print(json.dumps(told))
"""


@dataclass
class Plugin:
    """A plugin that makes another token each time it is asked."""

    directory: Path

    @property
    def made(self) -> int:
        """How often it was asked."""
        return int((self.directory / "made").read_text() or 0)

    def user(self, *lasts: str) -> dict[str, Any]:
        """The user of a kubeconfig whose tokens it makes."""
        (self.directory / "plugin.py").write_text(PLUGIN)
        (self.directory / "made").write_text("")
        args = [str(self.directory / "plugin.py"), str(self.directory / "made"), *lasts]
        return {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": sys.executable,
                "args": ["-I", *args],
            }
        }


@dataclass
class Door:
    """An API server that takes one token."""

    url: str = ""
    takes: str = ""
    shown: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        token = next(
            (line.split()[-1] for line in head.splitlines() if line.lower().startswith("authorization:")), ""
        )
        self.shown.append(token)
        status = b"200 OK" if token == self.takes else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}" % status)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def guarded() -> AsyncIterator[Door]:
    door = Door()
    server = await asyncio.start_server(door.answer, "127.0.0.1", 0)
    async with server:
        door.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield door


@dataclass
class Hands:
    """A clock that stands until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def written(directory: Path, user: dict[str, Any], server: str = "http://127.0.0.1:1") -> ApiSettings:
    path = directory / "kubeconfig"
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "own",
        "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        "clusters": [{"name": "own", "cluster": {"server": server}}],
        "users": [{"name": "own", "user": user}],
    }
    path.write_text(yaml.safe_dump(told))
    return ApiSettings(kubeconfig=str(path))


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


async def test_a_token_that_a_plugin_made_is_made_anew_shortly_before_its_end(
    tmp_path: Path, plugin: Plugin
) -> None:
    clock = Hands()
    kubeconfig = Kubeconfig(written(tmp_path, plugin.user("900")), clock)
    configuration = await kubeconfig.load()
    for seconds, token in ((900 - EARLY - 10, "made-1"), (11, "made-2"), (100, "made-2")):
        clock.now += seconds
        assert await configuration.get_api_key_with_prefix("BearerToken") == f"Bearer {token}"
    assert plugin.made == 2


async def test_calls_that_find_a_token_at_its_end_together_have_one_made(
    tmp_path: Path, plugin: Plugin
) -> None:
    clock = Hands()
    configuration = await Kubeconfig(written(tmp_path, plugin.user("900")), clock).load()
    clock.now += 900
    shown = await asyncio.gather(*(configuration.get_api_key_with_prefix("BearerToken") for _ in range(8)))
    assert set(shown) == {"Bearer made-2"}
    assert plugin.made == 2


async def test_a_plugin_that_fails_is_asked_again_a_little_later(tmp_path: Path, plugin: Plugin) -> None:
    clock = Hands()
    configuration = await Kubeconfig(written(tmp_path, plugin.user("900")), clock).load()
    clock.now += 900
    (tmp_path / "broken").touch()
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer made-1"
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer made-1"
    assert plugin.made == 2
    (tmp_path / "broken").unlink()
    clock.now += SHORTEST
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer made-3"


async def test_a_token_that_is_refused_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volery_dataplane.launch.kubernetes.kubeconfigs.SHORTEST", 0.0)
    (tmp_path / "token").write_text("old")
    async with guarded() as door:
        door.takes = "old"
        api = await Api.connect(written(tmp_path, {"tokenFile": str(tmp_path / "token")}, door.url))
        await api.call("GET", "/version")
        (tmp_path / "token").write_text("new")
        door.takes = "new"
        with pytest.raises(ApiRefusal, match="401"):
            await api.call("GET", "/version")
        await api.call("GET", "/version")
        await api.close()
    assert door.shown == ["old", "old", "new"]


async def test_a_refusal_has_no_plugin_asked_at_each_call(tmp_path: Path, plugin: Plugin) -> None:
    clock = Hands()
    kubeconfig = Kubeconfig(written(tmp_path, plugin.user()), clock)
    configuration = await kubeconfig.load()
    clock.now += 3600
    for _ in range(3):
        kubeconfig.refused()
        await configuration.get_api_key_with_prefix("BearerToken")
    assert plugin.made == 2
