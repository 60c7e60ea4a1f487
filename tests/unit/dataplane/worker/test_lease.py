from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.closures import chain, integer
from unit.dataplane.worker.stage import LEASE, Stage
from volery_dataplane.worker.lease import MARGIN, Lease

X = {"x": integer(1)}
USABLE = LEASE * (1 - MARGIN)


def test_a_lease_that_was_never_granted_does_not_expire() -> None:
    assert not Lease().expired(10**9)


def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    lease = Lease()
    lease.granted(10.0, 100.0)
    assert not lease.expired(100 + 8.4)
    assert lease.expired(100 + 8.6)


def test_a_renewal_counts_from_when_it_was_sent_not_from_its_answer() -> None:
    lease = Lease()
    lease.granted(10.0, 100.0)
    number = lease.renewal(104.0)
    lease.renewed(number)
    assert not lease.expired(104 + 8.4)
    assert lease.expired(104 + 8.6)


def test_answers_that_come_late_or_twice_or_to_nothing_do_not_shorten_or_lengthen_it() -> None:
    lease = Lease()
    lease.granted(10.0, 100.0)
    first, second = lease.renewal(101.0), lease.renewal(105.0)
    lease.renewed(second)
    for number in (first, second, 99):
        lease.renewed(number)
    assert lease.expires == pytest.approx(113.5)


steps = st.lists(
    st.tuples(
        st.sampled_from(["renew", "connect", "lose"]),
        st.floats(0.0, 6.0),  # until it is sent
        st.floats(0.0, 3.0),  # until it is received
        st.floats(0.0, 3.0),  # until the answer is there
    ),
    max_size=30,
)


@given(steps=steps, duration=st.floats(0.1, 60.0))
def test_the_worker_s_count_never_ends_after_the_control_plane_s(
    steps: list[tuple[str, float, float, float]], duration: float
) -> None:
    lease = Lease()
    now = 1_000.0
    held_until = now + duration  # by the control plane's count: from when it received
    lease.granted(duration, now)
    for what, before, there, back in steps:
        now += before
        if lease.expired(now):
            return  # it has stopped, before anybody else may begin
        assert now < held_until
        sent = now
        number = lease.renewal(sent) if what != "connect" else 0
        now += there
        if now >= held_until:  # the control plane has given all to others; no answer will say otherwise
            assert lease.expired(now)
            return
        if what == "lose":
            held_until = max(held_until, now + duration)  # received, and the answer was lost
            continue
        held_until = max(held_until, now + duration)
        now += back
        if lease.expired(now):
            return
        if what == "connect":
            lease.granted(duration, sent)
        else:
            lease.renewed(number)
        assert lease.expires <= held_until


async def running(stage: Stage) -> Stage:
    stage.connect()
    await stage.begin(chain(3), inputs=X)
    assert stage.launcher.paths() == ["n0"]
    return stage


async def test_a_worker_renews_and_so_keeps_what_it_has() -> None:
    stage = await running(Stage())
    for _ in range(20):
        await stage.later(LEASE / 4 + 0.1)
        (renewal,) = stage.said("renewal")
        stage.renewed(renewal.number)
    assert stage.launcher.cancelled == []
    assert stage.plane.restarts == 0


async def test_without_an_answer_everything_stops_before_the_lease_ends_and_not_a_moment_later() -> None:
    stage = await running(Stage())
    await stage.later(USABLE - 0.01)
    assert stage.launcher.cancelled == []
    await stage.later(0.02)
    assert [key.path for key in stage.launcher.cancelled] == ["n0"]
    assert stage.worker.hello().held == []


async def test_the_lease_ends_on_time_also_while_the_line_is_down() -> None:
    stage = await running(Stage())
    stage.worker.disconnected()
    await stage.later(USABLE - 0.01)
    assert stage.launcher.cancelled == []
    await stage.later(0.02)
    assert [key.path for key in stage.launcher.cancelled] == ["n0"]


async def test_a_new_session_begins_when_the_lease_has_run_out() -> None:
    stage = await running(Stage())
    await stage.later(LEASE)
    assert stage.plane.restarts == 1
    stage.worker.disconnected()
    hello = stage.connect()
    assert (hello.session_id, list(hello.held)) == ("session-2", [])
    await stage.begin(chain(3), token=2, inputs=X)
    assert [key.fencing_token for key in stage.launcher.launched] == [1, 2]


async def test_a_session_that_the_control_plane_has_ended_is_given_up_at_once() -> None:
    stage = await running(Stage())
    await stage.later(LEASE / 4 + 0.1)
    (renewal,) = stage.said("renewal")
    stage.renewed(renewal.number, alive=False)
    assert [key.path for key in stage.launcher.cancelled] == ["n0"]
    assert stage.plane.restarts == 1
    assert stage.worker.hello().session_id == "session-2"


async def test_a_session_that_is_refused_on_reconnecting_is_given_up_for_a_new_one() -> None:
    stage = await running(Stage())
    stage.worker.disconnected()
    assert stage.worker.hello().session_id == "session-1"
    stage.worker.refused("this session was ended")
    assert [key.path for key in stage.launcher.cancelled] == ["n0"]
    assert stage.connect().session_id == "session-2"


async def test_a_session_whose_welcome_was_lost_is_given_up_when_it_is_refused() -> None:
    stage = Stage()
    stage.worker.hello()
    stage.worker.disconnected()
    stage.worker.refused("this session was ended")
    assert stage.connect().session_id == "session-2"


async def test_an_acknowledgement_that_is_read_after_the_lease_ran_out_launches_nothing() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(chain(1), inputs=X))
    await stage.turn()
    batch = stage.batch()
    # The whole process was stopped: the time has passed, and no timer has rung yet.
    loop = stage.loop()
    loop.leap(LEASE)
    stage.acknowledge(batch)
    assert stage.launcher.launched == []
    assert stage.plane.restarts == 1


async def test_a_result_that_is_seen_after_the_lease_ran_out_is_not_reported() -> None:
    stage = await running(Stage())
    stage.loop().leap(LEASE)
    stage.launcher.succeed("n0")
    await stage.turn()
    assert stage.said("report_batch") == []
    assert stage.plane.restarts == 1


async def test_a_welcome_after_a_break_lengthens_the_lease_from_its_hello() -> None:
    stage = await running(Stage())
    await stage.later(USABLE - 1)
    stage.worker.disconnected()
    stage.connect()
    await stage.later(USABLE - 1)
    assert stage.launcher.cancelled == []
