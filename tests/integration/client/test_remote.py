from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from volery import errors
from volery._plain_values import UnfitValueError
from volery.executions import ExecutionPhase, NodePhase
from volery.register import entities_of
from volery.remote import LaunchOptions, Remote


@pytest.fixture(autouse=True)
def registered(remote: Remote, flow: ModuleType) -> str:
    return remote.register(*entities_of(flow).values(), activate=True).version


def test_outputs_come_back_as_what_the_function_returns(remote: Remote, flow: ModuleType) -> None:
    assert remote.run(flow.search, {"name": "terns", "depths": [2, 5]}).outputs == flow.Model(2, 2.5)
    assert remote.run(flow.split, {"text": "abc"}).outputs == flow.Parts(3, "ABC")
    assert remote.run(flow.nightly).outputs == flow.Model(4, 1.25)


def test_without_the_code_outputs_are_plain(remote: Remote, flow: ModuleType) -> None:
    assert remote.run("client_flow.size", {"name": "abc"}, kind="task").outputs == 3
    assert remote.run("client_flow.search", {"name": "terns", "depths": [5]}).outputs == {
        "depth": 5,
        "score": 1.0,
    }
    assert remote.run("client_flow.split", {"text": "abc"}, kind="task").outputs == {
        "left": 3,
        "right": "ABC",
    }


def test_a_name_makes_a_launch_idempotent(remote: Remote, flow: ModuleType, name: str) -> None:
    first = remote.launch(flow.size, {"name": "abc"}, name=name)
    again = remote.launch(flow.size, {"name": "abc"}, name=name)
    assert first.execution.uid == again.execution.uid
    with pytest.raises(errors.AlreadyExistsError) as refused:
        remote.launch(flow.size, {"name": "other"}, name=name)
    assert refused.value.code == "ALREADY_EXISTS"


def test_a_failed_execution_raises_with_the_users_stack(remote: Remote, flow: ModuleType) -> None:
    run = remote.launch(flow.failing, {"x": 7})
    with pytest.raises(errors.ExecutionFailedError, match="no luck with 7") as failed:
        run.wait()
    failure = failed.value.failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.node_path) == ("USER", "ValueError", "n0")
    assert 'raise ValueError(f"no luck with {x}")' in failure.trace
    assert run.wait(check=False).phase is ExecutionPhase.FAILED
    with pytest.raises(errors.ExecutionFailedError):
        _ = run.outputs


def test_waiting_has_an_end(remote: Remote, flow: ModuleType, fifo: Path) -> None:
    run = remote.launch(flow.waits, {"fifo": str(fifo)})
    with pytest.raises(errors.WaitTimeoutError):
        run.wait(0.05)
    fifo.write_text("go on")
    assert run.wait(timedelta(seconds=30)).outputs == "go on"


def test_an_abort_keeps_its_first_cause(remote: Remote, flow: ModuleType, fifo: Path) -> None:
    run = remote.launch(flow.waits, {"fifo": str(fifo)})
    assert run.abort("too slow")
    assert not run.abort("changed my mind")
    with pytest.raises(errors.ExecutionAbortedError, match="too slow"):
        run.wait(120)


def test_a_watch_tells_how_it_goes_until_the_end(remote: Remote, flow: ModuleType) -> None:
    run = remote.launch(flow.search)
    changes = list(run.watch())
    assert changes[-1].execution.phase is ExecutionPhase.SUCCEEDED
    last = {node.path: node for change in changes for node in change.nodes}
    assert last["n1"].counts is not None
    assert (last["n1"].kind, last["n1"].counts.succeeded, last["n1"].counts.total) == ("MAP", 3, 3)


def test_a_watch_of_what_is_over_tells_that(remote: Remote, flow: ModuleType) -> None:
    run = remote.run(flow.size, {"name": "x"})
    assert [change.execution.phase for change in run.watch()] == [ExecutionPhase.SUCCEEDED]


def test_nodes_are_read_by_level_filter_and_path(remote: Remote, flow: ModuleType) -> None:
    run = remote.run(flow.search, {"depths": list(range(1, 13))})
    assert [node.path for node in run.nodes(recursive=False)] == ["n0", "n1", "n2"]
    items = [node.path for node in run.nodes(below="n1")]
    assert items == [f"n1/{index}" for index in range(12)]
    assert list(run.nodes(filter="phase = FAILED")) == []
    node, attempts = run.node("n1/3")
    assert node.phase is NodePhase.SUCCEEDED
    assert [attempt.attempt for attempt in attempts] == [1]
    assert run.node_outputs("n1/3") == {"o0": {"depth": 4, "score": 2.0}}


def test_logs_are_read_afterwards_and_while_it_runs(remote: Remote, flow: ModuleType, fifo: Path) -> None:
    run = remote.launch(flow.waits, {"fifo": str(fifo)})
    written = b""
    for piece in run.logs(follow=True):
        if piece.stream == "STDOUT":
            written += piece.data
            threading.Thread(target=fifo.write_text, args=("done",)).start()
    assert written == b"waiting\n"
    assert run.wait(120).outputs == "done"
    afterwards = b"".join(piece.data for piece in run.logs() if piece.stream == "STDOUT")
    assert afterwards == written


def test_inputs_are_told_with_the_defaults(remote: Remote, flow: ModuleType) -> None:
    assert remote.run(flow.search, {"name": "x"}).inputs == {"name": "x", "depths": [2, 4, 8]}


def test_large_values_travel_through_the_store(remote: Remote, flow: ModuleType) -> None:
    assert remote.run(flow.numbers, {"count": 20_000}).outputs == list(range(20_000))
    text = "long " * 10_000
    assert remote.run(flow.size, {"name": text}).outputs == len(text)
    assert remote.run(flow.frame, {"rows": 3}).outputs["x"].tolist() == [0, 1, 2]


def test_files_go_there_and_back(remote: Remote, flow: ModuleType, tmp_path: Path) -> None:
    from volery import File

    path = tmp_path / "in.txt"
    path.write_text("from here")
    assert remote.run(flow.text_of, {"file": File(path)}).outputs == "from here"
    assert remote.run("client_flow.text_of", {"file": str(path)}, kind="task").outputs == "from here"
    with remote.run(flow.write, {"text": "from there"}).outputs.open() as stream:
        assert stream.read() == "from there"


def test_inputs_that_do_not_fit_are_refused_before_anything_is_sent(remote: Remote, flow: ModuleType) -> None:
    with pytest.raises(UnfitValueError, match=r"no input nam; the inputs are: name, depths"):
        remote.launch(flow.search, {"nam": "x"})
    with pytest.raises(UnfitValueError, match=r"input name: .*int"):
        remote.launch(flow.search, {"name": 3})
    with pytest.raises(UnfitValueError, match="input depths"):
        remote.launch("client_flow.search", {"depths": "deep"})
    with pytest.raises(UnfitValueError, match="no input depths"):
        remote.launch(flow.nightly, {"depths": [1]})


def test_what_is_missing_is_refused_by_the_server_with_its_place(remote: Remote, flow: ModuleType) -> None:
    with pytest.raises(errors.InvalidError) as refused:
        remote.launch(flow.size)
    assert any(
        "name" in violation.field or "name" in violation.message for violation in refused.value.violations
    )


def test_an_unknown_name_is_not_found(remote: Remote) -> None:
    with pytest.raises(errors.NotFoundError, match="no launch plan, workflow or task nothing"):
        remote.launch("nothing")
    with pytest.raises(errors.NotFoundError) as refused:
        remote.execution("nothing")
    assert refused.value.reason == "NOT_FOUND"


def test_options_travel_with_the_launch(remote: Remote, flow: ModuleType) -> None:
    options = LaunchOptions(labels={"team": "birds"}, tags=["nightly"])
    run = remote.run(flow.size, {"name": "x"}, options=options)
    assert run.execution.labels == {"team": "birds"}
    assert run.execution.tags == ("nightly",)
    found = remote.executions(filter="labels.team = birds")
    assert run.name in [execution.name for execution in found]


def test_lists_are_read_over_all_pages_and_up_to_a_limit(
    other_domain: Remote, flow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volery._catalog.LARGEST_PAGE", 2)
    other_domain.register(flow.size)
    names = [other_domain.run(flow.size, {"name": "x"}).name for _ in range(5)]
    assert [each.name for each in other_domain.executions()][:5] == names[::-1]
    assert [each.name for each in other_domain.executions(order_by="create_time", limit=3)] == names[:3]


def test_a_filter_that_cannot_be_read_is_refused(remote: Remote) -> None:
    with pytest.raises(errors.InvalidError):
        list(remote.executions(filter="phase ="))


def test_registering_again_changes_nothing(remote: Remote, flow: ModuleType, registered: str) -> None:
    again = remote.register(*entities_of(flow).values())
    assert again.version == registered
    assert not any(entity.created for entity in again.entities)
    assert again.bundle_files == ("client_flow.py",)


def test_a_version_holds_its_content_for_ever(remote: Remote, flow: ModuleType, name: str) -> None:
    remote.register(flow.size, version=name)
    original = flow.size.options
    from dataclasses import replace

    flow.size.options = replace(original, deprecated="use something else")
    try:
        with pytest.raises(errors.VersionConflictError) as refused:
            remote.register(flow.size, version=name)
    finally:
        flow.size.options = original
    assert "deprecated" in str(refused.value)


def test_a_dry_run_stores_nothing(other_domain: Remote, flow: ModuleType) -> None:
    done = other_domain.register(flow.split, dry_run=True)
    assert [entity.created for entity in done.entities] == [True]
    with pytest.raises(errors.NotFoundError):
        other_domain.entity("client_flow.split", kind="task")


def test_a_rollback_is_one_call(other_domain: Remote, flow: ModuleType) -> None:
    old = other_domain.register(flow.nightly, version="v1", activate=True)
    new = other_domain.register(flow.nightly, version="v2", activate=True)
    assert (old.version, new.version) == ("v1", "v2")
    assert other_domain.entity("nightly").version == "v2"
    assert other_domain.activate("nightly", "v1").version == "v1"
    assert other_domain.entity("nightly").version == "v1"
    assert [each.version for each in other_domain.activations("nightly")] == ["v1", "v2", "v1"]
    ended = other_domain.deactivate("nightly")
    assert ended is not None
    assert ended.version == "v1"
    assert other_domain.deactivate("nightly") is None


def test_an_entity_tells_what_it_takes_and_gives(remote: Remote, flow: ModuleType) -> None:
    facts = remote.entity("client_flow.search", kind="workflow")
    assert [(each.name, str(each.type)) for each in facts.interface.inputs] == [
        ("name", "str"),
        ("depths", "list[int]"),
    ]
    assert facts.summary == "Finds the best depth."
    assert facts.nodes == (
        ("n0", "client_flow.size"),
        ("n1", "map of client_flow.fit"),
        ("n2", "client_flow.best"),
    )
    assert [each.name for each in remote.entity("nightly").interface.inputs] == ["name"]


def test_projects_are_made_once_and_listed(remote: Remote) -> None:
    made = remote.create_project("birds", description="Birds.")
    assert remote.create_project("birds", description="Birds.") == made
    assert "birds" in [each.project for each in remote.projects()]
