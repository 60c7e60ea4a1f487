"""Orders of events that a launcher of pods must stand, played by an API server that waits as it is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.deploying.rights import WorkerRights
from support.played_api import PlayedApi, ended, running
from support.pod_stage import (
    Hands,
    Stage,
    end_of,
    failure_of,
    started,
    text_of,
    verdict_of,
)
from volery_dataplane.launch.kubernetes import ending
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings, LogSettings
from volery_dataplane.launch.kubernetes.logs import READERS, PodLogs
from volery_dataplane.worker.ports import AttemptOrder, Cancelled, Succeeded
from volery_rules.verdicts import seal, seal_elsewhere
from voleryidl.core.v1.task_pb2 import TaskTemplate

NAMESPACE = "played"


@pytest.fixture
async def stage(server: PlayedApi, tmp_path: Path) -> AsyncIterator[Stage]:
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    api = await Api.connect(ApiSettings(kubeconfig=str(kubeconfig)))
    stage = Stage(api, WorkerRights(kubeconfig, "played"), tmp_path, NAMESPACE, "shell")
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


# Creating


async def test_a_secret_that_no_cluster_can_have_fails_its_attempt_by_the_code_of_one_that_is_missing(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    order.task.secrets.add(group="My Secrets", key="key", environment_variable="PASSWORD")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.failure.recoverable) == ("SecretUnavailable", False)
    assert server.pods == {}


async def test_an_attempt_in_a_namespace_that_the_worker_does_not_watch_fails_and_says_which_setting_it_is(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    """Its pod would be made, and nothing heard of it: it was waited for for ever."""
    launcher = await stage.launcher(hands, watched=("others", "more"))
    order = stage.order("")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("NamespaceNotWatched", True)
    for words in ("VOLERY_WATCHED_NAMESPACES", repr(NAMESPACE), "others, more", order.project_domain):
        assert words in failed.failure.message
    assert not server.of(lambda request: request.creates)
    assert launcher.load().waiting == 0


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


async def test_what_a_pod_is_seen_to_run_while_it_is_ended_is_followed(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    launcher.launch(order)
    place = await server.until_pod()
    await server.stands(place, phase="Pending")
    launcher.cancel([order.key])
    await server.until(lambda: "deletionTimestamp" in server.pods[place]["metadata"])
    await server.stands(place, phase="Running", containerStatuses=[running()])  # the first that is told of it
    await server.until(lambda: server.of(lambda request: request.reads_log))
    server.logs[place[1]].put_nowait(b"2026-01-01T00:00:00Z last words\n")
    await hands.until(lambda: text_of(hands, order) == b"last words\n")
    server.logs[place[1]].put_nowait(b"")
    await server.stands(place, phase="Failed", containerStatuses=[ended(code=137)])
    assert isinstance(await end_of(hands, order), Cancelled)


# Ends


async def test_outputs_are_sent_in_the_time_that_the_pod_has_for_that(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands, linger=0.05)
    task = TaskTemplate(type="container")
    task.container.image = "program"
    order = stage.order("", task=task)
    launcher.launch(order)
    place = await server.until_pod()
    movers = [ended("volery-fetch"), running("volery-send")]
    await server.stands(place, phase="Running", initContainerStatuses=movers, containerStatuses=[running()])
    await started(hands, order)
    await server.stands(place, containerStatuses=[ended()])
    (deletion,) = await server.until(lambda: server.of(lambda request: request.deletes))
    wanted = server.pods[place]["spec"]["terminationGracePeriodSeconds"]
    assert wanted >= stage.pod_settings.send_grace
    assert deletion.body.get("gracePeriodSeconds", wanted) == wanted


@pytest.mark.parametrize("place_of_it", ["", "%00", "x" * 5000])
async def test_a_verdict_at_a_place_that_cannot_be_read_ends_the_attempt(
    server: PlayedApi, stage: Stage, hands: Hands, place_of_it: str
) -> None:
    launcher = await stage.launcher(hands, verdict_patience=0.1)
    order = stage.order("")
    os.makedirs(order.storage_prefix.removeprefix("file://"))
    launcher.launch(order)
    place = await server.until_pod()
    line = seal_elsewhere(verdict_of(order, 1), f"{order.storage_prefix}/{place_of_it}")
    server.logs[place[1]].put_nowait(b"")
    await server.stands(place, phase="Succeeded", containerStatuses=[ended(message=f"{line}\n")])
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("VerdictLost", True)


async def test_an_attempt_that_is_cancelled_while_its_verdict_is_waited_for_is_waited_for_no_more(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands, verdict_patience=1000.0)
    order = stage.order("")
    launcher.launch(order)
    place = await runs(server, stage, hands, order)
    server.logs[place[1]].put_nowait(b"")
    line = seal_elsewhere(verdict_of(order, 1), f"{order.storage_prefix}/verdict.pb")
    await server.stands(place, phase="Succeeded", containerStatuses=[ended(message=f"{line}\n")])
    attempt = launcher._attempts.of(order.key)
    assert attempt is not None
    await server.until(lambda: attempt.is_over)
    launcher.cancel([order.key])
    assert isinstance(await end_of(hands, order), Cancelled)


async def test_no_attempt_has_less_time_than_its_limit_though_the_cluster_tells_whole_seconds(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("", running_timeout=1.0)
    launcher.launch(order)
    place = await server.until_pod()
    begun = asyncio.get_running_loop().time()
    await server.stands(place, phase="Running", containerStatuses=[running()])
    await server.until(lambda: server.of(lambda request: request.deletes))
    assert asyncio.get_running_loop().time() - begun >= 1.0
    server.logs[place[1]].put_nowait(b"")
    await server.stands(place, phase="Failed", containerStatuses=[ended(code=143)])
    assert (await failure_of(hands, order)).failure.code == "TimeoutRunning"


async def test_times_of_a_verdict_that_are_none_are_not_taken(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    """A program in a pod may write what it likes; an attempt with such a verdict was waited for for ever."""
    launcher = await stage.launcher(hands)
    order = stage.order("")
    verdict = verdict_of(order, 7)
    verdict.start_time.seconds, verdict.end_time.nanos, verdict.code_time.seconds = 10**15, -5, -9
    launcher.launch(order)
    place = await server.until_pod()
    server.logs[place[1]].put_nowait(b"")
    await server.stands(place, phase="Succeeded", containerStatuses=[ended(message=seal(verdict))])
    end = await end_of(hands, order)
    assert isinstance(end, Succeeded)
    assert 0 < end.start_time <= end.end_time < 2**53
    assert end.launched.code_time == 0


async def test_a_pod_that_cannot_be_read_fails_its_attempt_and_hides_no_other(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    strange, plain = stage.order(""), stage.order("")
    launcher.launch(strange)
    place = await server.until_pod()
    await server.stands(place, phase="Running", containerStatuses=[running(since="yesterday")])
    failed = await failure_of(hands, strange)
    assert (failed.failure.code, failed.infrastructure) == ("PodUnreadable", True)
    launcher.launch(plain)
    await server.until(lambda: len(server.pods) == 2)
    (other,) = server.pods.keys() - {place}
    await server.stands(other, phase="Running", containerStatuses=[running()])
    await started(hands, plain)
    assert launcher.watches[0].relists == 1


async def test_a_launcher_does_not_wait_for_what_it_has_ended(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    launcher.launch(order)
    place = await runs(server, stage, hands, order)
    launcher.cancel([order.key])
    await server.until(lambda: server.of(lambda request: request.deletes))
    server.logs[place[1]].put_nowait(b"")
    await server.stands(place, phase="Failed", containerStatuses=[ended(code=143)])
    await end_of(hands, order)
    launcher.settled([order.key])
    await server.until(lambda: not server.pods)
    under_way = {task for task in asyncio.all_tasks() if "_delete" in repr(task)}
    assert under_way == set()


async def test_a_pod_that_does_not_end_is_ended_by_force_once_its_grace_is_over(
    server: PlayedApi, stage: Stage, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "FORCE_AFTER", 0.05)
    launcher = await stage.launcher(hands, kill_grace=0.0)
    order = stage.order("")
    launcher.launch(order)
    place = await runs(server, stage, hands, order)
    launcher.cancel([order.key])
    await server.until(lambda: len(server.of(lambda request: request.deletes)) >= 3)
    assert {request.body["gracePeriodSeconds"] for request in server.of(lambda each: each.deletes)} == {0}
    server.logs[place[1]].put_nowait(b"")
    await server.stands(place, phase="Failed", containerStatuses=[ended(code=137)])
    assert isinstance(await end_of(hands, order), Cancelled)


async def test_a_pod_that_another_of_its_name_has_replaced_while_nobody_looked_is_gone(
    server: PlayedApi, stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    launcher.launch(order)
    place = await runs(server, stage, hands, order)
    body = {**server.pods[place], "metadata": {**server.pods[place]["metadata"]}}
    server.logs[place[1]].put_nowait(b"")
    await server.removes(place, tells=False)
    await server.cut_watches()
    await stage.api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body)
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("PodDeleted", True)


# Output


async def test_what_is_let_go_of_at_once_takes_no_follower_away(
    server: PlayedApi, stage: Stage, hands: Hands, tmp_path: Path
) -> None:
    logs = PodLogs(stage.api, LogSettings(tmp_path, followers=1), hands.logged)
    first, second = stage.order("").key, stage.order("").key
    logs.begun(first, NAMESPACE, "one", "primary", adopted=False)
    logs.drop([first])
    await logs.close()  # it goes on afterwards
    server.logs["two"] = asyncio.Queue()
    logs.begun(second, NAMESPACE, "two", "primary", adopted=False)
    await server.until(lambda: server.of(lambda request: request.reads_log and "/two/" in request.path))
    await logs.close()


async def test_nothing_is_told_of_the_output_of_what_was_let_go_of(
    server: PlayedApi, stage: Stage, hands: Hands, tmp_path: Path
) -> None:
    logs = PodLogs(stage.api, LogSettings(tmp_path, followers=0, inline=10), hands.logged)
    key = stage.order("").key
    queue = server.logs["one"] = asyncio.Queue()
    reading = asyncio.create_task(logs.finish(key, NAMESPACE, "one", "primary"))
    queue.put_nowait(b"2026-01-01T00:00:00Z first\n")
    await hands.until(lambda: hands.pieces)
    logs.drop([key])
    queue.put_nowait(b"2026-01-01T00:00:01Z second, and more than stays in memory\n")
    queue.put_nowait(b"")
    await reading
    assert [piece.data for piece in hands.pieces] == [b"first\n"]
    assert not [file for file in os.listdir(tmp_path) if file.startswith("log-")]
    await logs.close()


async def test_a_log_that_is_let_go_of_while_it_waits_for_a_reader_is_not_asked_for(
    server: PlayedApi, stage: Stage, hands: Hands, tmp_path: Path
) -> None:
    logs = PodLogs(stage.api, LogSettings(tmp_path, followers=0), hands.logged)
    stuck = [f"stuck-{number}" for number in range(READERS)]
    for name in [*stuck, "last"]:
        server.logs[name] = asyncio.Queue()
    key = stage.order("").key
    reading = [
        asyncio.create_task(logs.finish(stage.order("").key, NAMESPACE, name, "primary")) for name in stuck
    ]
    await server.until(lambda: len(server.of(lambda request: request.reads_log)) == READERS)
    reading.append(asyncio.create_task(logs.finish(key, NAMESPACE, "last", "primary")))
    await asyncio.sleep(0)  # one turn, in which it begins to wait
    logs.drop([key])
    for name in stuck:
        server.logs[name].put_nowait(b"")
    await asyncio.gather(*reading)
    assert not server.of(lambda request: request.reads_log and "/last/" in request.path)
    await logs.close()
