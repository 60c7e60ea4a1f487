"""Removing pods: those that the API server does not let go yet are in no other's way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.played_api import PlayedApi, Request
from volery_dataplane.launch.kubernetes import removing
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings
from volery_dataplane.launch.kubernetes.removing import Removals

PATIENCE = 20.0


async def test_pods_that_cannot_be_removed_yet_leave_their_places_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(request: Request) -> bool:
        return request.deletes and "/kept-" in request.path

    monkeypatch.setattr(removing, "DELAY", 3600.0)
    async with PlayedApi().serving() as server:
        api = await Api.connect(ApiSettings(kubeconfig=str(server.kubeconfig(tmp_path / "kubeconfig"))))
        removals = Removals(api, 2)
        server.answer(kept, 500, "a webhook does not answer")
        try:
            for name in ("kept-1", "kept-2", "free"):
                removals.add(Place("played", name), "")
            async with asyncio.timeout(PATIENCE):
                await server.until(lambda: server.of(lambda request: request.path.endswith("/free")))
            assert len(server.of(kept)) == 2
            assert Place("played", "kept-1") in removals, "it is asked for again"
        finally:
            await removals.settle(0.1)
            await api.close()
