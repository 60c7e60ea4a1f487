"""What goes into an attempt, and what comes out of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from support.launching.harness import value_of
from support.launching.stage import Stage
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.literals_pb2 import Literal

MIB = 2**20


async def an_integer_goes_in_and_an_integer_comes_out(stage: Stage) -> None:
    assert await stage.harness.value("add_one", x=41) == 42


async def many_attempts_at_once_each_get_their_own_answer(stage: Stage) -> None:
    harness = stage.harness
    keys = [harness.launch("add_one", x=number) for number in range(stage.many)]
    ends = [await harness.end(key) for key in keys]
    values = [value_of(end) for end in ends if isinstance(end, Succeeded)]
    assert values == [number + 1 for number in range(stage.many)]


async def a_large_input_passes(stage: Stage) -> None:
    assert await stage.harness.value("length", text="y" * 3 * MIB) == 3 * MIB


async def an_output_within_its_limit_comes_whole_however_large(stage: Stage) -> None:
    assert len(await stage.harness.value("large", size=5 * MIB, inline_limit=8 * MIB)) == 5 * MIB


async def an_output_beyond_its_limit_lies_at_the_attempts_own_place(stage: Stage) -> None:
    order = stage.harness.order("large", size=3 * MIB)
    stage.harness.launcher.launch(order)
    end = await stage.harness.end(order.key)
    assert isinstance(end, Succeeded), end
    offloaded = Literal.FromString(end.outputs["o0"]).offloaded_value
    assert offloaded.uri.startswith(f"{order.storage_prefix}/")
    stored = stage.store.place(offloaded.uri).read_bytes()
    assert Literal.FromString(stored).string_value == "x" * 3 * MIB
    assert hashlib.sha256(stored).hexdigest() == offloaded.sha256


async def a_file_lies_at_the_attempts_own_place(stage: Stage) -> None:
    order = stage.harness.order("written", size=MIB)
    stage.harness.launcher.launch(order)
    end = await stage.harness.end(order.key)
    assert isinstance(end, Succeeded), end
    blob = Literal.FromString(end.outputs["o0"]).blob_value
    assert blob.uri.startswith(f"{order.storage_prefix}/")
    assert stage.store.place(blob.uri).read_bytes() == b"0123456789abcdef" * (MIB // 16)


async def an_attempt_knows_its_scope(stage: Stage) -> None:
    order = stage.harness.order("scope", attempt=3, inline_limit=1 << 40)
    stage.harness.launcher.launch(order)
    end = await stage.harness.end(order.key)
    assert isinstance(end, Succeeded), end
    told = json.loads(str(value_of(end)))
    assert Path(told.pop("working_dir")).is_absolute()
    assert told == {
        "execution": order.execution,
        "path": order.key.path,
        "attempt": 3,
        "storage_prefix": order.storage_prefix,
        "inline_limit": 1 << 40,
    }


async def an_attempt_begins_in_a_directory_of_its_own_that_is_empty(stage: Stage) -> None:
    assert json.loads(await stage.harness.value("here")) == [True, []]


async def variables_of_the_execution_lie_over_the_tasks(stage: Stage) -> None:
    task = stage.harness.task("variable")
    task.environment["A"] = "of the task, $(B) and $HOME"
    task.environment["B"] = "of the task"
    over = {"B": "of the execution"}
    keys = [stage.harness.launch(task, name=name, environment=over) for name in ("A", "B", "C")]
    ends = [await stage.harness.end(key) for key in keys]
    values = [value_of(end) for end in ends if isinstance(end, Succeeded)]
    assert values == ["of the task, $(B) and $HOME", "of the execution", ""]


async def secrets_come_as_variables_and_as_files(stage: Stage) -> None:
    await stage.keep_secrets("database", {"password": "hunter2 $(HOME)", "key": "-----\nkey\n"})
    task = stage.harness.task("secrets")
    task.secrets.add(group="database", key="password", environment_variable="PASSWORD")
    task.secrets.add(group="database", key="key", file="/run/keys/key")
    assert await stage.harness.value(task) == "hunter2 $(HOME)\n-----\nkey\n"


async def an_end_tells_when_the_attempt_was_launched_and_when_its_code_was_loaded(stage: Stage) -> None:
    end = await stage.harness.run("add_one", x=1)
    assert isinstance(end, Succeeded), end
    assert 0 < end.launched.launch_time <= end.start_time <= end.end_time
    loaded = end.launched.code_time
    assert not loaded or end.start_time < loaded <= end.end_time
