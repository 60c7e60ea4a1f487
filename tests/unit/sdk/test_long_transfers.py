"""Content that travels for hours, and results of attempts that ran for days."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from volery import _signed_storage
from volery._signed_storage import LONGEST_PATIENCE, Access, SignedStorage
from volery.errors import StorageError

HOUR, DAY = 3600.0, 86400.0
URI = "s3://bucket/executions/x"
CONTENT = bytes(range(256)) * 16


@dataclass
class Days:
    """Time that passes only where somebody rests, or takes long."""

    now: float = 100 * DAY

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Store:
    """A data server and a store in one, that lets time pass."""

    days: Days
    url: str = ""
    signs: int = 0
    sent: list[str] = field(default_factory=list)
    stored: bytes = b""
    turn: Callable[[BaseHTTPRequestHandler], bool] = lambda request: False
    """Answers a request in the store's place; says whether it did."""


class Answering(BaseHTTPRequestHandler):
    """One request."""

    store: Store
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.store.turn(self):
            return
        self.store.signs += 1
        url = f"{self.store.url}/{self.store.signs}"
        signed = [{"uri": URI, "url": url, "headers": {}, "sizeBytes": str(len(CONTENT))}]
        self.give(200, json.dumps({"downloads": signed, "uploads": signed}).encode())

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.store.sent.append(f"GET {self.path} from {begin}")
        if not self.store.turn(self):
            self.give(206 if begin else 200, CONTENT[begin:])

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.store.sent.append(f"PUT {self.path}")
        if not self.store.turn(self):
            self.store.stored = content
            self.give(200, b"")

    def give(self, status: int, content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def break_off(self, content: bytes, length: int) -> None:
        """Gives a part of what was to come."""
        self.give(206 if "Range" in self.headers else 200, content, length)
        self.close_connection = True


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    days = Days()
    monkeypatch.setattr(_signed_storage, "time", days)
    return days


@pytest.fixture
def store(days: Days) -> Iterator[Store]:
    store = Store(days)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Answering,), {"store": store}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield store
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_that_breaks_off_after_long_goes_on_where_it_was(store: Store) -> None:
    def turn(request: BaseHTTPRequestHandler) -> bool:
        assert isinstance(request, Answering)
        if request.command != "GET" or len(store.sent) > 3:
            return False
        store.days.now += 600.0
        begin = 1000 * (len(store.sent) - 1)
        request.break_off(CONTENT[begin : begin + 1000], len(CONTENT) - begin)
        return True

    store.turn = turn
    assert SignedStorage(Access(store.url)).read(URI) == CONTENT
    assert store.sent == [f"GET /1 from {begin}" for begin in (0, 1000, 2000, 3000)]


def test_a_download_that_lasts_longer_than_its_url_gets_new_ones(store: Store) -> None:
    good_until = {1: store.days.now + HOUR, 2: store.days.now + 2.5 * HOUR}

    def turn(request: BaseHTTPRequestHandler) -> bool:
        assert isinstance(request, Answering)
        if request.command != "GET":
            return False
        number = int(request.path[1:])
        if store.days.now > good_until.get(number, float("inf")):
            request.give(403, b"<Code>AccessDenied</Code>")
        elif number == 3:
            return False
        else:
            store.days.now += 2 * HOUR
            begin = 1000 * (number - 1)
            request.break_off(CONTENT[begin : begin + 1000], len(CONTENT) - begin)
        return True

    store.turn = turn
    assert SignedStorage(Access(store.url)).read(URI) == CONTENT
    assert store.signs == 3


def test_a_url_that_is_refused_at_once_is_refused(store: Store) -> None:
    def turn(request: BaseHTTPRequestHandler) -> bool:
        assert isinstance(request, Answering)
        if request.command == "GET":
            request.give(403, b"<Code>AccessDenied</Code>")
        return request.command == "GET"

    store.turn = turn
    with pytest.raises(StorageError, match="AccessDenied"):
        SignedStorage(Access(store.url)).read(URI)
    assert store.sent == ["GET /1 from 0"]


def test_an_upload_that_breaks_off_after_long_is_begun_anew(store: Store) -> None:
    def turn(request: BaseHTTPRequestHandler) -> bool:
        assert isinstance(request, Answering)
        if request.command != "PUT" or len(store.sent) > 1:
            return False
        store.days.now += 600.0
        request.close_connection = True
        return True

    store.turn = turn
    SignedStorage(Access(store.url)).write(URI, CONTENT)
    assert store.stored == CONTENT
    assert store.sent == ["PUT /1", "PUT /1"]


@pytest.mark.parametrize(("ran", "away", "is_stored"), [(10 * DAY, HOUR, True), (60.0, HOUR, False)])
def test_results_of_a_long_attempt_wait_for_a_store_that_is_away(
    store: Store, ran: float, away: float, is_stored: bool
) -> None:
    back = store.days.now + away

    def turn(request: BaseHTTPRequestHandler) -> bool:
        assert isinstance(request, Answering)
        if store.days.now < back:
            request.give(503, b"")
        return store.days.now < back

    store.turn = turn
    storage = SignedStorage(Access(store.url), began=store.days.now - ran)
    if is_stored:
        storage.write(URI, CONTENT)
        assert store.stored == CONTENT
    else:
        with pytest.raises(StorageError, match="503"):
            storage.write(URI, CONTENT)


def test_a_store_that_stays_away_is_given_up_in_the_end(store: Store) -> None:
    def turn(request: BaseHTTPRequestHandler) -> bool:
        assert isinstance(request, Answering)
        store.days.now += 1800.0
        request.give(503, b"")
        return True

    store.turn = turn
    begin = store.days.now
    storage = SignedStorage(Access(store.url), began=begin - 10 * DAY)
    with pytest.raises(StorageError, match="503"):
        storage.write(URI, CONTENT)
    assert store.days.now - begin > LONGEST_PATIENCE
