"""This module carries large content between a program and a server by signed URLs, past gRPC.

The program asks for URLs over its connection to the server; content then travels over HTTP, to the store
itself or to the server's data server, which verifies what gets its name by its hash.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from volery._idl.voleryidl.data import v1 as data
from volery._signed_storage import Access, SignedStorage, described
from volery.errors import RpcError, StorageError
from volery.storage import Stored

PATIENCE: Final = 10.0
"""Seconds after which gRPC is taken, since not every program reaches what servers reach."""

Sign = Callable[[data.SignBlobsRequest], data.SignBlobsResponse]


class UrlTransfer(SignedStorage):
    """Carries content by signed URLs; raises StorageError where that cannot be.

    Args:
        sign: asks the server for URLs.
        exists: asks it whether it has content with a SHA-256.
        root: where content lies, a URI.
        data_server: its URL.
        tls_ca: a file of the authorities that sign it; "" for the system's.
    """

    def __init__(
        self, sign: Sign, exists: Callable[[str], bool], root: str, data_server: str, tls_ca: str
    ) -> None:
        super().__init__(Access(data_server, "", tls_ca), patience=PATIENCE)
        self._sign = sign
        self._exists = exists
        self._root = root.rstrip("/")

    def put(self, content: bytes) -> str:
        """Stores bytes under their SHA-256; gives their URI."""
        digest = hashlib.sha256(content).hexdigest()
        uri = self._uri(digest)
        if not self._exists(digest):
            self._put(uri, len(content), digest, lambda: io.BytesIO(content))
        return uri

    def put_file(self, source: Path) -> Stored:
        """Stores a file under its SHA-256."""
        one = described(source, "")
        uri = self._uri(one.sha256)
        if not self._exists(one.sha256):
            self.upload_known(one._replace(uri=uri))
        return Stored(uri, one.size, one.sha256)

    def get_file(self, uri: str, target: Path) -> None:
        """Reads what a URI refers to into a file."""
        self._fetch_file(uri, target)

    def _uri(self, sha256: str) -> str:
        return f"{self._root}/blobs/{sha256[:2]}/{sha256}"

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        uploads = [
            data.SignedUpload(uri=one["uri"], size_bytes=int(one["sizeBytes"]), sha256=one["sha256"])
            for one in request.get("uploads", ())
        ]
        try:
            answer = self._sign(
                data.SignBlobsRequest(downloads=list(request.get("downloads", ())), uploads=uploads)
            )
        except RpcError as problem:
            raise StorageError(f"the server gives no URL: {problem}") from problem
        return {
            name: [{"uri": each.uri, "url": each.url, "headers": each.headers} for each in urls]
            for name, urls in (("downloads", answer.downloads), ("uploads", answer.uploads))
        }
