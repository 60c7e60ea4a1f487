"""The watch of pods, and calls, when talk with the API server is cut, late, lost, or from too long ago."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.cluster.between import Between, Request
from support.cluster.cluster import Cluster
from support.pod_stage import Hands, Stage, end_of, failure_of, saying, started, text_of, waits
from volery_dataplane.launch.kubernetes.api import MERGE, pods_path
from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.labels import selector
from volery_dataplane.launch.kubernetes.launch_settings import LogSettings
from volery_dataplane.launch.kubernetes.pod_events import PodEvents
from volery_dataplane.launch.kubernetes.watching import PodWatch, WatchEvents
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.reason_pb2 import WaitingReason

FOR_EVER = "while true; do sleep 0.1; done"


def watches(request: Request) -> bool:
    return request.is_watch


def lists(request: Request) -> bool:
    return request.method == "GET" and "labelSelector" in request.query and not request.is_watch


def creates(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/pods")


def reads_logs(request: Request) -> bool:
    return request.path.endswith("/log")


async def test_a_watch_that_is_cut_goes_on_where_it_was(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    order = own_stage.order("")
    order = saying(order, f"until [ -e /tmp/go ]; do sleep 0.1; done; {own_stage.says(order, 1)}")
    first = own_stage.order(FOR_EVER)
    launcher.launch(first)
    await started(hands, first)
    for number in range(3):
        assert between.cut(watches) == 1
        order = own_stage.order("")
        launcher.launch(saying(order, own_stage.says(order, number)))
        assert isinstance(await end_of(hands, order), Succeeded)
    assert sum(map(lists, between.seen)) == 1, "nothing was listed anew"
    assert launcher.watches[0].relists == 1


async def test_a_watch_from_too_long_ago_begins_anew_and_finds_what_is_gone(
    own_cluster: Cluster, own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    """An API server that was started since knows nothing of changes before that."""
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    order, other = own_stage.order(FOR_EVER), own_stage.order("")
    launcher.launch(order)
    await started(hands, order)
    away = between.refuse(503, watches)
    between.cut(watches)
    (pod,) = await own_stage.pods()
    path = pods_path(own_stage.namespace, pod["metadata"]["name"])
    await own_stage.api.call("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    await own_stage.api.call("DELETE", path, {"gracePeriodSeconds": 0})
    own_cluster.control.kill("kube-apiserver")
    own_cluster.start_component("kube-apiserver")
    await asyncio.to_thread(own_cluster.wait_for_api)
    assert not [seen for seen in hands.observations if seen.is_end]
    between.forget(away)

    failed = await failure_of(hands, order)

    assert (failed.failure.code, failed.infrastructure) == ("PodDeleted", True)
    assert launcher.watches[0].relists == 2
    launcher.launch(saying(other, own_stage.says(other, 1)))
    assert isinstance(await end_of(hands, other), Succeeded)


async def test_bookmarks_keep_the_place_of_a_watch_that_sees_nothing(own_stage: Stage) -> None:
    listed = asyncio.Event()
    events = WatchEvents(seen=lambda pod: None, removed=lambda pod: None, listed=lambda *told: listed.set())
    api = await own_stage.as_worker()
    watch = PodWatch(api, selector(own_stage.installation), events, lasts=5)
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(120):
        await listed.wait()
        await asyncio.sleep(0)
        before = watch.version
        stranger = {
            "metadata": {"name": "stranger"},
            "spec": {"containers": [{"name": "c", "image": own_stage.shell, "imagePullPolicy": "Never"}]},
        }
        made = await own_stage.api.call("POST", pods_path(own_stage.namespace), stranger)
        while watch.version == before:  # noqa: ASYNC110  # it tells of pods, and there is none to tell of
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await api.close()
    assert int(watch.version) >= int(made["metadata"]["resourceVersion"])
    assert watch.relists == 1


async def test_a_pod_whose_creation_was_not_answered_is_found_and_not_made_twice(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    lost = between.lose_answers(creates, times=1)
    order = own_stage.order("")
    launcher.launch(saying(order, own_stage.says(order, 4)))
    assert isinstance(await end_of(hands, order), Succeeded)
    assert lost.hits == 1
    assert len(await own_stage.pods()) == 1


async def test_an_api_server_that_is_busy_is_waited_for(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    busy = between.refuse(429, creates, times=2, reason="TooManyRequests", Retry_After="1")
    order = own_stage.order("")
    launcher.launch(saying(order, own_stage.says(order, 4)))
    waiting = await waits(hands, order, WaitingReason.WAITING_REASON_UNSPECIFIED)
    assert "refused by a test" in waiting.message
    assert isinstance(await end_of(hands, order), Succeeded)
    assert busy.hits == 2


async def test_rights_that_an_api_server_does_not_know_yet_are_asked_for_again(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    """As one does that has just begun; it fails nobody's attempt."""
    container = {"name": "primary", "image": own_stage.shell}
    template = {"metadata": {"name": "mine"}, "template": {"spec": {"containers": [container]}}}
    place = f"/api/v1/namespaces/{own_stage.namespace}/podtemplates"
    await own_stage.api.call("POST", place, template)
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    order = own_stage.order("")
    order.task.pod_template.name = "mine"
    rules = [
        between.refuse(403, lambda request: "/podtemplates/" in request.path, times=2, reason="Forbidden"),
        between.refuse(401, lambda request: "/podtemplates/" in request.path, times=2, reason="Unauthorized"),
        between.refuse(403, creates, times=3, reason="Forbidden"),
    ]
    launcher.launch(saying(order, own_stage.says(order, 4)))
    assert isinstance(await end_of(hands, order), Succeeded)
    assert [rule.hits for rule in rules] == [2, 2, 3]


@pytest.mark.parametrize(("closed", "asked"), [(0.0, 3), (3600.0, 1)])
async def test_events_that_may_not_be_read_are_asked_for_again_after_a_while(
    own_stage: Stage, between: Between, spoiled: Path, closed: float, asked: int
) -> None:
    api = await own_stage.as_worker(spoiled)
    events = PodEvents(api, closed)
    between.refuse(403, lambda request: request.path.endswith("/events"), times=2, reason="Forbidden")
    for _ in range(3):
        assert not await events.of(Place(own_stage.namespace, "none"), "no-such-uid")
    assert len(between.seen) == asked
    await api.close()


async def test_one_that_is_cancelled_while_its_creation_is_under_way_is_ended(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    between.delay(1.0, creates)
    order = own_stage.order(FOR_EVER)
    launcher.launch(order)
    await asyncio.to_thread(_until_seen, between)
    launcher.cancel([order.key])
    await end_of(hands, order)
    launcher.settled([order.key])
    await own_stage.until_gone()


def _until_seen(between: Between) -> None:
    while not any(map(creates, between.seen)):
        pass


async def test_output_goes_on_where_its_stream_was_cut_and_no_line_comes_twice(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path
) -> None:
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled)
    order = own_stage.order("")
    lines = "".join(f"{number}\n" for number in range(40))
    order = saying(
        order,
        "i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); [ $((i % 4)) = 0 ] && sleep 0.8; done; "
        f"{own_stage.says(order, 4)}",
    )
    launcher.launch(order)
    cuts = 0
    for wanted in (b"3\n", b"15\n", b"27\n"):
        await hands.until(lambda wanted=wanted: wanted in text_of(hands, order))  # type: ignore[misc]  # defaults bind
        cuts += between.cut(reads_logs)
    assert isinstance(await end_of(hands, order), Succeeded)
    await hands.until(lambda: len(text_of(hands, order)) >= len(lines))
    assert text_of(hands, order).decode() == lines
    assert cuts >= 2, "else nothing was tried"


@pytest.mark.parametrize("followers", [0, 1])
async def test_output_that_cannot_be_read_when_a_pod_ends_is_read_a_moment_later(
    own_stage: Stage, hands: Hands, between: Between, spoiled: Path, followers: int
) -> None:
    logs = LogSettings(own_stage.directory, followers=followers)
    launcher = await own_stage.launcher(hands, kubeconfig=spoiled, logs=logs)
    rules = [between.refuse(status, reads_logs, times=1) for status in (403, 503)]
    order = own_stage.order("")
    launcher.launch(saying(order, f"echo late; {own_stage.says(order, 4)}"))
    await end_of(hands, order)
    launcher.settled([order.key])
    await own_stage.until_gone()
    assert text_of(hands, order) == b"late\n"
    assert [rule.hits for rule in rules] == [1, 1]


async def test_output_of_a_pod_that_was_deleted_is_kept(own_stage: Stage, hands: Hands) -> None:
    launcher = await own_stage.launcher(hands)
    order = own_stage.order(f"echo before; {FOR_EVER}")
    launcher.launch(order)
    await started(hands, order)
    (pod,) = await own_stage.pods()
    body = {"gracePeriodSeconds": 3}  # in which what it wrote is read
    await own_stage.api.call("DELETE", pods_path(own_stage.namespace, pod["metadata"]["name"]), body)
    await failure_of(hands, order)
    await hands.until(lambda: text_of(hands, order) == b"before\n")
    launcher.settled([order.key])
    await own_stage.until_gone()
