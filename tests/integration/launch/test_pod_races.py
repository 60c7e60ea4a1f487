"""Orders of events that a launcher of pods must stand, played by an API server that waits as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.played_api import PlayedApi, ended, running
from support.pod_stage import (
    Hands,
    Stage,
    end_of,
    started,
)
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings
from volery_dataplane.worker.ports import AttemptOrder, Cancelled

NAMESPACE = "played"


@pytest.fixture
async def server() -> AsyncIterator[PlayedApi]:
    async with PlayedApi().serving() as server:
        yield server


@pytest.fixture
async def stage(server: PlayedApi, tmp_path: Path) -> AsyncIterator[Stage]:
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    api = await Api.connect(ApiSettings(kubeconfig=str(kubeconfig)))
    stage = Stage(api, kubeconfig, tmp_path, NAMESPACE, "shell")
    yield stage
    await stage.close()
    await api.close()


@pytest.fixture
def hands() -> Hands:
    return Hands()


def next_hold(order: AttemptOrder) -> AttemptOrder:
    """The same attempt as the execution's next holder orders it."""
    return replace(order, key=order.key._replace(fencing_token=order.key.fencing_token + 1))


async def runs(server: PlayedApi, stage: Stage, hands: Hands, order: AttemptOrder) -> tuple[str, str]:
    """Waits for an attempt's pod and lets it run."""
    place = await server.until_pod()
    await server.stands(place, phase="Running", containerStatuses=[running()])
    await started(hands, order)
    return place


# Cancelling


async def test_a_pod_that_was_there_before_is_ended_though_its_attempt_is_cancelled_at_once(
    server: PlayedApi, stage: Stage
) -> None:
    first, second = Hands(), Hands()
    one = await stage.launcher(first)
    order = stage.order("")
    one.launch(order)
    place = await runs(server, stage, first, order)
    await one.stop(0)
    lists = server.pause(lambda request: request.lists)
    two = await stage.launcher(second)
    await lists.came.wait()  # so it knows of no pod yet
    two.launch(next_hold(order))
    two.cancel([next_hold(order).key])
    lists.open.set()
    await server.until(lambda: server.of(lambda request: request.deletes))
    assert not [seen for seen in second.observations if seen.is_end], "it runs still"
    await server.stands(place, phase="Failed", containerStatuses=[ended(code=143)])
    assert isinstance(await end_of(second, next_hold(order)), Cancelled)
    assert len(server.of(lambda request: request.creates)) == 1


async def test_what_is_cancelled_while_nobody_answers_whether_it_has_a_pod_gets_none_later(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    creates = server.pause(lambda request: request.creates)
    launcher.launch(order)
    await creates.came.wait()
    launcher.cancel([order.key])
    server.answer(lambda request: request.creates, 503, "busy")
    creates.open.set()
    assert isinstance(await end_of(hands, order), Cancelled)
    assert len(server.of(lambda request: request.creates)) == 1
    assert server.pods == {}
