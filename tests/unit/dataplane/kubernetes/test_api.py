"""How the API server is reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from volery_dataplane.launch.kubernetes.api import Api, proxy_of
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings

SERVER = "https://cluster.example:6443"


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"http_proxy": "http://proxy:3128"}, None),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "other.example,.example"}, None),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "cluster.example:443"}, "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "*"}, None),
    ],
)
@pytest.mark.usefixtures("no_proxies")
def test_the_environment_says_through_which_proxy_a_server_is_reached(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(SERVER) == proxy


@pytest.mark.usefixtures("no_proxies")
async def test_calls_go_through_the_proxy_of_the_environment_or_of_the_kubeconfig(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with listening() as heard:
        for server, environment, own in (
            ("http://cluster.example:6443", heard.url, {}),
            ("http://cluster.example:6443", "http://127.0.0.1:1", {"proxy-url": heard.url}),
        ):
            monkeypatch.setenv("http_proxy", environment)
            path = kubeconfig(tmp_path, {"server": server, **own})
            api = await Api.connect(ApiSettings(kubeconfig=str(path)))
            assert await api.call("GET", "/version") == {"said": "yes"}
            await api.close()
    assert [request.splitlines()[0] for request in heard.requests] == [
        "GET http://cluster.example:6443/version HTTP/1.1"
    ] * 2


@pytest.mark.usefixtures("no_proxies")
async def test_passwords_of_a_netrc_file_are_not_shown_to_an_api_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with listening() as heard:
        api = await Api.connect(ApiSettings(kubeconfig=str(kubeconfig(tmp_path, {"server": heard.url}))))
        await api.call("GET", "/version")
        await api.close()
    assert "authorization" not in heard.requests[0].lower()


class Heard:
    """A server that answers each request alike."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = b'{"said": "yes"}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Heard]:
    heard = Heard()
    server = await asyncio.start_server(heard.answer, "127.0.0.1", 0)
    async with server:
        heard.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield heard


def kubeconfig(directory: Path, cluster: dict[str, str]) -> Path:
    path = directory / "kubeconfig"
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "own",
        "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        "clusters": [{"name": "own", "cluster": cluster}],
        "users": [{"name": "own", "user": {}}],
    }
    path.write_text(yaml.safe_dump(told))
    return path
