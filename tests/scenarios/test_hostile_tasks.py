"""Tasks that do what no task should end in an ordinary failure, and leave the worker as it was."""

from __future__ import annotations

import psutil
import pytest
from scenarios.conftest import Cluster, literal
from support.files_below import size_below
from support.packages import INTEGER, INTEGERS, promise, task, task_node, workflow
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.execution.v1.execution_pb2 import LogStream

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
FAILED = ExecutionPhase.EXECUTION_PHASE_FAILED
STRING = LiteralType(simple=SimpleType.SIMPLE_TYPE_STRING)
MODULE = "support.hostile_tasks"
MIB = 1024 * 1024

pytestmark = pytest.mark.timeout(300)


def failure_of(cluster: Cluster, name: str, x: int = 1) -> Failure:
    cluster.register(tasks=[task(name, module=MODULE), task("add_one")], version="hostile")
    answer = cluster.create(name, kind=EntityKind.ENTITY_KIND_TASK, wait=200, x=x)
    assert answer.execution.phase == FAILED, f"{answer.execution}\n{cluster.planes.logs()}"
    ordinary = cluster.create("add_one", kind=EntityKind.ENTITY_KIND_TASK, wait=200, x=1)
    assert literal(ordinary.outputs) == 2, "the worker is as it was"
    return answer.execution.failure


def innermost(failure: Failure) -> Failure:
    while failure.HasField("cause") and failure.code != "CodeNotLoadable":
        failure = failure.cause
    return failure


def test_an_exception_that_answers_nothing_is_told_by_its_name(cluster: Cluster) -> None:
    failure = failure_of(cluster, "unspeakable")
    assert "Unspeakable" in str(failure)
    assert failure.kind == 1, failure


def test_an_exception_that_is_its_own_cause_is_told_once(cluster: Cluster) -> None:
    failure = failure_of(cluster, "deceiving")
    assert "Deceiving" in str(failure)


def test_a_huge_message_is_cut_and_says_so(cluster: Cluster) -> None:
    failure = failure_of(cluster, "shouting", 5 * MIB)
    assert "bytes cut" in str(failure)
    assert failure.ByteSize() < 256 * 1024


def test_text_that_is_no_unicode_is_told_as_far_as_it_can_be(cluster: Cluster) -> None:
    assert "[31m" in failure_of(cluster, "undecodable").message


def test_a_strange_and_long_name_of_an_exception_is_cut(cluster: Cluster) -> None:
    failure = failure_of(cluster, "strangely_named", MIB)
    assert "NNN" in failure.code
    assert failure.ByteSize() < 256 * 1024


def test_a_long_chain_of_causes_is_told_in_part(cluster: Cluster) -> None:
    failure = failure_of(cluster, "endless_causes", 5_000)
    assert failure.ByteSize() < 256 * 1024


def test_endless_recursion_is_an_ordinary_failure(cluster: Cluster) -> None:
    failure = failure_of(cluster, "deep", 0)
    assert failure.ByteSize() < 256 * 1024
    assert failure.kind == 1


def test_a_group_of_very_many_exceptions_is_cut(cluster: Cluster) -> None:
    assert failure_of(cluster, "grouped", 5_000).ByteSize() < 256 * 1024


def test_garbage_on_the_channels_of_the_platform_costs_the_task_its_process_only(cluster: Cluster) -> None:
    cluster.register(tasks=[task("scribbling", module=MODULE), task("add_one")], version="hostile")
    ends = [
        cluster.create("scribbling", kind=EntityKind.ENTITY_KIND_TASK, wait=200, x=x).execution
        for x in range(3)
    ]
    assert all(end.HasField("end_time") for end in ends), cluster.planes.logs()
    ordinary = cluster.create("add_one", kind=EntityKind.ENTITY_KIND_TASK, wait=200, x=1)
    assert literal(ordinary.outputs) == 2, "the worker is as it was"
    assert cluster.planes.worker is not None
    assert cluster.planes.worker.poll() is None, "the worker is the same process"


def test_five_megabytes_of_text_go_from_task_to_task(cluster: Cluster) -> None:
    cluster.register(
        workflow(
            "texts",
            [task_node("n0", "text", x=promise("", "x")), task_node("n1", "length", text=promise("n0"))],
            {"x": INTEGER},
            o0=(promise("n1"), INTEGER),
        ),
        tasks=[
            task("text", outputs={"o0": STRING}, module=MODULE),
            task("length", {"text": STRING}, module=MODULE),
        ],
        version="hostile",
    )
    answer = cluster.create("texts", wait=200, x=MIB * 5 // 3)
    assert answer.execution.phase == SUCCEEDED, f"{answer.execution}\n{cluster.planes.logs()}"
    assert literal(answer.outputs) == MIB * 5 // 3 * 2


@pytest.mark.parametrize("count", [1_000_000])
def test_a_million_integers_go_through_a_workflow_and_come_out(cluster: Cluster, count: int) -> None:
    cluster.register(
        workflow(
            "millions",
            [task_node("n0", "many", n=promise("", "n")), task_node("n1", "summed", xs=promise("n0"))],
            {"n": INTEGER},
            o0=(promise("n1"), INTEGER),
            o1=(promise("n0"), INTEGERS),
        ),
        tasks=[
            task("many", {"n": INTEGER}, {"o0": INTEGERS}, module=MODULE),
            task("summed", {"xs": INTEGERS}, module=MODULE),
        ],
        version="hostile",
    )
    answer = cluster.create("millions", wait=250, n=count)
    assert answer.execution.phase == SUCCEEDED, f"{answer.execution}\n{cluster.planes.logs()}"
    assert literal(answer.outputs) == count * (count - 1) // 2


def test_what_a_task_prints_beyond_the_limit_is_dropped_with_a_note(cluster: Cluster) -> None:
    print_megabytes(cluster, 80)


@pytest.mark.deep
def test_a_gigabyte_of_output_is_cut_and_slows_nothing_to_death(cluster: Cluster) -> None:
    print_megabytes(cluster, 1024)


def print_megabytes(cluster: Cluster, count: int) -> None:
    cluster.register(tasks=[task("printing", module=MODULE)], version="hostile")
    assert cluster.planes.worker is not None
    worker = psutil.Process(cluster.planes.worker.pid)
    before = worker.memory_info().rss
    answer = cluster.create("printing", kind=EntityKind.ENTITY_KIND_TASK, wait=250, x=count)
    assert answer.execution.phase == SUCCEEDED, f"{answer.execution}\n{cluster.planes.logs()}"
    grown = (worker.memory_info().rss - before) / MIB
    print(f"{count} MiB printed: the worker grew by {grown:.1f} MiB")
    assert grown < 64
    chunks = cluster.logs(answer.execution.id)
    notes = b"".join(chunk.data for chunk in chunks if chunk.stream == LogStream.LOG_STREAM_PLATFORM)
    assert b"were dropped" in notes
    assert size_below(cluster.planes.directory) < 512 * MIB
