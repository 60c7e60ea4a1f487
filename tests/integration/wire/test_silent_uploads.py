"""Uploads whose client says nothing more: they do not keep the places of transfers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import grpc
from integration.wire.conftest import database, directory, engine, settings
from support.packages import DOMAIN, PROJECT
from support.wire import Wire, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings
from voleryidl.data.v1.data_service_pb2 import BlobHeader, DownloadBlobRequest, UploadBlobRequest

__all__ = ["database", "directory", "engine", "settings"]  # fixtures


async def test_an_upload_that_says_nothing_more_leaves_its_place_to_others(settings: Settings) -> None:
    plane = ControlPlane(
        replace(
            settings,
            transfers_limit=1,
            slow_reader_limit=timedelta(milliseconds=300),
            queue_wait_limit=timedelta(seconds=15),
        )
    )
    await plane.start()
    try:
        async with grpc.aio.insecure_channel(plane.settings.listen) as channel:
            wire = Wire(channel, plane.settings.listen)
            silent = wire.data.UploadBlob()
            header = BlobHeader(project=PROJECT, domain=DOMAIN, sha256="0" * 64, size_bytes=1000)
            await silent.write(UploadBlobRequest(header=header))
            await silent.write(UploadBlobRequest(chunk=b"x"))
            async with refused(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"):  # and not that the server is busy
                async for _ in wire.data.DownloadBlob(DownloadBlobRequest(sha256="1" * 64)):
                    pass
            async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"):
                await silent
    finally:
        await plane.stop()
