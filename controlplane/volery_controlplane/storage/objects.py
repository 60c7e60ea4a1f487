"""The object store in S3, GCS or Azure.

Content lies where it lies in a directory (see `files`): uploads under their hash, what others put elsewhere
below the root. An object appears whole and verified or not at all: short content is checked before it is
sent, long content goes up in parts that are joined only when their checksum was right.

Uploads that nobody refers to are removed after a while (see `object_sweeping`), and an object's time cannot
be moved as a file's can. So who uploads or asks for content by hash first puts an empty mark beside it, whose
time counts too, and waits while somebody sweeps in that part of the store: who sweeps looks at marks after
having said so. Thus what was just acknowledged is not taken away.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.services.ports import Presigned, StoredObject
from volery_controlplane.storage.object_access import Place, not_found, open_store, outside, translated
from volery_controlplane.storage.presigning import access_key, held_to, with_plain_name

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

SHORT: Final = 8 * 1024 * 1024
"""Content of up to so many bytes is sent in one piece."""
_PARTS: Final = 9_000
"""S3 takes 10,000 parts of an object."""
_LOOK_AGAIN: Final = 0.2
LONGEST_SWEEP: Final = 30.0
"""Seconds after which who sweeps removes nothing any more without saying anew that it does."""
_SWEPT: Final = LONGEST_SWEEP + 60.0
"""Seconds after which nobody can be sweeping who said so before; a request and its repeats take time."""


class ObjectBlobStore:
    """The `BlobStore` port over an object store.

    Args:
        place: where it is.
        public_endpoint: the URL of the service in presigned URLs, where tasks and clients know it by another
            than this server does.
        store: the open store; opened here where not given.
        verifies_unheld: no URL is signed for an upload that the store cannot hold to its size and checksum.

    Raises:
        NoSuchStore: it cannot be opened.
    """

    def __init__(
        self,
        place: Place,
        public_endpoint: str = "",
        store: ObjectStore | None = None,
        verifies_unheld: bool = False,
    ) -> None:
        self._place = place
        self._verifies_unheld = verifies_unheld
        self._store = store if store is not None else open_store(place)
        # Names are signed from the bucket on.
        self._signs = open_store(Place(place.scheme, place.bucket, ""), public_endpoint)

    @property
    def root(self) -> str:
        """Its URI."""
        return self._place.uri

    async def put(self, sha256: str, size: int, chunks: AsyncIterator[bytes]) -> tuple[str, bool]:
        """Stores content under its hash; gives its URI and whether it was there."""
        target = _upload(sha256)
        uri = self._place.uri_of(target)
        content = _verified(chunks, size, sha256)
        with translated(uri):
            await self._rely_on(sha256)
            existed = await self._head(target) is not None
            if existed:
                # It is verified in any case: the caller must not learn by a short cut that its announcement
                # was never checked.
                async for _ in content:
                    pass
            else:
                await self._write(target, size, content)
        return uri, existed

    async def put_at(self, uri: str, sha256: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Stores content at a place below the root."""
        target = self._target(uri)
        with translated(uri):
            await self._write(target, size, _verified(chunks, size, sha256))

    async def stat(self, sha256: str) -> tuple[str, int] | None:
        """URI and size of content by hash; it counts as new again, since somebody relies on it now."""
        target = _upload(sha256)
        uri = self._place.uri_of(target)
        with translated(uri):
            if await self._head(target) is None:
                return None  # nor is a mark left for whatever anybody asks for
            await self._rely_on(sha256)
            found = await self._head(target)
        return None if found is None else (uri, found["size"])

    async def place(self, uri: str) -> str:
        """Where a URI leads below the root; raises Denied where it leads outside."""
        return self._target(uri)

    async def read(self, uri: str, offset: int, size: int) -> bytes:
        """A piece of content; raises NotFound, and Denied for a URI outside the root."""
        import obstore
        from obstore.exceptions import GenericError

        target = self._target(uri)
        with translated(uri):
            if not size:
                return b""
            try:
                return bytes(await obstore.get_range_async(self._store, target, start=offset, length=size))
            except GenericError:
                # A store refuses a piece behind the end, where a file gives nothing.
                found = await self._head(target)
                if found is None or found["size"] > offset:
                    raise
                return b""

    async def size(self, uri: str) -> int:
        """The size of content; raises as `read`."""
        target = self._target(uri)
        with translated(uri):
            found = await self._head(target)
        if found is None:
            raise not_found(uri)
        return found["size"]

    async def below(self, uri: str, after: str, limit: int) -> Sequence[StoredObject]:
        """Some of what lies below a prefix, in order of places, after one of them."""
        import obstore

        target = self._target(uri)
        found: list[StoredObject] = []
        with translated(uri):
            listing = obstore.list(
                self._store, f"{target}/", offset=after or None, chunk_size=min(limit, 1000)
            )
            async for page in listing:
                # Azure knows no place to begin at, in older versions of its protocol, and tells all.
                found += [
                    StoredObject(self._place.uri_of(each["path"]), each["path"], each["size"])
                    for each in page
                    if each["path"] > after
                ]
                if len(found) >= limit:
                    break
        return found[:limit]

    async def presigned(
        self, method: str, uri: str, lifetime: timedelta, size: int = 0, sha256: str = ""
    ) -> Presigned | None:
        """A URL by which content is read or written at the store itself."""
        target = self._target(uri)
        if method == "PUT" and target.startswith("blobs/"):
            return None  # what gets its name by its hash is verified here, or anybody could give it any name
        with translated(uri):
            url = await self._signed(method, target, lifetime)
        if not url:
            return None
        if method != "PUT":
            return Presigned(url, {})
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if self._place.scheme == "s3" and secret and access_key(url) == os.environ.get("AWS_ACCESS_KEY_ID"):
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            headers = {"content-length": str(size), "x-amz-checksum-sha256": checksum}
            return Presigned(held_to(url, method, headers, secret), headers)
        if self._verifies_unheld:
            return None
        return Presigned(url, {"x-ms-blob-type": "BlockBlob"} if self._place.scheme == "az" else {})

    async def _signed(self, method: str, target: str, lifetime: timedelta) -> str:
        """A URL with a signature; "" where nobody here can sign it."""
        import obstore

        name = f"{self._place.prefix}/{target}".removeprefix("/")
        # Of GCS the library takes the name for a part of a URL, which it signs as it stands.
        path = quote(name) if self._place.scheme == "gs" else name
        url: str = await obstore.sign_async(self._signs, method, path, lifetime)  # type: ignore[call-overload]  # each scheme's store signs
        if self._place.scheme == "az" and "%" in urlsplit(url).path:
            return with_plain_name(url, f"{self._place.bucket}/{name}", os.environ)
        return url

    def _target(self, uri: str) -> str:
        target = self._place.target(uri)
        if target is None:
            raise outside(uri)
        return target

    async def _head(self, target: str) -> ObjectMeta | None:
        import obstore

        try:
            return await obstore.head_async(self._store, target)
        except FileNotFoundError:
            return None

    async def _write(self, target: str, size: int, content: AsyncIterator[bytes]) -> None:
        import obstore

        if size <= SHORT:
            whole = b"".join([piece async for piece in content])
            await obstore.put_async(self._store, target, whole, use_multipart=False)
            return
        part = max(SHORT, size // _PARTS + 1)
        # What the content raises ends the upload, and the parts that are there are removed.
        await obstore.put_async(self._store, target, content, chunk_size=part, max_concurrency=2)

    async def _rely_on(self, sha256: str) -> None:
        """Says that somebody relies on content, and waits while somebody sweeps near it."""
        import obstore

        await obstore.put_async(self._store, mark_of(_upload(sha256)), b"", use_multipart=False)
        loop = asyncio.get_running_loop()
        first = ""
        until = loop.time() + _SWEPT
        while (swept := await self._head(sweep_of(sha256[:2]))) is not None:
            etag = str(swept["e_tag"]) + swept["last_modified"].isoformat()
            if etag != first:
                first, until = etag, loop.time() + _SWEPT
            if loop.time() >= until:
                return  # whoever said so is gone
            await asyncio.sleep(_LOOK_AGAIN)


def mark_of(target: str) -> str:
    """Where the mark of an upload lies, which says when somebody relied on it last."""
    return f"relied/{target.removeprefix('blobs/')}"


def sweep_of(shard: str) -> str:
    """Where somebody says that it sweeps a part of the uploads."""
    return f"sweeping/{shard}"


def _upload(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


async def _verified(chunks: AsyncIterator[bytes], size: int, sha256: str) -> AsyncIterator[bytes]:
    """Hands content on; raises Invalid before its end where it is not what was announced."""
    digest, received = hashlib.sha256(), 0
    async for chunk in chunks:
        received += len(chunk)
        if received > size:
            raise _mismatch("header.size_bytes", "more content came than was announced")
        digest.update(chunk)
        if received == size and digest.hexdigest() != sha256:
            raise _mismatch("header.sha256", f"the content's SHA-256 is {digest.hexdigest()}")
        if chunk:
            yield chunk
    if received != size:
        raise _mismatch("header.size_bytes", f"{received} bytes came, {size} were announced")
    if digest.hexdigest() != sha256:
        raise _mismatch("header.sha256", f"the content's SHA-256 is {digest.hexdigest()}")


def _mismatch(field: str, message: str) -> Invalid:
    return Invalid(message, [Violation(field, message, "CONTENT_MISMATCH")])
