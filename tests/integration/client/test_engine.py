from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from volery._engine import Engine, EngineIsRunning, EngineSettings, default_server, running_server
from volery.errors import EngineError
from volery.remote import Remote

READ_ONLY = EngineSettings(synchronous="off", worker=False)

SUPERVISOR = """
import sys
from pathlib import Path
from volery._engine import Engine, EngineSettings
engine = Engine(Path(sys.argv[1]), EngineSettings(synchronous="off"))
engine.begin()
engine.wait_ready()
print(*engine.pids().values(), flush=True)
sys.stdin.read()
"""


def answers(server: str) -> bool:
    with Remote(server, first_patience=30) as remote:
        return bool(remote.server_version())


def test_an_engine_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Engine(tmp_path, EngineSettings(synchronous="off")) as engine:
        assert answers(engine.server)
        assert running_server(tmp_path) == engine.server
        processes = [psutil.Process(pid) for pid in engine.pids().values()]
        assert len(processes) == 2
        descendants = [child for process in processes for child in process.children(recursive=True)]
    assert not any(process.is_running() for process in [*processes, *descendants])
    assert running_server(tmp_path) is None
    assert not (tmp_path / "engine.json").exists()


def test_a_directory_has_one_engine(tmp_path: Path) -> None:
    with Engine(tmp_path, READ_ONLY) as engine:
        with pytest.raises(EngineIsRunning) as refused:
            Engine(tmp_path, READ_ONLY).begin()
        assert refused.value.server == engine.server
        assert answers(engine.server)


def test_what_crashes_is_started_again(tmp_path: Path) -> None:
    with Engine(tmp_path, READ_ONLY) as engine:
        before = engine.pids()["controlplane"]
        os.kill(before, signal.SIGKILL)
        assert answers(engine.server)
        assert engine.pids()["controlplane"] != before


def test_the_death_of_the_supervisor_ends_its_children(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.stdout is not None
        children = [int(word) for word in supervisor.stdout.readline().split()]
        watched = [os.pidfd_open(pid) for pid in children]
        supervisor.kill()
    for descriptor in watched:
        readable, _, _ = select.select([descriptor], [], [], 60)
        assert readable, "a child outlived its supervisor"
        os.close(descriptor)
    with Engine(tmp_path, READ_ONLY) as engine:
        assert answers(engine.server)


def test_what_a_killed_supervisor_left_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # a narrow screen must not hide whose process it is
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.stdout is not None
        children = [psutil.Process(int(word)) for word in supervisor.stdout.readline().split()]
        for child in children:
            child.suspend()  # they cannot end themselves
        supervisor.kill()
    with Engine(tmp_path, READ_ONLY) as engine:
        assert answers(engine.server)
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_an_engine_that_stands_by_takes_over(tmp_path: Path) -> None:
    first = Engine(tmp_path, READ_ONLY)
    first.begin()
    first.wait_ready()
    second = Engine(tmp_path, READ_ONLY)
    waiting = threading.Thread(target=second.stand_by, args=(threading.Event(),))
    waiting.start()
    first.stop()
    waiting.join()
    try:
        assert answers(second.server)
    finally:
        second.stop()


def test_an_engine_that_was_dismissed_starts_nothing(tmp_path: Path) -> None:
    dismissed = threading.Event()
    first = Engine(tmp_path, READ_ONLY)
    first.begin()
    second = Engine(tmp_path, READ_ONLY)
    waiting = threading.Thread(target=second.stand_by, args=(dismissed,))
    waiting.start()
    dismissed.set()
    first.stop()
    waiting.join()
    assert second.pids() == {}
    assert running_server(tmp_path) is None


def test_an_engine_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "volery.db").write_text("this is not a database, but it is long enough to be looked at" * 20)
    with pytest.raises(EngineError, match="ended before it was ready"), Engine(tmp_path, READ_ONLY):
        pass
    assert running_server(tmp_path) is None


def test_an_interpreter_without_the_planes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLERY_ENGINE_PYTHON", "/nowhere/python")
    with pytest.raises(EngineError, match="cannot be started"), Engine(tmp_path, READ_ONLY):
        pass


def test_a_directory_with_a_long_name_has_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long-" * 30) / "state"
    server = default_server(deep)
    assert len(server) < 100
    with Engine(deep, READ_ONLY) as engine:
        assert engine.server == server
        assert answers(server)


def test_others_may_not_enter_the_state_directory(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Engine(state, READ_ONLY):
        assert state.stat().st_mode & 0o077 == 0


def test_an_engine_listens_where_it_is_told(tmp_path: Path) -> None:
    settings = EngineSettings(synchronous="off", worker=False, listen="127.0.0.1:0")
    with Engine(tmp_path, settings) as engine:
        assert engine.server.startswith("127.0.0.1:")
        assert not engine.server.endswith(":0")
        assert running_server(tmp_path) == engine.server
        assert answers(engine.server)
