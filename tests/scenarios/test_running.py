from __future__ import annotations

import grpc
import pytest
from scenarios.conftest import Cluster, literal
from support.judge import judge_execution
from support.log_pieces import Logs, place
from support.packages import (
    DOMAIN,
    INTEGER,
    PROJECT,
    chain,
    fan_out,
    identifier,
    integers,
    promise,
    standard_tasks,
    task,
    task_node,
    workflow,
)
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import CacheStatus, ExecutionPhase, NodePhase
from voleryidl.core.v1.task_pb2 import CachePolicy, RetryPolicy, Timeouts
from voleryidl.core.v1.workflow_pb2 import FailurePolicy
from voleryidl.execution.v1.execution_pb2 import LogStream
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
FAILED = ExecutionPhase.EXECUTION_PHASE_FAILED


def test_a_chain_gives_the_result_of_its_last_task(cluster: Cluster) -> None:
    cluster.register(chain("chain_5", 5))
    answer = cluster.create("chain_5", x=10)
    assert answer.execution.phase == SUCCEEDED, f"{answer.execution}\n{cluster.planes.logs()}"
    assert literal(answer.outputs) == 15
    judge_execution(cluster.stubs, answer.execution.id)


def test_a_map_over_a_list_made_at_run_time_keeps_its_order_and_is_summed(cluster: Cluster) -> None:
    cluster.register(fan_out("fan"))
    answer = cluster.create("fan", n=120)
    assert literal(answer.outputs) == sum(range(1, 121))
    items = cluster.nodes(answer.execution.id, parent="n1")
    assert list(items) == [f"n1/{index}" for index in range(120)]
    assert answer.execution.counts.succeeded == 123


def test_an_empty_map_succeeds(cluster: Cluster) -> None:
    cluster.register(fan_out("fan"))
    answer = cluster.create("fan", n=0)
    assert literal(answer.outputs) == 0


def test_a_single_task_runs_without_a_workflow(cluster: Cluster) -> None:
    cluster.register(chain("chain_5", 5))
    answer = cluster.create("add_one", kind=EntityKind.ENTITY_KIND_TASK, x=41)
    assert literal(answer.outputs) == 42


def test_a_sub_workflow_runs_inside_its_parent(cluster: Cluster) -> None:
    inner = chain("inner", 2)
    outer = workflow("outer", [], {"x": INTEGER}, o0=(promise("n1"), INTEGER))
    first = outer.nodes.add(id="n0", inputs=[])
    first.workflow.workflow_id.CopyFrom(inner.id)
    first.inputs.add(name="x").value.CopyFrom(promise("", "x"))
    outer.nodes.append(task_node("n1", "add_one", x=promise("n0")))
    cluster.register(inner, outer)
    answer = cluster.create("outer", x=0)
    assert literal(answer.outputs) == 3
    assert set(cluster.nodes(answer.execution.id, recursive=True)) == {"n0", "n0/n0", "n0/n1", "n1"}


def test_a_failing_attempt_is_repeated_and_says_why(cluster: Cluster) -> None:
    cluster.register(chain("flaky", 2, "flaky_add_one"))
    answer = cluster.create("flaky", x=0)
    assert literal(answer.outputs) == 2
    first, second = cluster.node(answer.execution.id, "n0").attempts
    assert first.failure.code == "ValueError"
    assert "the first attempt fails" in first.failure.message
    assert "1 of 2" in first.retry_decision
    assert second.attempt == 2


def test_an_exhausted_retry_fails_the_execution_with_the_users_own_error(cluster: Cluster) -> None:
    tasks = [task("flaky_add_one", retries=RetryPolicy(count=0))]
    cluster.register(chain("hopeless", 1, "flaky_add_one"), tasks=tasks, version="hopeless")
    answer = cluster.create("hopeless", x=0)
    assert answer.execution.phase == FAILED
    assert answer.execution.failure.code == "ValueError"
    assert answer.execution.failure.node_path == "n0"
    assert "flaky_add_one" in answer.execution.failure.trace
    assert "volery/_" not in answer.execution.failure.trace


@pytest.mark.parametrize(("qualname", "code"), [("crash", "ProcessExited"), ("segfault", "ProcessKilled")])
def test_a_task_that_takes_its_process_down_harms_no_other(
    cluster: Cluster, qualname: str, code: str
) -> None:
    nodes = [task_node("bad", qualname, x=promise("", "x")), task_node("good", "add_one", x=promise("", "x"))]
    flow = workflow(f"beside_{qualname}", nodes, {"x": INTEGER}, o0=(promise("good"), INTEGER))
    flow.failure_policy = FailurePolicy.FAILURE_POLICY_FINISH_WHAT_CAN_RUN
    cluster.register(flow, tasks=[task(qualname), task("add_one")], version=qualname)
    answer = cluster.create(flow.id.name, x=1)
    assert answer.execution.phase == FAILED
    nodes_by_path = cluster.nodes(answer.execution.id)
    assert nodes_by_path["good"].phase == NodePhase.NODE_PHASE_SUCCEEDED
    assert nodes_by_path["bad"].failure.code == code


def test_a_hanging_task_is_ended_at_its_running_timeout(cluster: Cluster) -> None:
    hang = task("hang")
    hang.timeouts.CopyFrom(Timeouts())
    hang.timeouts.running.FromMilliseconds(300)
    cluster.register(chain("hanging", 1, "hang"), tasks=[hang], version="hang")
    answer = cluster.create("hanging", x=1)
    assert answer.execution.phase in (FAILED, ExecutionPhase.EXECUTION_PHASE_TIMED_OUT)
    assert answer.execution.failure.code == "TimeoutRunning"


def test_nodes_after_a_failed_one_are_skipped_when_the_rest_may_finish(cluster: Cluster) -> None:
    nodes = [
        task_node("a", "crash", x=promise("", "x")),
        task_node("b", "add_one", x=promise("a")),
        task_node("c", "add_one", x=promise("", "x")),
        task_node("d", "add_one", x=promise("c")),
    ]
    flow = workflow("finish", nodes, {"x": INTEGER}, o0=(promise("d"), INTEGER), o1=(promise("b"), INTEGER))
    flow.failure_policy = FailurePolicy.FAILURE_POLICY_FINISH_WHAT_CAN_RUN
    cluster.register(flow, tasks=[task("crash"), task("add_one")], version="finish")
    answer = cluster.create("finish", x=1)
    phases = {path: node.phase for path, node in cluster.nodes(answer.execution.id).items()}
    assert phases == {
        "a": NodePhase.NODE_PHASE_FAILED,
        "b": NodePhase.NODE_PHASE_SKIPPED,
        "c": NodePhase.NODE_PHASE_SUCCEEDED,
        "d": NodePhase.NODE_PHASE_SUCCEEDED,
    }


def test_an_abort_ends_what_runs_and_keeps_the_first_cause(cluster: Cluster) -> None:
    cluster.register(chain("abortable", 3, "hang"), tasks=[task("hang")], version="abort")
    id = cluster.create("abortable", wait=0, x=1).execution.id
    cluster.until_running(id, "n0")
    assert cluster.abort(id, "wrong input")
    assert not cluster.abort(id, "another reason")
    execution = cluster.wait(id)
    assert execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTED
    assert execution.abort.cause == "wrong input"
    assert cluster.nodes(id)["n0"].phase == NodePhase.NODE_PHASE_ABORTED
    assert not cluster.abort(id, "after the end")
    judge_execution(cluster.stubs, id)


def test_what_a_task_prints_can_be_read_afterwards(cluster: Cluster) -> None:
    cluster.register(chain("talk", 1, "talkative"))
    answer = cluster.create("talk", x=5)
    written = {chunk.stream: chunk.data for chunk in cluster.logs(answer.execution.id, follow=True)}
    assert written[LogStream.LOG_STREAM_STDOUT] == b"hello from 5\n"
    assert written[LogStream.LOG_STREAM_STDERR] == b"a warning\n"


def test_a_megabyte_of_output_is_kept_whole(cluster: Cluster) -> None:
    cluster.register(chain("loud", 1, "loud"), tasks=[task("loud")], version="loud")
    answer = cluster.create("loud", x=2_000_000)
    found: Logs = {}
    place(cluster.logs(answer.execution.id, "n0", follow=True), found)
    assert sum(map(len, found.values())) == 2_000_000


def test_a_cached_result_is_used_again_and_tells_where_it_came_from(cluster: Cluster) -> None:
    cached = task("add_one")
    cached.cache.CopyFrom(CachePolicy(version=f"c{cluster.planes.run_id[:6]}"))
    cluster.register(chain("cached", 2), tasks=[cached], version="cached")
    first = cluster.create("cached", x=100)
    second = cluster.create("cached", x=100)
    assert literal(first.outputs) == literal(second.outputs) == 102
    assert cluster.nodes(first.execution.id)["n0"].cache_status == CacheStatus.CACHE_STATUS_POPULATED
    node = cluster.nodes(second.execution.id)["n0"]
    assert node.cache_status == CacheStatus.CACHE_STATUS_HIT
    assert node.cache_source.execution_id.name == first.execution.id.name
    assert node.target_name == "add_one"
    assert node.phase == NodePhase.NODE_PHASE_SUCCEEDED


def test_the_same_name_starts_one_execution_only(cluster: Cluster) -> None:
    cluster.register(chain("chain_5", 5))
    first = cluster.create("chain_5", x=1)
    create = cluster.stubs.executions.CreateExecution
    same = CreateExecutionRequest(
        project=PROJECT,
        domain=DOMAIN,
        name=first.execution.id.name,
        target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "chain_5", version=""),
        inputs=integers(x=1),
    )
    again = create(same, timeout=120)
    assert again.existed
    assert again.execution.uid == first.execution.uid
    same.inputs.literals["x"].integer_value = 2
    with pytest.raises(grpc.RpcError) as refused:
        create(same, timeout=120)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


def test_many_executions_at_once_all_end_well(cluster: Cluster) -> None:
    cluster.register(chain("chain_3", 3), tasks=standard_tasks())
    ids = [cluster.create("chain_3", wait=0, x=number).execution.id for number in range(40)]
    assert all(cluster.wait(id).phase == SUCCEEDED for id in ids)
