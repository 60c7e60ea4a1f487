"""Attempts that fail and come again, and limits of time."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from support.closures import Flow, chain, integer, task
from support.walks import SECOND, Drive
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_TIMEOUT, Failure
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.reason_pb2 import WAITING_REASON_BACKOFF
from voleryidl.core.v1.task_pb2 import RetryPolicy, TaskTemplate
from voleryidl.core.v1.workflow_pb2 import NodeOverrides


def retried(count: int, seconds: float = 0) -> TaskTemplate:
    step = task()
    step.retries.count = count
    step.retries.backoff.initial.FromMicroseconds(round(seconds * SECOND))
    return step


def one(step: TaskTemplate, **options: object) -> Drive:
    return Drive(Flow().node("a", step, {"x": 1}), **options).settle()  # type: ignore[arg-type]  # passed on


def test_a_failed_attempt_and_the_next_start_intent_travel_in_one_wave() -> None:
    drive = one(retried(2))
    drive.fail("a")
    wave = drive.turn()
    assert [(event.node.attempt, event.node.attempt_phase) for event in wave.events] == [
        (1, pb.ATTEMPT_PHASE_FAILED),
        (2, pb.ATTEMPT_PHASE_QUEUED),
    ]
    assert wave.events[0].node.retry_decision == "retry 1 of 2 at once"
    assert drive.phases == {"a": "QUEUED"}
    drive.succeed("a").settle()
    assert drive.phase == "SUCCEEDED"


def test_a_node_waits_out_its_delay_and_says_so() -> None:
    drive = one(retried(1, seconds=2))
    drive.fail("a").settle()
    event = drive.event("a")
    assert event.phase == pb.NODE_PHASE_WAITING
    assert event.waiting_reason == WAITING_REASON_BACKOFF
    assert event.wake_time.ToMicroseconds() == drive.now + 2 * SECOND
    assert drive.walk.next_timer == drive.now + 2 * SECOND
    drive.later(1.9).settle()
    assert drive.runs() == []
    drive.later(0.1).settle()
    assert drive.launched == [("a", 1), ("a", 2)]


def test_an_execution_that_only_waits_for_time_can_be_parked() -> None:
    drive = one(retried(1, seconds=60))
    drive.fail("a")
    assert drive.parkable is None, "the failure is not committed yet"
    drive.settle()
    assert drive.parkable is not None
    assert drive.parkable.wake_time == drive.now + 60 * SECOND


def test_used_up_retries_fail_the_node_and_tell_why() -> None:
    drive = one(retried(1))
    drive.fail("a").settle().fail("a").settle()
    assert drive.phase == "FAILED"
    assert drive.event("a").retry_decision == "not retried: all 1 retries are used up"
    assert drive.failure.attempt == 2


def test_failures_of_the_infrastructure_do_not_use_up_the_task_s_retries() -> None:
    drive = one(retried(1))
    drive.fail("a", "WorkerLost", infrastructure=True).settle()
    drive.fail("a").settle()
    drive.succeed("a").settle()
    assert drive.phase == "SUCCEEDED"
    events = [event for event in drive.events("a") if event.attempt_phase == pb.ATTEMPT_PHASE_FAILED]
    assert [event.infrastructure_failure for event in events] == [True, False]


def test_a_cancel_nobody_asked_for_counts_against_the_infrastructure() -> None:
    drive = one(task())
    drive.gone("a").settle()
    assert drive.launched == [("a", 1), ("a", 2)]


def test_a_node_s_own_policy_replaces_the_task_s() -> None:
    flow = Flow().node("a", retried(0), {"x": 1}, overrides=NodeOverrides(retries=RetryPolicy(count=1)))
    drive = Drive(flow).settle()
    drive.fail("a").settle()
    assert drive.runs() == ["a"]


def test_a_running_timeout_is_retried_and_the_attempt_is_told_as_timed_out() -> None:
    drive = one(retried(1))
    late = Failure(kind=FAILURE_KIND_TIMEOUT, code="TimeoutRunning")
    drive.fail("a", failure=late).settle()
    assert drive.rows.attempts["a", 1] == pb.ATTEMPT_PHASE_TIMED_OUT
    drive.fail("a", failure=late).settle()
    assert drive.phases == {"a": "TIMED_OUT"}
    assert drive.phase == "FAILED"
    assert drive.failure.code == "TimeoutRunning"


def total(seconds: int, retries: int = 5, delay: float = 0) -> TaskTemplate:
    step = retried(retries, delay)
    step.timeouts.total.FromSeconds(seconds)
    return step


def test_a_node_over_its_total_time_is_cancelled_and_then_timed_out_for_good() -> None:
    drive = one(total(10))
    drive.later(10).settle()
    assert drive.cancels == [("a", 1)]
    assert drive.phases == {"a": "QUEUED"}
    drive.gone("a").settle()
    assert drive.phases == {"a": "TIMED_OUT"}
    assert drive.phase == "FAILED"
    assert drive.failure.code == "TimeoutTotal"
    assert drive.launched == [("a", 1)]


def test_total_time_counts_over_all_attempts() -> None:
    drive = one(total(10))
    drive.later(6).fail("a").settle()
    drive.later(3.9).settle()
    assert drive.cancels == []
    drive.later(0.1).settle()
    assert drive.cancels == [("a", 2)]


def test_total_time_ends_a_node_that_rests() -> None:
    drive = one(total(10, delay=60))
    drive.fail("a").settle().later(10).settle()
    assert drive.phases == {"a": "TIMED_OUT"}
    assert drive.failure.cause.code == "ValueError"
    assert drive.rows.attempts["a", 1] == pb.ATTEMPT_PHASE_FAILED


def test_a_result_that_comes_before_the_cancel_counts() -> None:
    drive = one(total(10))
    drive.later(10).settle().succeed("a").settle()
    assert drive.phase == "SUCCEEDED"


def test_a_failure_that_comes_before_the_cancel_is_the_cause() -> None:
    drive = one(total(10))
    drive.later(10).settle().fail("a").settle()
    assert drive.phases == {"a": "TIMED_OUT"}
    assert drive.failure.cause.code == "ValueError"


def test_an_execution_over_its_time_is_timed_out_once_everything_is_gone() -> None:
    options = ExecutionOptions(timeout=Duration(seconds=30))
    drive = Drive(chain(2), {"x": integer(1)}, options=options).settle()
    drive.later(10).succeed("n0").settle().later(20).settle()
    assert drive.phase == "FAILING"
    drive.gone("n1").settle()
    assert drive.phase == "TIMED_OUT"
    assert drive.failure.code == "TimeoutTotal"
    assert drive.failure.node_path == ""
    assert "30 s" in drive.failure.message


def test_a_sub_workflow_over_its_time_is_cancelled_and_timed_out() -> None:
    overrides = NodeOverrides()
    overrides.timeouts.total.FromSeconds(5)
    inner = Flow("inner").node("a", task(), {"x": 1})
    drive = Drive(Flow().node("s", inner, overrides=overrides)).settle()
    drive.later(5).settle().gone("s/a").settle()
    assert drive.phases == {"s": "TIMED_OUT", "s/a": "ABORTED"}
    assert drive.failure.node_path == "s"


def test_a_resting_node_that_is_aborted_keeps_its_attempt_as_it_ended() -> None:
    drive = one(retried(1, seconds=60))
    drive.fail("a").settle().abort().settle()
    assert drive.phases == {"a": "ABORTED"}
    assert drive.rows.attempts["a", 1] == pb.ATTEMPT_PHASE_FAILED
    assert drive.rows.nodes["a"].user_failures == 1
    assert drive.phase == "ABORTED"


def test_a_start_intent_that_was_not_taken_is_undone_by_an_abort() -> None:
    drive = Drive(Flow().node("a", task(), {"x": 1}), places=0).settle()
    drive.walk.admit(1, drive.now)
    drive.abort().turn()
    assert drive.launched == []
    assert drive.phases == {"a": "ABORTED"}
    assert drive.phase == "ABORTED"


def test_the_first_cause_of_an_abort_stays() -> None:
    drive = Drive(chain(1), {"x": integer(1)}).settle()
    drive.abort("first").abort("second").settle().gone("n0").settle()
    assert "first" in drive.failure.message
