from __future__ import annotations

from support.closures import INTEGER, Flow, chain, fan_out, given, integer, integers, task
from support.walks import T0
from unit.dataplane.worker.stage import Stage, phases
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.literals_pb2 import Literal

X = {"x": integer(1)}


def two(name: str = "two") -> Flow:
    """Two nodes side by side."""
    flow = Flow(name=name, inputs={"x": INTEGER})
    return flow.node("a", task(), {"x": given("x")}).node("b", task(), {"x": given("x")})


async def test_nothing_is_launched_before_its_wave_is_acknowledged() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(chain(2), inputs=X))
    await stage.turn()
    report = stage.report()
    assert phases(report) == {"": "RUNNING", "n0": "QUEUED"}
    await stage.later(5)
    assert stage.launcher.launched == []
    stage.acknowledge()
    assert stage.launcher.paths() == ["n0"]


async def test_a_success_and_what_follows_from_it_are_one_report() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), inputs=X)
    stage.launcher.succeed("n0", value=2)
    report = await stage.commit()
    assert phases(report) == {"n0": "SUCCEEDED", "n1": "QUEUED"}
    assert [output.path for output in report.outputs] == ["n0"]
    assert stage.launcher.paths() == ["n1"]
    stage.launcher.succeed("n1", value=3)
    report = await stage.commit()
    assert phases(report) == {"n1": "SUCCEEDED", "": "SUCCEEDED"}
    assert stage.worker.hello().held == []


async def test_results_that_come_while_a_batch_is_in_flight_share_the_next_one() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(two("one"), key=1, inputs=X)
    await stage.begin(two("other"), key=2, inputs=X)
    stage.launcher.succeed("a", execution=1)
    await stage.turn()
    first = stage.batch()
    stage.launcher.succeed("b", execution=1)
    stage.launcher.succeed("a", execution=2)
    stage.launcher.succeed("b", execution=2)
    await stage.turn()
    assert stage.said("report_batch") == [], "at most one is in flight"
    stage.acknowledge(first)
    await stage.turn()
    batch = stage.batch()
    assert batch.number == first.number + 1
    assert {report.execution_key: phases(report) for report in batch.reports} == {
        1: {"b": "SUCCEEDED", "": "SUCCEEDED"},
        2: {"a": "SUCCEEDED", "b": "SUCCEEDED", "": "SUCCEEDED"},
    }


async def test_what_is_observed_in_one_turn_travels_in_one_batch() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(fan_out(), inputs={"xs": integers(*range(20))})
    assert len(stage.launcher.running) == 20
    stage.launcher.succeed(*stage.launcher.paths())
    await stage.turn()
    report = stage.report()
    assert len([event for event in report.events if event.HasField("node")]) == 21


async def test_an_answer_to_another_batch_is_none() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(chain(1), inputs=X))
    await stage.turn()
    batch = stage.batch()
    batch.number += 1
    stage.acknowledge(batch)
    await stage.turn()
    assert stage.launcher.launched == []


async def test_no_more_is_intended_than_there_is_room_for() -> None:
    stage = Stage()
    stage.launcher.capacity = 3
    stage.connect()
    await stage.begin(fan_out(), inputs={"xs": integers(*range(10))})
    assert len(stage.launcher.running) == 3
    stage.launcher.succeed("m/0", "m/1")
    report = await stage.commit()
    assert phases(report) == {"m/0": "SUCCEEDED", "m/1": "SUCCEEDED", "m/3": "QUEUED", "m/4": "QUEUED"}
    assert len(stage.launcher.running) == 3


async def test_executions_share_the_places() -> None:
    stage = Stage()
    stage.launcher.capacity = 9
    stage.connect()
    big, small = fan_out(), fan_out()
    stage.assign(
        stage.assignment(big, 1, inputs={"xs": integers(*range(1_000))}),
        stage.assignment(small, 2, inputs={"xs": integers(*range(1_000))}),
        stage.assignment(small, 3, inputs={"xs": integers(*range(1_000))}),
    )
    await stage.turn()
    stage.acknowledge(stage.batch())
    counts = [
        sum(key.execution_key == execution for key in stage.launcher.running) for execution in (1, 2, 3)
    ]
    assert counts == [3, 3, 3]


async def test_an_execution_that_comes_later_gets_the_next_place_not_the_last_one() -> None:
    stage = Stage()
    stage.launcher.capacity = 2
    stage.connect()
    await stage.begin(fan_out(), 1, inputs={"xs": integers(*range(1_000))})
    stage.assign(stage.assignment(chain(3), 2, inputs=X))
    await stage.turn()
    batch = stage.batch()
    stage.acknowledge(batch)
    stage.launcher.succeed("m/0", execution=1)
    await stage.turn()
    stage.acknowledge(stage.batch())
    stage.launcher.succeed("m/1", execution=1)
    await stage.turn()
    batch = stage.batch()
    stage.acknowledge(batch)
    assert 2 in {key.execution_key for key in stage.launcher.running}


async def test_a_long_report_is_sent_in_parts_and_launches_after_the_last_one() -> None:
    stage = Stage()
    stage.launcher.capacity = 300
    stage.connect()
    await stage.begin(fan_out(), inputs={"xs": integers(*range(400))})
    assert len(stage.launcher.running) == 300
    big = Literal(string_value="x" * 15_000).SerializeToString()
    keys = list(stage.launcher.running)
    stage.launcher.running.clear()
    stage.launcher.observed([Succeeded(key, T0, T0, {"o0": big}) for key in keys])
    reports = []
    while not stage.launcher.running:
        reports.append(await stage.commit())
        assert reports[-1].ByteSize() < 1_200_000
    assert len(reports) > 3
    assert [report.number for report in reports] == list(range(2, 2 + len(reports)))
    events = [event.node.path for report in reports for event in report.events]
    assert len(events) == len(set(events)) == 400
    assert len(stage.launcher.running) == 100
    assert {output.path for report in reports for output in report.outputs} == {key.path for key in keys}


async def test_a_break_between_the_parts_of_a_long_report_loses_none() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(fan_out(), inputs={"xs": integers(*range(100))})
    big = Literal(string_value="x" * 30_000).SerializeToString()
    keys = list(stage.launcher.running)
    stage.launcher.observed([Succeeded(key, T0, T0, {"o0": big}) for key in keys])
    first = await stage.commit()
    await stage.turn()
    second = stage.report()
    stage.worker.disconnected()
    stage.connect()
    again = stage.report()
    assert again == second
    stage.acknowledge()
    reports = [first, second]
    while "" not in phases(reports[-1]):
        reports.append(await stage.commit())
    assert sum(len(report.events) for report in reports) == 102
