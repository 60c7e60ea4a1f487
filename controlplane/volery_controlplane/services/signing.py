"""Signing: URLs by which content is read and written over HTTP, without credentials, for a while.

Where the store serves HTTP itself the URLs are its own, so that content passes nobody else. Else, and for
uploads under a hash, which must be verified, they are of the data server. All that a request asks for is
granted, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from volery_controlplane.domain import data_urls
from volery_controlplane.domain.data_urls import DataUrl
from volery_controlplane.domain.errors import (
    Denied,
    Invalid,
    TooLarge,
    Unauthenticated,
    Violation,
    WrongPhase,
)
from volery_controlplane.domain.principals import Principal
from volery_controlplane.domain.records import Micros
from volery_controlplane.domain.references import UPLOADS, upload
from volery_controlplane.services.data import checked_sha256, require_given
from volery_controlplane.services.ports import BlobStore, Database, StoredObject

DEFAULT_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=1)
MOST = 1_000
"""Downloads and uploads of one request."""
MOST_PREFIXES = 100
PAGE = 1_000
"""Objects below prefixes in one answer."""
LONGEST_URI = 4_096


@dataclass(frozen=True, slots=True)
class Upload:
    """What is to be written: where, how many bytes, and their SHA-256."""

    uri: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What URLs are asked for.

    Attributes:
        downloads: URIs to read.
        uploads: what is to be written.
        prefixes: URIs below which everything is to be read.
        page: where to go on below them; "" at the beginning.
        lifetime: how long the URLs are to serve; None for the default.
    """

    downloads: Sequence[str] = ()
    uploads: Sequence[Upload] = ()
    prefixes: Sequence[str] = ()
    page: str = ""
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL, what it does, and until when, in microseconds since the epoch."""

    uri: str
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    expires: Micros
    size: int = 0


@dataclass(frozen=True, slots=True)
class Granted:
    """The URLs, as they were asked for."""

    downloads: Sequence[SignedUrl]
    uploads: Sequence[SignedUrl]
    below: Sequence[SignedUrl]
    next_page: str


class Signing:
    """Use cases of signed URLs.

    Args:
        database: knows who was given what, and the time.
        blobs: the object store.
        size_limit: the largest upload, in bytes.

    Attributes:
        data_server: the data server's URL, known once it listens; "" where there is none.
    """

    def __init__(self, database: Database, blobs: BlobStore, size_limit: int) -> None:
        self._database = database
        self._blobs = blobs
        self._size_limit = size_limit
        self.data_server = ""

    async def sign(self, caller: Principal, asked: Asked) -> Granted:
        """Gives URLs.

        Raises:
            Invalid: a hash, a size or a lifetime is none, or there are too many.
            Denied: one of them is not the caller's to read or write.
            TooLarge: an upload is.
            WrongPhase: it takes a data server, and there is none.
        """
        lifetime = _checked(asked)
        for one in asked.uploads:
            await self._check_upload(caller, one)
        places = [await self._blobs.place(uri) for uri in (*asked.downloads, *asked.prefixes)]
        await self._check_reads(caller, places, prefixes=len(asked.prefixes))
        for one in asked.uploads:
            if (await self._blobs.place(one.uri)).startswith(f"{UPLOADS}/"):
                await self._blobs.stat(one.sha256)  # what is there already counts as new again
        now = await self._database.read(lambda tx: tx.now)
        found, next_page = await self._below(asked.prefixes, asked.page)
        signer = _Signer(self._blobs, self._database.installation_secret(), self.data_server, now, lifetime)
        return Granted(
            [await signer.url("GET", uri) for uri in asked.downloads],
            [await signer.url("PUT", one.uri, one.size, one.sha256) for one in asked.uploads],
            [await signer.url("GET", each.uri, each.size) for each in found],
            next_page,
        )

    async def opened(self, token: str, method: str) -> DataUrl:
        """What a URL of the data server allows.

        Raises:
            Unauthenticated: it was not made here, has expired, or is for another method.
        """
        url = data_urls.read(self._database.installation_secret(), token)
        if url is None:
            raise Unauthenticated("this installation did not sign the URL")
        if url.method != method:
            raise Denied(f"the URL is signed for {url.method}, not for {method}")
        now = await self._database.read(lambda tx: tx.now)
        if now > url.expires * 1_000_000:
            raise Unauthenticated("the URL has expired; ask for a new one")
        return url

    async def _check_upload(self, caller: Principal, one: Upload) -> None:
        checked_sha256("uploads.sha256", one.sha256)
        if one.size > self._size_limit:
            raise TooLarge(
                f"{one.size} bytes are more than an upload may have, {self._size_limit}",
                {"limit": str(self._size_limit), "limit_name": "blob_size_limit"},
            )
        place = await self._blobs.place(one.uri)
        if not caller.may_write(place):
            raise Denied(
                f"{caller.name} may not write {place}"
                + (f"; what it makes goes below {caller.place}" if caller.place else ""),
                {"principal": caller.name, "role": str(caller.role)},
            )
        if place.startswith(f"{UPLOADS}/") and place != upload(one.sha256):
            message = f"content with this hash is uploaded to {upload(one.sha256)}, not to {place}"
            raise Invalid(message, [Violation("uploads.uri", message, "MISPLACED_UPLOAD")])

    async def _check_reads(self, caller: Principal, places: Sequence[str], prefixes: int) -> None:
        odd = [place for place in places[len(places) - prefixes :] if place.count("/") < 2]
        if odd:
            message = f"a prefix names what one execution made, and not as much as {odd[0] or 'everything'}"
            raise Invalid(message, [Violation("prefixes", message, "PREFIX_TOO_SHORT")])
        foreign = [place for place in places if not caller.may_read(place)]
        if foreign:
            await self._database.read(lambda tx: require_given(tx, caller, foreign))

    async def _below(self, prefixes: Sequence[str], page: str) -> tuple[Sequence[StoredObject], str]:
        begin, after = _position(page, len(prefixes))
        found: list[StoredObject] = []
        for number in range(begin, len(prefixes)):
            more = await self._blobs.below(prefixes[number], after, PAGE - len(found))
            found += more
            if len(found) >= PAGE:
                return found, f"{number}:{found[-1].place}"
            after = ""
        return found, ""


class _Signer:
    """Makes the URLs of one request, which expire together."""

    def __init__(
        self, blobs: BlobStore, secret: bytes, data_server: str, now: Micros, lifetime: timedelta
    ) -> None:
        self._blobs = blobs
        self._secret = secret
        self._data_server = data_server
        self._lifetime = lifetime
        self._expires = now // 1_000_000 + int(lifetime.total_seconds())

    async def url(self, method: str, uri: str, size: int = 0, sha256: str = "") -> SignedUrl:
        expires = Micros(self._expires * 1_000_000)
        presigned = await self._blobs.presigned(method, uri, self._lifetime, size, sha256)
        if presigned is not None:
            return SignedUrl(uri, method, presigned.url, presigned.headers, expires, size)
        if not self._data_server:
            raise WrongPhase(
                "this server has no data server, so there are no URLs for this; --data-listen starts one",
                {"setting": "data_listen"},
            )
        url = DataUrl(method, await self._blobs.place(uri), self._expires, size, sha256)
        token = data_urls.mint(self._secret, url)
        return SignedUrl(uri, method, f"{self._data_server}/v1/blobs/{token}", {}, expires, size)


def _checked(asked: Asked) -> timedelta:
    """How long the URLs serve; raises Invalid."""
    uris = [*asked.downloads, *asked.prefixes, *(one.uri for one in asked.uploads)]
    problems = []
    if len(asked.downloads) + len(asked.uploads) > MOST:
        problems.append(Violation("downloads", f"at most {MOST} downloads and uploads", "TOO_MANY"))
    if len(asked.prefixes) > MOST_PREFIXES:
        problems.append(Violation("prefixes", f"at most {MOST_PREFIXES} prefixes", "TOO_MANY"))
    if any(len(uri) > LONGEST_URI for uri in uris):
        problems.append(Violation("uri", f"a URI has at most {LONGEST_URI} characters", "TOO_LONG"))
    lifetime = DEFAULT_LIFETIME if asked.lifetime is None else min(asked.lifetime, LONGEST_LIFETIME)
    if lifetime < timedelta(seconds=1):
        problems.append(Violation("lifetime", "URLs serve for a second or longer", "TOO_SHORT"))
    if problems:
        raise Invalid("; ".join(problem.message for problem in problems), problems)
    return lifetime


def _position(page: str, prefixes: int) -> tuple[int, str]:
    if not page:
        return 0, ""
    number, colon, after = page.partition(":")
    is_number = number.isascii() and number.isdigit() and len(number) < 4
    if not colon or not is_number or int(number) >= prefixes or len(after) > LONGEST_URI:
        message = "page_token is not one that was answered"
        raise Invalid(message, [Violation("page_token", message, "BAD_PAGE_TOKEN")])
    return int(number), after
