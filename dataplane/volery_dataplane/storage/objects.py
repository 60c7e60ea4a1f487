"""The object store in S3, GCS or Azure, for workers that have credentials of their own.

Endpoints and credentials come from the environment that the library reads: `AWS_…`, `GOOGLE_…`, `AZURE_…`.
URIs are those of the control plane: names of objects are their decoded paths.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from volery_dataplane.worker.ports import Unreachable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = frozenset({"s3", "gs", "az"})
PART = 8 * 1024 * 1024
"""Bytes of a part of what is put in parts."""
_PATIENCE = timedelta(seconds=30)
_ALLOW_HTTP = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")


class NoObjects(Unreachable):
    """The library that object stores take is missing."""


class ObjectBlobs:
    """The `Blobs` port over `s3://`, `gs://` and `az://` URIs."""

    def __init__(self) -> None:
        try:
            import obstore  # noqa: F401  # whether it is there is told at the start, not at the first value
        except ImportError:
            raise NoObjects(
                "direct access to an object store takes the extra `objects`:"
                " pip install 'volery-dataplane[objects]'"
            ) from None
        self._stores: dict[str, ObjectStore] = {}

    async def get(self, uri: str) -> bytes:
        """The content at a URI.

        Raises:
            LookupError: there is nothing.
            Unreachable: the store is away, or does not let this worker in.
        """
        import obstore

        with _translated(uri):
            store, name = self._found(uri)
            answer = await obstore.get_async(store, name)
            return bytes(await answer.bytes_async())

    async def put(self, uri: str, data: bytes) -> None:
        """Puts content at a URI, all of it or nothing."""
        import obstore

        with _translated(uri):
            store, name = self._found(uri)
            await obstore.put_async(store, name, data, chunk_size=PART, max_concurrency=2)

    async def put_file(self, path: str, uri: str) -> None:
        """Puts a file's content at a URI, all of it or nothing; the file is gone afterwards."""
        import obstore

        with _translated(uri):
            store, name = self._found(uri)
            await obstore.put_async(store, name, Path(path), chunk_size=PART, max_concurrency=2)
        await asyncio.to_thread(Path(path).unlink, missing_ok=True)

    def _found(self, uri: str) -> tuple[ObjectStore, str]:
        from obstore.store import from_url

        parts = urlsplit(uri)
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise LookupError(f"{uri} is not in an object store")
        bucket = f"{parts.scheme}://{parts.netloc}"
        store = self._stores.get(bucket)
        if store is None:
            is_plain = any(os.environ.get(name, "").lower() in ("1", "true") for name in _ALLOW_HTTP)
            store = self._stores[bucket] = from_url(
                bucket,
                client_options={
                    "allow_http": is_plain,
                    "timeout": timedelta(seconds=30),
                    "connect_timeout": timedelta(seconds=5),
                },
                retry_config={
                    "max_retries": 8,
                    "retry_timeout": _PATIENCE,
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=100),
                        "max_backoff": timedelta(seconds=3),
                        "base": 2,
                    },
                },
            )
        return store, unquote(parts.path).strip("/")


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as missing:
        raise LookupError(f"nothing lies at {uri}") from missing
    except BaseError as problem:
        raise Unreachable(str(problem).partition("\n")[0]) from problem
