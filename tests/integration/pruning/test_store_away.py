from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from integration.pruning.house import House, policy
from structlog.testing import capture_logs
from support.object_servers import OBJECT_STORES, object_server
from volery_controlplane.assembly import Monotonic
from volery_controlplane.loops.pruning import prune
from volery_controlplane.services.pruning import Pruner
from volery_controlplane.storage.object_access import Place, open_store
from volery_controlplane.storage.object_sweeping import ObjectStoreSweep


@pytest.mark.parametrize("kind", OBJECT_STORES)
async def test_a_store_that_does_not_do_what_it_is_asked_is_told_of_in_a_line_and_asked_again(
    house: House, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_server(kind).environment().items():
        monkeypatch.setenv(name, value)
    place = Place.parse(f"{kind}://nobody-made-this-bucket")
    sweep = ObjectStoreSweep(place, open_store(place))
    pruner = Pruner(house.database, sweep, house.references, policy(), Monotonic(), "p1", rest=0.0)

    with capture_logs() as logs:
        pruning = asyncio.create_task(prune(pruner, timedelta(seconds=0.01)))
        async with asyncio.timeout(120):
            while len(told(logs)) < 2:  # noqa: ASYNC110  # a log tells nobody
                await asyncio.sleep(0.01)
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)

    assert {line["log_level"] for line in logs} == {"warning"}
    assert "\n" not in told(logs)[0]["reason"]


def told(logs: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == "a round of pruning broke off"]
