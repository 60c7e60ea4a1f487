"""Data: files on their way between clients and the object store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from volery_controlplane.domain.errors import Denied, Invalid, NotFound, TooLarge, Violation
from volery_controlplane.domain.principals import Principal
from volery_controlplane.domain.references import EXECUTIONS, ancestors
from volery_controlplane.domain.retention import HolderKind
from volery_controlplane.services.ports import BlobStore, Database, Transaction
from volery_controlplane.services.projects import Tenancy

PIECE = 1024 * 1024
"""The largest piece of content in one message."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlobStat:
    """Content that the store has."""

    uri: str
    size: int


class Data:
    """Use cases of files.

    Args:
        database: knows the projects.
        blobs: the object store.
        tenancy: who may add.
        size_limit: the largest upload, in bytes.
    """

    def __init__(self, database: Database, blobs: BlobStore, tenancy: Tenancy, size_limit: int) -> None:
        self._database = database
        self._blobs = blobs
        self._tenancy = tenancy
        self._size_limit = size_limit

    @property
    def storage_uri(self) -> str:
        """Where large values lie."""
        return self._blobs.root

    async def upload(
        self, project: str, domain: str, sha256: str, size: int, chunks: AsyncIterator[bytes]
    ) -> tuple[str, bool]:
        """Stores content that has the hash and size announced; gives its URI and whether it was there."""
        checked_sha256("header.sha256", sha256)
        if size > self._size_limit:
            raise TooLarge(
                f"{size} bytes are more than an upload may have, {self._size_limit}",
                {"limit": str(self._size_limit), "limit_name": "blob_size_limit"},
            )
        await self._database.read(lambda tx: self._tenancy.check_open(tx, project, domain))
        return await self._blobs.put(sha256, size, _within_pieces(chunks))

    async def stat(self, sha256: str) -> BlobStat | None:
        """Where content with this hash lies, where it does."""
        found = await self._blobs.stat(checked_sha256("sha256", sha256))
        return None if found is None else BlobStat(*found)

    async def open(self, uri: str, sha256: str, reader: Principal) -> BlobStat:
        """Finds content by URI or hash; raises NotFound or Denied."""
        if uri:
            place = await self._blobs.place(uri)
            if not reader.may_read(place):
                await self._database.read(lambda tx: require_given(tx, reader, [place]))
            return BlobStat(uri, await self._blobs.size(uri))
        found = await self.stat(sha256)
        if found is None:
            raise NotFound(
                f"no content has the SHA-256 {sha256}", {"resource_type": "blob", "resource_name": sha256}
            )
        return found

    async def pieces(self, found: BlobStat) -> AsyncIterator[bytes]:
        """Content, a piece at a time."""
        offset = 0
        while offset < found.size:
            piece = await self._blobs.read(found.uri, offset, min(PIECE, found.size - offset))
            if not piece:
                return  # it was cut while being read; the client sees that the size is not reached
            offset += len(piece)
            yield piece


def require_given(tx: Transaction, reader: Principal, places: Sequence[str]) -> None:
    """Raises Denied unless content that lies with others was given to the reader's own execution.

    An attempt is given files and values that other executions made: as inputs, or by the cache. What it was
    given is noted, since it must be kept for it (see `uses`). It stays within its project: there others could
    be named by whoever may read them anyway.
    """
    mine = reader.execution
    record = tx.executions.get(mine) if mine is not None else None
    for place in places:
        is_near = mine is not None and place.startswith(f"{EXECUTIONS}/{mine.project}/")
        if (
            record is None
            or not is_near
            or not tx.objects.is_used_by(HolderKind.EXECUTION, str(record.key), ancestors(place)[:-1])
        ):
            raise Denied(
                f"{reader.name} may not read {place}; it lies with another execution or project",
                {"principal": reader.name, "role": str(reader.role)},
            )


def checked_sha256(field: str, sha256: str) -> str:
    """Gives a hash in its one form.

    Raises:
        Invalid: when it is not one.
    """
    if not _SHA256.fullmatch(sha256):
        message = f"{field} is not a SHA-256 in lower-case hexadecimal"
        raise Invalid(message, [Violation(field, message, "BAD_SHA256")])
    return sha256


async def _within_pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if len(chunk) > PIECE:
            raise TooLarge(
                f"a piece has at most {PIECE} bytes, not {len(chunk)}",
                {"limit": str(PIECE), "limit_name": "chunk_size"},
            )
        yield chunk
