from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from volery.errors import BundleError, DeclarationError
from volery.launch_plan import LaunchPlan
from volery.register import entities_of, entity_named, load_module, prepare

FLOW = '''
from volery import LaunchPlan, task, workflow
from {helper} import FACTOR

@task
def double(x: int) -> int:
    """Doubles."""
    return FACTOR * x

@workflow
def twice(x: int = 1) -> int:
    return double(double(x))

nightly = LaunchPlan("nightly-{helper}", twice)
number = 3
'''


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A directory with a flow and a helper of names that no other test uses."""
    before = set(sys.modules)
    path = list(sys.path)
    (tmp_path / "registering_flow.py").write_text(FLOW.format(helper="registering_helper"))
    (tmp_path / "registering_helper.py").write_text("FACTOR = 2\n")
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith("registering_"):
            del sys.modules[name]


@pytest.fixture
def flow(project: Path) -> ModuleType:
    return load_module(str(project / "registering_flow.py"))


def version(flow: ModuleType, **more: str) -> str:
    return prepare([flow.twice], project="p", domain="d", **more).version


def test_the_entities_of_a_module_are_those_it_defines(flow: ModuleType) -> None:
    assert list(entities_of(flow)) == ["double", "twice", "nightly"]


def test_an_entity_is_found_by_its_variable_or_its_launch_plans_name(flow: ModuleType) -> None:
    assert entity_named(flow, "twice") is flow.twice
    assert isinstance(entity_named(flow, "nightly-registering_helper"), LaunchPlan)


@pytest.mark.parametrize(("name", "told"), [("nothing", "does not exist"), ("number", "is not a task")])
def test_what_is_no_entity_is_refused_with_those_there_are(flow: ModuleType, name: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=f"{told}(?s:.*)double, nightly, twice"):
        entity_named(flow, name)


def test_a_package_has_all_that_is_reached_and_one_version(flow: ModuleType) -> None:
    prepared = prepare([flow.nightly], project="p", domain="d")
    package = prepared.package
    ids = [each.id for each in [*package.tasks, *package.workflows, *package.launch_plans]]
    assert [each.name for each in ids if each] == [
        "registering_flow.double",
        "registering_flow.twice",
        "nightly-registering_helper",
    ]
    assert {each.version for each in ids if each} == {prepared.version}
    assert prepared.bundle is not None
    assert prepared.bundle.files == ("registering_flow.py", "registering_helper.py")
    target = package.tasks[0].python
    assert target is not None
    assert target.bundle is not None
    assert target.bundle.sha256 == prepared.bundle.sha256


def test_the_version_stays_while_nothing_changes(flow: ModuleType) -> None:
    assert version(flow) == version(flow)
    assert version(flow, version="mine") == "mine"


def test_a_change_of_a_helper_gives_a_new_version(flow: ModuleType, project: Path) -> None:
    before = version(flow)
    (project / "registering_helper.py").write_text("FACTOR = 3\n")
    assert version(flow) != before


def test_a_change_that_is_not_in_the_source_gives_a_new_version(flow: ModuleType) -> None:
    from dataclasses import replace

    before = version(flow)
    flow.double.options = replace(flow.double.options, environment={"A": "1"})
    assert version(flow) != before


def test_a_module_is_loaded_once(project: Path) -> None:
    place = str(project / "registering_flow.py")
    assert load_module(place) is load_module(place)


def test_another_file_of_the_same_name_is_not_mistaken_for_it(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = load_module(str(project / "registering_helper.py"))
    other = tmp_path_factory.mktemp("other") / "registering_helper.py"
    other.write_text("FACTOR = 5\n")
    assert load_module(str(other)).FACTOR == 5
    assert first.FACTOR == 2


def test_a_dotted_name_is_looked_for_here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "registering_package").mkdir()
    (project / "registering_package" / "inner.py").write_text("X = 1\n")
    monkeypatch.chdir(project)
    assert load_module("registering_package.inner").X == 1


@pytest.mark.parametrize("place", ["nowhere.py", "registering_nowhere", "registering_nowhere.inner"])
def test_what_cannot_be_found_is_told(place: str) -> None:
    with pytest.raises(BundleError, match="there is no"):
        load_module(place)


def test_what_a_module_fails_to_import_is_its_own_error(project: Path) -> None:
    (project / "registering_broken.py").write_text("import registering_missing\n")
    with pytest.raises(ModuleNotFoundError, match="registering_missing"):
        load_module(str(project / "registering_broken.py"))
    assert "registering_broken" not in sys.modules
