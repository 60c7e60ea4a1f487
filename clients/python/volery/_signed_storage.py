"""This module reads and writes the object store over HTTP, by signed URLs that the data server gives.

It is what tasks use that have no credentials of the store and do not share a disk with it: in pods, and
wherever the store is S3, GCS or Azure. The data server is asked with the attempt's token; content then goes
to the store itself where that serves HTTP, else through the data server. It takes the standard library only.

What the other side is too busy for, or what breaks off, is tried again for a while: a longer one where an
attempt has run for long, whose work would be lost. Time in which content travels does not count. What was
fetched has the size that was told, and the checksum where one is known; what was put was verified by whoever
stored it.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json
import math
import os
import random
import select
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from volery.errors import StorageError

T = TypeVar("T")

PIECE: Final = 1 << 20
THREADS: Final = 8
"""Objects of a directory that travel at a time."""
AT_ONCE: Final = 200
"""URLs that are asked for at a time."""
TIMEOUT: Final = 60.0
"""Seconds that the other side may say nothing."""
LONGEST_PATIENCE: Final = 6 * 3600.0
"""Seconds for which something is tried again at most, however long the attempt has run."""
_BLOCK: Final = 1 << 18
_FRESH: Final = 60.0
"""Seconds in which a URL does not expire: one that is refused so soon is refused for good."""
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Access:
    """How the data server is reached.

    Attributes:
        data_server: its URL.
        token: shown to it.
        tls_ca: a file of the authorities that sign it; "" for the system's.
    """

    data_server: str
    token: str = field(default="", repr=False)
    tls_ca: str = ""

    @classmethod
    def of(cls, text: str) -> Access | None:
        """Reads an attempt's access, see `TaskContext.access`; None where it tells of no data server."""
        lines = text.split("\n")
        if len(lines) < 4 or not lines[3]:
            return None
        return cls(lines[3].rstrip("/"), lines[2], lines[1])


class Signed(NamedTuple):
    """A URL that the data server gave."""

    uri: str
    url: str
    headers: Mapping[str, str]
    size: int


class Upload(NamedTuple):
    """A file to be put, and what it holds."""

    source: Path
    uri: str
    size: int
    sha256: str


class SignedStorage:
    """Access to the objects of a store, as `Storage` promises.

    Args:
        access: how the data server is reached.
        patience: seconds for which something is tried again.
        began: when the attempt did whose content this is, by the monotonic clock: then it is tried again for
            as long as that has run. None for no such attempt.
    """

    def __init__(self, access: Access, patience: float = 120.0, began: float | None = None) -> None:
        self._access = access
        self._patience = patience
        self._began = began
        self._http = _Http(urlsplit(access.data_server).netloc, access.tls_ca)

    def read(self, uri: str) -> bytes:
        """The content of an object."""
        with tempfile.SpooledTemporaryFile(8 * PIECE) as target:
            self._fetch(uri, target)
            target.seek(0)
            return target.read()

    def write(self, uri: str, data: bytes) -> None:
        """Puts an object, whole or not at all."""
        import io

        digest = hashlib.sha256(data).hexdigest()
        self._put(uri, len(data), digest, lambda: io.BytesIO(data))

    def upload(self, source: Path, uri: str) -> None:
        """Puts a file, whole or not at all."""
        self.upload_known(described(source, uri))

    def upload_known(self, one: Upload) -> None:
        """Puts a file whose checksum is known."""
        self._put(one.uri, one.size, one.sha256, lambda: one.source.open("rb"))

    def upload_all(self, uploads: Iterable[Upload]) -> None:
        """Puts files, some at a time."""
        waiting = list(uploads)
        with ThreadPoolExecutor(min(THREADS, max(1, len(waiting)))) as threads:
            for begin in range(0, len(waiting), AT_ONCE):
                some = waiting[begin : begin + AT_ONCE]
                signed = self._signed_uploads([(one.uri, one.size, one.sha256) for one in some])
                list(threads.map(self._upload_signed, some, signed))

    def local(self, uri: str, directory: Path, sha256: str = "") -> Path:
        """A path where an object's content can be read, fetched into a directory; verified where known."""
        place = _place(uri, directory)
        path = place / (Path(unquote(urlsplit(uri).path)).name or "object")
        if not path.exists():
            place.mkdir(parents=True, exist_ok=True)
            self._fetch_file(uri, path, sha256=sha256)
        return path

    def local_directory(self, prefix: str, directory: Path) -> Path:
        """A path where all objects below a prefix can be read, fetched into a directory."""
        top = _place(prefix, directory) / (Path(unquote(urlsplit(prefix).path)).name or "objects")
        if top.exists():
            return top
        scratch = Path(tempfile.mkdtemp(prefix=".volery-", dir=_made(top.parent)))
        found = 0
        page = ""
        with ThreadPoolExecutor(THREADS) as threads:
            while True:
                answer = self._ask({"prefixes": [prefix], "pageToken": page})
                below = [_signed(each) for each in answer.get("below", ())]
                targets = [_below(each.uri, prefix, scratch) for each in below]
                list(threads.map(self._fetch_signed, below, targets))
                found += len(below)
                page = str(answer.get("nextPageToken", ""))
                if not page:
                    break
        if not found:
            scratch.rmdir()
            raise StorageError(f"cannot read {prefix}: it does not exist")
        os.replace(scratch, top)
        return top

    # What travels

    def _put(self, uri: str, size: int, sha256: str, opened: Callable[[], IO[bytes]]) -> None:
        (signed,) = self._signed_uploads([(uri, size, sha256)])
        self._send(signed, size, sha256, opened)

    def _upload_signed(self, one: Upload, signed: Signed) -> None:
        self._send(signed, one.size, one.sha256, lambda: one.source.open("rb"))

    def _send(self, signed: Signed, size: int, sha256: str, opened: Callable[[], IO[bytes]]) -> None:
        def attempt(to: Signed) -> None:
            with opened() as body:
                headers = {name.title(): value for name, value in to.headers.items()}
                headers["Content-Length"] = str(size)
                with self._http.call("PUT", to.url, headers, body):
                    pass

        def again() -> Signed:
            return self._signed_uploads([(signed.uri, size, sha256)])[0]

        self._try_signed(signed, again, attempt, f"cannot write {signed.uri}")

    def _fetch_signed(self, signed: Signed, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fetch_file(signed.uri, path, signed=signed)

    def _fetch_file(self, uri: str, path: Path, *, sha256: str = "", signed: Signed | None = None) -> None:
        part = path.with_name(f".volery-{threading.get_ident()}-{os.getpid()}.arriving")
        try:
            with part.open("w+b") as target:
                self._fetch(uri, target, sha256=sha256, signed=signed)
            part.chmod(0o444)
            os.replace(part, path)
        except OSError as problem:
            raise StorageError(f"cannot fetch {uri}: {problem.strerror}") from problem
        finally:
            part.unlink(missing_ok=True)

    def _fetch(self, uri: str, target: Any, *, sha256: str = "", signed: Signed | None = None) -> None:
        """Reads into a file, going on where it broke off."""

        def again() -> Signed:
            return _signed(self._ask({"downloads": [uri]})["downloads"][0])

        def attempt(to: Signed) -> None:
            have = target.seek(0, os.SEEK_END)
            headers = {**to.headers, **({"Range": f"bytes={have}-"} if have else {})}
            with self._http.call("GET", to.url, headers) as answer:
                if have and answer.status != 206:
                    target.seek(0)
                    target.truncate()
                while piece := answer.read(PIECE):
                    target.write(piece)
                if answer.length:  # the library tells of it only who reads all at once
                    raise ConnectionError(f"it broke off, {answer.length} bytes before its end")

        self._try_signed(signed, again, attempt, f"cannot read {uri}", lambda: target.seek(0, os.SEEK_END))
        if sha256:
            target.seek(0)
            digest = hashlib.sha256()
            while piece := target.read(PIECE):
                digest.update(piece)
            if digest.hexdigest() != sha256:
                raise StorageError(f"{uri} is not what was put there: its hash differs")

    def _try_signed(
        self,
        signed: Signed | None,
        again: Callable[[], Signed],
        attempt: Callable[[Signed], None],
        what: str,
        arrived: Callable[[], int] = lambda: 0,
    ) -> None:
        """Does something with a URL; with a new one where it is no longer taken."""
        got = -math.inf if signed is not None else time.monotonic()
        to = again() if signed is None else signed
        while True:
            try:
                return self._patiently(partial(attempt, to), what, arrived)
            except _Refused as refusal:
                if refusal.status not in _REFUSED or time.monotonic() - got < _FRESH:
                    raise StorageError(f"{what}: {refusal}") from None
                got = time.monotonic()
                to = again()

    # URLs

    def _signed_uploads(self, uploads: Sequence[tuple[str, int, str]]) -> list[Signed]:
        asked = [{"uri": uri, "sizeBytes": str(size), "sha256": sha256} for uri, size, sha256 in uploads]
        return [_signed(each) for each in self._ask({"uploads": asked})["uploads"]]

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        server = self._access.data_server
        if self._access.token and not _is_private(server):
            raise StorageError(f"refusing to send a token to {server}, where others can read it")
        headers = {"Content-Type": "application/json"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        body = json.dumps(request).encode()

        def attempt() -> dict[str, Any]:
            import io

            headers["Content-Length"] = str(len(body))
            with self._http.call("POST", f"{server}/v1/blobs:sign", headers, io.BytesIO(body)) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found

        try:
            return self._patiently(attempt, f"the data server {server} gives no URLs")
        except _Refused as refusal:
            raise StorageError(f"the data server gives no URL: {refusal}") from None

    def _lasting(self) -> float:
        if self._began is None:
            return self._patience
        return max(self._patience, min(time.monotonic() - self._began, LONGEST_PATIENCE))

    def _patiently(self, attempt: Callable[[], T], what: str, arrived: Callable[[], int] = lambda: 0) -> T:
        """Tries until it works; gives up when nothing has come of it for as long as there is patience.

        Args:
            attempt: what is tried.
            what: what it is, should it not work.
            arrived: how much has come so far, of what is not begun anew.
        """
        patience = self._lasting()
        spent, most = 0.0, arrived()
        delay = _FIRST_DELAY
        while True:
            began = time.monotonic()
            try:
                return attempt()
            except _Passing as problem:
                told: Exception = problem
                wait = max(delay, problem.after)
            except ssl.SSLCertVerificationError as problem:
                raise StorageError(f"{what}: it is not trusted: {problem.verify_message}") from problem
            except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as problem:
                told, wait = problem, delay
            except OSError as problem:
                if problem.errno is not None and problem.filename is not None:  # a file of ours
                    raise StorageError(f"{what}: {problem.strerror}") from problem
                told, wait = problem, delay
            wait *= random.uniform(1.0, 1.5)  # noqa: S311  # those who were turned away together spread
            # The other side may be silent for so long; what took longer has travelled, and broke off.
            spent += min(time.monotonic() - began, TIMEOUT) + wait
            if (have := arrived()) > most:
                most, spent, delay = have, wait, _FIRST_DELAY
            if spent > patience:
                raise StorageError(f"{what}: {told or type(told).__name__}") from told
            time.sleep(wait)
            delay = min(delay * 2, _LONGEST_DELAY)


class _Refused(Exception):
    """The other side said no, and will say so again."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Passing(Exception):
    """The other side cannot now; later it may."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


class _Http:
    """Connections that are kept open and taken by whoever needs one.

    Args:
        server: the data server, as in its URL; known by the authorities of `tls_ca` alone.
        tls_ca: the file of those; "" for the system's. The store may be known by either.
    """

    def __init__(self, server: str, tls_ca: str) -> None:
        self._server = server
        self._tls_ca = tls_ca
        self._lock = threading.Lock()
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        weakref.finalize(self, _close_all, self._idle)

    @contextlib.contextmanager
    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: IO[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Sends a request; gives the answer, whose content is read within the block.

        Raises:
            _Refused: it is refused.
            _Passing: it may be tried again.
        """
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        where = (parts.scheme, parts.netloc)
        connection = self._taken(where)
        is_whole = False
        try:
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it closed
                connection.request(method, target, body, dict(headers))
            with connection.getresponse() as answer:
                if answer.status >= 300:
                    _raise(answer)
                yield answer
                answer.read()
                is_whole = not answer.will_close
        finally:
            if is_whole:
                with self._lock:
                    self._idle.setdefault(where, []).append(connection)
            else:
                connection.close()

    def _taken(self, where: tuple[str, str]) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                idle = self._idle.get(where)
                found = idle.pop() if idle else None
            if found is None:
                return self._made(*where)
            if found.sock is not None and not select.select([found.sock], [], [], 0)[0]:
                return found
            found.close()  # the other side has closed it

    def _made(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(netloc, timeout=TIMEOUT, blocksize=_BLOCK)
        if scheme != "https":
            raise StorageError(f"{scheme}:// is no address of a data server")
        context = self._context(netloc == self._server)
        return http.client.HTTPSConnection(netloc, timeout=TIMEOUT, context=context, blocksize=_BLOCK)

    def _context(self, is_server: bool) -> ssl.SSLContext:
        with self._lock:
            context = self._contexts.get(is_server)
            if context is None:
                context = ssl.create_default_context(cafile=(self._tls_ca if is_server else "") or None)
                if self._tls_ca and not is_server:
                    context.load_verify_locations(self._tls_ca)
                self._contexts[is_server] = context
            return context


def _close_all(idle: dict[tuple[str, str], list[http.client.HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _raise(answer: http.client.HTTPResponse) -> None:
    content = answer.read(64 * 1024)
    message = f"{answer.status} {answer.reason}"
    try:
        message = str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        code = content.partition(b"<Code>")[2].partition(b"</Code>")[0]  # as S3 writes it
        if code:
            message = f"{message} ({code.decode(errors='replace')[:80]})"
    if answer.status == 404:
        raise _Refused(404, "it does not exist")
    if answer.status in _PASSING:
        after = answer.getheader("Retry-After") or ""
        raise _Passing(message, min(float(after), 30.0) if after.isdigit() else 0.0)
    raise _Refused(answer.status, message)


def described(source: Path, uri: str) -> Upload:
    """A file with its size and checksum."""
    digest = hashlib.sha256()
    try:
        with source.open("rb") as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
            size = stream.tell()
    except OSError as problem:
        raise StorageError(f"cannot read {source}: {problem.strerror}") from problem
    return Upload(source, uri, size, digest.hexdigest())


def _signed(told: Mapping[str, Any]) -> Signed:
    return Signed(told["uri"], told["url"], told.get("headers", {}), int(told.get("sizeBytes", 0)))


def _place(uri: str, directory: Path) -> Path:
    """A directory for what a URI names, and for nothing else."""
    return directory / hashlib.sha256(uri.encode()).hexdigest()[:16]


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _below(uri: str, prefix: str, top: Path) -> Path:
    """Where an object below a prefix goes below a directory; never outside, whatever it is called."""
    base = f"{unquote(urlsplit(prefix).path).rstrip('/')}/"
    path = unquote(urlsplit(uri).path)
    names = path.removeprefix(base).split("/")
    if not path.startswith(base) or any(name in ("", ".", "..") or "\0" in name for name in names):
        raise StorageError(f"{uri} is not below {prefix}")
    return top.joinpath(*names)


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
