"""What is public is listed, and importing the package loads little."""

from __future__ import annotations

import subprocess
import sys

import volery


def test_the_list_of_public_names_is_sorted_and_whole() -> None:
    assert volery.__all__ == sorted(volery.__all__)
    assert dir(volery) == volery.__all__
    assert sorted(volery._MODULES) == volery.__all__


def test_every_public_name_is_there_and_others_are_not() -> None:
    import types

    for name in volery.__all__:
        value = getattr(volery, name)
        assert not isinstance(value, types.ModuleType), name
        assert (value.__module__ or "").startswith("volery."), name
    assert not hasattr(volery, "nothing")


def _loaded(program: str) -> set[str]:
    """The modules that an interpreter has loaded after a program."""
    run = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


LATE = {"volery.resources", "volery.types.files", "hashlib", "tempfile", "shutil"}
HEAVY = {"betterproto2", "grpclib", "pandas", "numpy", "asyncio", "google.protobuf", "dateutil", "ssl"}
OURS_LATE = {"volery._idl", "volery.client", "volery.remote", "volery._compile.translate"}


def test_importing_the_package_loads_no_generated_code_and_no_transport() -> None:
    assert not _loaded("import volery") & (HEAVY | OURS_LATE | LATE | {"inspect", "dataclasses"})


def test_a_bare_task_loads_nothing_of_options_files_or_storage() -> None:
    program = """
from volery import task
def f(x: int, ys: list[str] | None) -> int:
    return x
task(f)(1, [])
"""
    assert not _loaded(program) & (HEAVY | OURS_LATE | LATE)


def test_functions_win_over_modules_of_their_names() -> None:
    program = """
import volery.task, volery.workflow, volery.map_task
from volery import task, workflow, map_task
assert callable(task) and callable(workflow) and callable(map_task)
assert volery.task is task
from volery.task import Task
"""
    assert "volery.task" in _loaded(program)


def test_declaring_and_running_loads_neither() -> None:
    program = """
from volery import task, workflow, map_task, Retry, LaunchPlan, File
import support.declared
from volery._runtime import load
from volery import TaskContext
load("support.declared", "numbers").run(b"\\x0a\\x0b\\x0a\\x05count\\x12\\x02\\x10\\x04", TaskContext())
"""
    import support

    root = next(iter(support.__path__)).removesuffix("support")
    assert not _loaded(f"import sys\nsys.path.insert(0, {root!r})\n{program}") & (HEAVY | OURS_LATE)
