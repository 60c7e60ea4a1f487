"""Pods outlive workers: adopted, left alone, or removed by the reconciler; never another's."""

from __future__ import annotations

from dataclasses import replace

from support.pod_stage import Hands, Stage, end_of, saying, started, text_of, waits
from volery_dataplane.launch.kubernetes.launch_settings import ReconcilerSettings
from volery_dataplane.worker.ports import AttemptOrder, Cancelled, Succeeded
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.reason_pb2 import WaitingReason

FOR_EVER = "while true; do sleep 0.1; done"


def next_hold(order: AttemptOrder) -> AttemptOrder:
    """The same attempt as the execution's next holder orders it."""
    return replace(order, key=order.key._replace(fencing_token=order.key.fencing_token + 1))


async def test_a_running_pod_is_found_by_the_next_worker_and_not_made_twice(stage: Stage) -> None:
    first, second = Hands(), Hands()
    one = await stage.launcher(first)
    order = stage.order("")
    order = saying(order, f"echo one; sleep 3; echo two; {stage.says(order, 5)}")
    one.launch(order)
    await started(first, order)
    await one.stop(0)
    assert not [seen for seen in first.observations if seen.is_end], "stopping ends nothing"
    (before,) = await stage.pods()
    two = await stage.launcher(second)
    adopted = next_hold(order)
    two.launch(adopted)
    end = await end_of(second, adopted)
    assert isinstance(end, Succeeded)
    assert Literal.FromString(end.outputs["o0"]).integer_value == 5
    (after,) = await stage.pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await second.until(lambda: text_of(second, adopted) == b"one\ntwo\n")
    assert second.observations[0].key == adopted.key


async def test_a_verdict_that_nobody_saw_is_found_by_the_next_worker(stage: Stage) -> None:
    first, second = Hands(), Hands()
    one = await stage.launcher(first)
    order = stage.order("")
    one.launch(saying(order, stage.says(order, 6)))
    await end_of(first, order)  # seen, and not committed
    await one.stop(0)
    two = await stage.launcher(second)
    adopted = next_hold(order)
    two.launch(adopted)
    assert isinstance(await end_of(second, adopted), Succeeded)
    two.settled([adopted.key])
    await stage.until_gone()


async def test_what_is_only_to_be_ended_is_ended_where_it_runs(stage: Stage) -> None:
    first, second = Hands(), Hands()
    one = await stage.launcher(first)
    order = stage.order(FOR_EVER)
    one.launch(order)
    await started(first, order)
    one.let_go([order.key])
    two = await stage.launcher(second)
    ending = replace(next_hold(order), ending=True, inputs=b"")
    nothing = replace(stage.order(FOR_EVER), ending=True)
    two.launch(ending)
    two.launch(nothing)
    assert isinstance(await end_of(second, ending), Cancelled)
    assert isinstance(await end_of(second, nothing), Cancelled)
    two.settled([ending.key, nothing.key])
    await stage.until_gone()


async def test_the_reconciler_removes_what_is_not_live_and_no_more_than_its_cap(stage: Stage) -> None:
    hands, others = Hands(), Hands()
    one = await stage.launcher(hands)
    live, held = stage.order(FOR_EVER), stage.order(FOR_EVER)
    dead = [stage.order(FOR_EVER) for _ in range(3)]
    for order in (live, held, *dead):
        one.launch(order)
        await started(hands, order)
    one.let_go([live.key, *(order.key for order in dead)])
    hands.live.add((live.uid, live.key.path, live.key.attempt))
    settings = ReconcilerSettings(interval=3600.0, age=0.0, cap=2)
    two = await stage.launcher(others, reconciler=settings)
    two.launch(next_hold(held))
    await started(others, next_hold(held))
    others.live = hands.live
    assert await two.reconciler.round() == 2
    assert await two.reconciler.round() == 1, "the next one goes in the next round"
    assert held.uid not in {name.execution_uid for name in others.asked}
    left = await stage.until_only(2)
    assert left == {live.uid, held.uid}


async def test_the_reconciler_leaves_other_installations_alone(stage: Stage) -> None:
    hands, strangers = Hands(), Hands()
    one = await stage.launcher(hands)
    order = stage.order(FOR_EVER)
    one.launch(order)
    await started(hands, order)
    one.let_go([order.key])
    stage.installation = "launcher-another"
    two = await stage.launcher(strangers)
    marker = stage.order("exit 1")
    two.launch(marker)
    await end_of(strangers, marker)  # so the watch tells of what there is
    two.settled([marker.key])
    assert await two.reconciler.round() == 0
    assert [pod["metadata"]["labels"]["volery.dev/execution-uid"] for pod in await stage.pods()].count(
        order.uid
    ) == 1


async def test_a_full_quota_does_not_hide_a_pod_that_is_there(stage: Stage) -> None:
    """Admission comes before storage, so the API server speaks of the quota, and not of the name."""
    first, second = Hands(), Hands()
    one = await stage.launcher(first)
    order = stage.order(FOR_EVER)
    await stage.quota("few", pods="1")
    one.launch(order)
    await started(first, order)
    one.let_go([order.key])
    two = await stage.launcher(second)
    two.launch(next_hold(order))
    await started(second, next_hold(order))
    assert len(await stage.pods()) == 1
    two.cancel([next_hold(order).key])
    assert isinstance(await end_of(second, next_hold(order)), Cancelled)


async def test_what_stood_in_line_for_quota_and_was_let_go_makes_no_pod(stage: Stage) -> None:
    hands = Hands()
    launcher = await stage.launcher(hands)
    await stage.quota("few", pods="1")
    first, second, third = stage.order(FOR_EVER), stage.order(FOR_EVER), stage.order(FOR_EVER)
    launcher.launch(first)
    await started(hands, first)
    launcher.launch(second)
    launcher.launch(third)
    await waits(hands, second, WaitingReason.WAITING_REASON_QUOTA)
    await waits(hands, third, WaitingReason.WAITING_REASON_QUOTA)
    launcher.let_go([second.key])
    launcher.cancel([first.key])
    await end_of(hands, first)
    launcher.settled([first.key])
    await started(hands, third)
    (pod,) = await stage.pods()
    assert pod["metadata"]["annotations"]["volery.dev/uid"] == third.uid
