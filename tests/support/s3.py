"""An S3 server over real HTTP (moto's), and a proxy before it that is slow or answers with errors.

One server a test process and address, started when it is first asked for and ended with the process; buckets
are cheap, so each test takes one of its own.
"""

from __future__ import annotations

import atexit
import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "not-a-secret"
REGION = "us-east-1"

ENVIRONMENT = Path(sys.prefix) / "s3" / "bin"
"""Programs of an environment of its own: what moto stands on excludes what the Kubernetes client needs."""


@dataclass(frozen=True)
class S3:
    """A running server."""

    host: str
    port: int

    scheme = "s3"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def bucket(self) -> str:
        """The name of a new bucket."""
        name = f"test-{uuid.uuid4().hex[:20]}"
        assert self.request("PUT", f"/{name}")[0] == 200
        return name

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """What a process needs to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT": endpoint or self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }


_running: dict[str, S3] = {}


def s3_server(host: str = "127.0.0.1") -> S3:
    """The server of this test process that listens at an address of this machine."""
    if host not in _running:
        _running[host] = _start(host)
    return _running[host]


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _start(host: str) -> S3:
    log = Path(tempfile.mkdtemp(prefix="volery-s3-")) / "moto.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(ENVIRONMENT / "moto_server"), "-H", host, "-p", "0"],
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": "", "PYTHONUNBUFFERED": "1"},
        )

    def end() -> None:
        process.kill()
        process.wait()
        log.unlink(missing_ok=True)
        log.parent.rmdir()

    atexit.register(end)
    # It takes a free port by itself: one that was looked for before may be somebody else's by then.
    while (told := re.search(r"Running on http://\S+:(\d+)$", log.read_text(), re.MULTILINE)) is None:
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)  # its log is all that it tells
    return S3(host, int(told[1]))


@dataclass
class Faults:
    """What a proxy does to requests before it passes them on.

    Attributes:
        fail: says whether a request, by method and path, is answered with 503 and not passed on.
        cut: says whether its answer is cut off in the middle.
        delay: seconds that each request waits.
        seen: the requests that came, `METHOD path`.
    """

    fail: Callable[[str, str], bool] = field(default=lambda method, path: False)
    cut: Callable[[str, str], bool] = field(default=lambda method, path: False)
    delay: float = 0.0
    seen: list[str] = field(default_factory=list)


class Listening(Protocol):
    """A server of any kind."""

    @property
    def host(self) -> str:
        """Where it listens."""

    @property
    def port(self) -> int:
        """Where it listens."""


@contextmanager
def proxy(server: Listening, faults: Faults, host: str = "127.0.0.1") -> Iterator[str]:
    """An endpoint before the server; requests go through it as `faults` say.

    Args:
        server: what it stands before.
        faults: may be changed at any time.
        host: by which this machine is asked; for another than the usual one it listens everywhere.
    """

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def pass_on(self) -> None:
            body = self._body()
            faults.seen.append(f"{self.command} {self.path}")
            if faults.delay:
                time.sleep(faults.delay)
            if faults.fail(self.command, self.path):
                self._answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
                return
            connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
            headers = {name: value for name, value in self.headers.items() if name != "Transfer-Encoding"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept = [
                pair
                for pair in answer.getheaders()
                if pair[0].lower() not in ("connection", "content-length", "transfer-encoding")
            ]
            if self.command == "HEAD":
                kept.append(("Content-Length", answer.getheader("Content-Length") or "0"))
            if faults.cut(self.command, self.path) and len(content) > 1:
                self.send_response(answer.status)
                for name, value in kept:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            else:
                self._answer(answer.status, kept, content)
            connection.close()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if self.command != "HEAD" or status == 503:
                self.send_header("Content-Length", str(len(content) if self.command != "HEAD" else 0))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

    class Front(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # whoever asked is gone

    front = Front(("127.0.0.1" if host == "127.0.0.1" else "0.0.0.0", 0), Passing)
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{front.server_address[1]}"
    finally:
        front.shutdown()
        front.server_close()
        thread.join()
