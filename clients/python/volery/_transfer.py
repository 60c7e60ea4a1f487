"""This module carries content between a program and a server.

Large content goes by signed URLs where the server has a data server that is within reach, all else over gRPC.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from volery._idl.voleryidl.data import v1 as data
from volery._idl.voleryidl.project import v1 as projects
from volery._url_transfer import UrlTransfer
from volery.errors import StorageError
from volery.storage import Stored

if TYPE_CHECKING:
    from volery.remote import Remote

LARGE: Final = 8 * 2**20
"""Content of fewer bytes goes over gRPC: it is there before a URL is."""


class ServerTransfer:
    """The `Transfer` of a `Remote`."""

    def __init__(self, remote: Remote) -> None:
        self._remote = weakref.proxy(remote)
        self._known: projects.GetServerInfoResponse | None = None
        self._urls: UrlTransfer | None = None
        self._urls_are_known = False

    def upload(self, content: bytes) -> str:
        remote = self._remote
        if len(content) >= LARGE and (urls := self._by_urls()) is not None:
            with suppress(StorageError):
                return urls.put(content)
            self._urls = None  # out of this program's reach, or not its to ask for
        config = remote.config
        sending = remote.client.upload_blob(content, project=config.project, domain=config.domain)
        uri: str = remote._loop.call(sending).uri
        return uri

    def upload_file(self, source: Path) -> Stored:
        remote = self._remote
        if source.stat().st_size >= LARGE and (urls := self._by_urls()) is not None:
            with suppress(StorageError):
                return urls.put_file(source)
            self._urls = None
        config = remote.config
        sending = remote.client.upload_file(source, project=config.project, domain=config.domain)
        header, answer = remote._loop.call(sending)
        return Stored(answer.uri, header.size_bytes, header.sha256)

    def download_file(self, uri: str, target: Path) -> None:
        if (urls := self._by_urls()) is not None:
            with suppress(StorageError):
                urls.get_file(uri, target)
                return
            self._urls = None
        request = data.DownloadBlobRequest(uri=uri)
        self._remote._loop.call(self._remote.client.download_file(request, target))

    def download(self, uri: str) -> bytes:
        content: bytes = self._remote._loop.call(
            self._remote.client.download_blob(data.DownloadBlobRequest(uri=uri))
        )
        return content

    def inline_limit(self) -> int:
        return self._info().inline_value_limit

    def _info(self) -> projects.GetServerInfoResponse:
        if self._known is None:
            asked = self._remote.client.get_server_info(projects.GetServerInfoRequest())
            self._known = self._remote._loop.call(asked)
        return self._known

    def _by_urls(self) -> UrlTransfer | None:
        """The way by signed URLs; None where the server has no data server, or it was out of reach."""
        if not self._urls_are_known:
            self._urls_are_known = True
            info = self._info()
            if info.data_server:
                client = self._remote.client
                self._urls = UrlTransfer(
                    lambda request: self._remote._loop.call(client.sign_blobs(request)),
                    lambda sha256: (
                        self._remote._loop.call(client.stat_blob(data.StatBlobRequest(sha256=sha256))).exists
                    ),
                    info.storage_uri,
                    info.data_server,
                    self._remote.config.credentials.tls_ca,
                )
        return self._urls
