"""Which way a worker takes to the object store: the disk, its own credentials, or the control plane."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Literal, get_args

from volery_dataplane.storage.carried import CarriedBlobs
from volery_dataplane.storage.files import FileBlobs, local_path
from volery_dataplane.storage.objects import SCHEMES, NoObjects, ObjectBlobs
from volery_dataplane.worker.ports import Blobs

StorageAccess = Literal["auto", "direct", "data-server"]
STORAGE_ACCESSES: tuple[StorageAccess, ...] = get_args(StorageAccess)

_CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_CLIENT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_STORAGE_TOKEN",
    ),
}
_PARTS = ("/executions/", "/logs/", "/blobs/")


class ChosenBlobs:
    """The `Blobs` port over whichever way leads to a URI.

    Args:
        access: `direct`, `data-server`, or `auto`: direct where the directory or credentials are there.
        carried: through the control plane.
        environment: says which credentials there are.

    Raises:
        NoObjects: direct access is asked for and the library is missing.
    """

    def __init__(
        self, access: StorageAccess, carried: CarriedBlobs, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._access = access
        self._carried = carried
        self._files = FileBlobs()
        self._objects: ObjectBlobs | None = None
        self._schemes = {
            scheme
            for scheme in SCHEMES
            if access == "direct" or any(environment.get(name) for name in _CREDENTIALS[scheme])
        }
        if access == "direct" or (access == "auto" and self._schemes):
            try:
                self._objects = ObjectBlobs()
            except NoObjects:
                self._schemes = (
                    set()
                )  # told by the first URI that needs it, where direct access was asked for

    async def get(self, uri: str) -> bytes:
        """The content at a URI; raises Unreachable or LookupError."""
        return await (await self._way(uri)).get(uri)

    async def put(self, uri: str, data: bytes) -> None:
        """Puts content at a URI, all of it or nothing."""
        await (await self._way(uri)).put(uri, data)

    async def put_file(self, path: str, uri: str) -> None:
        """Puts a file's content at a URI, all of it or nothing; the file is gone afterwards."""
        await (await self._way(uri)).put_file(path, uri)

    async def _way(self, uri: str) -> Blobs:
        scheme = uri.partition("://")[0]
        if self._access == "data-server":
            return self._carried
        if scheme == "file":
            is_here = self._access == "direct" or await asyncio.to_thread(_is_here, uri)
            return self._files if is_here else self._carried
        if self._objects is not None and scheme in self._schemes:
            return self._objects
        if self._access == "direct":
            return ObjectBlobs()  # says what is missing
        return self._carried


def _is_here(uri: str) -> bool:
    """Whether the directory of the store that a URI lies in is one of this machine."""
    for part in _PARTS:
        root, found, _ = uri.partition(part)
        if found:
            return local_path(root).is_dir()
    return local_path(uri).parent.is_dir()
