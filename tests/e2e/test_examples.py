"""The examples, run on the embedded engine and as plain Python: the same numbers, on real data."""

from __future__ import annotations

import ast
import math
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from volery.executions import NodePhase
from volery.register import load_module
from volery.remote import Remote
from volery.run import Run
from volery.testing import embedded_engine

EXAMPLES = Path(__file__).parents[2] / "examples"
PENALTIES = [0.01, 0.1, 1.0, 10.0, 100.0]

ACCURACY = 139 / 143
AREA_UNDER_CURVE = 0.996646
"""Of the chosen model; other builds of the linear algebra may move a case or two past each other."""


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    with embedded_engine(slots=2) as remote:
        yield remote


@pytest.fixture(scope="module")
def breast_cancer() -> Any:
    return load_module(str(EXAMPLES / "breast_cancer.py"))


@pytest.fixture(scope="module")
def descriptive_statistics() -> Any:
    return load_module(str(EXAMPLES / "descriptive_statistics.py"))


@pytest.fixture(scope="module")
def run(remote: Remote, breast_cancer: Any) -> Run:
    remote.register(breast_cancer.breast_cancer)
    return remote.run(breast_cancer.breast_cancer, {}, timeout=120)


def test_the_model_recognises_tumours_it_never_saw(run: Run) -> None:
    metrics = run.outputs.metrics
    assert metrics.cases == 143  # a quarter of 569
    assert metrics.accuracy == pytest.approx(ACCURACY, abs=0.008)
    assert metrics.area_under_curve == pytest.approx(AREA_UNDER_CURVE, abs=0.001)
    assert metrics.mistakes == round((1 - metrics.accuracy) * metrics.cases)


def test_the_best_of_the_hyper_parameters_is_chosen(run: Run) -> None:
    best = run.outputs.best
    assert best.penalty == 1.0
    assert best.score == pytest.approx(0.99422, abs=0.001)


def test_each_hyper_parameter_is_an_item_of_the_map(run: Run) -> None:
    evaluate = next(node for node in run.nodes(recursive=False) if node.kind == "MAP")
    items = list(run.nodes(below=evaluate.path))
    assert [item.path for item in items] == [f"{evaluate.path}/{index}" for index in range(len(PENALTIES))]
    assert {item.phase for item in items} == {NodePhase.SUCCEEDED}
    tried = [run.node_outputs(item.path)["o0"]["penalty"] for item in items]
    assert tried == PENALTIES
    printed = b"".join(piece.data for piece in run.logs(evaluate.path))
    assert printed.count(b"area under the curve") == len(PENALTIES)


def test_the_model_is_a_file_that_predicts(run: Run, breast_cancer: Any) -> None:
    model = run.outputs.model
    assert model.uri.startswith("file://")
    assert Path(model.uri.removeprefix("file://")).is_file()
    fitted = pickle.loads(model.path.read_bytes())
    split = breast_cancer.preprocess(
        frame=breast_cancer.clean(frame=breast_cancer.collect()), test_share=0.25, seed=7
    )
    predicted = fitted.predict(split.test.drop(columns=breast_cancer.TRUTH))
    right = (predicted == split.test[breast_cancer.TRUTH]).mean()
    assert right == pytest.approx(run.outputs.metrics.accuracy)


def test_a_second_run_takes_what_was_collected_from_the_cache(
    remote: Remote, run: Run, breast_cancer: Any
) -> None:
    again = remote.run(breast_cancer.breast_cancer, {"penalties": [1, 10]}, timeout=120)
    collect, *others = again.nodes(recursive=False)
    assert collect.cache_status == "HIT"
    assert collect.cached_from is not None
    assert run.name in collect.cached_from
    assert {node.cache_status for node in others} <= {"", "DISABLED"}
    assert again.outputs.best == run.outputs.best
    assert again.outputs.metrics == run.outputs.metrics


def test_plain_python_gives_the_same_numbers(run: Run, breast_cancer: Any) -> None:
    report = breast_cancer.breast_cancer()
    assert report.metrics == run.outputs.metrics
    assert report.best == run.outputs.best
    assert report.model.path.is_file()


def test_a_table_is_described_the_same_with_and_without_an_engine(
    remote: Remote, descriptive_statistics: Any
) -> None:
    remote.register(descriptive_statistics.describe)
    described = remote.run(descriptive_statistics.describe, {"rows": 200}, timeout=120).outputs
    assert described == descriptive_statistics.describe(rows=200)
    height, weight = described["height"], described["weight"]
    assert height.count == weight.count == 200
    assert height.mean == pytest.approx(1.72, abs=0.02)
    assert height.smallest < height.mean < height.largest
    assert weight.deviation > 6  # what heights add to what is random by itself


def test_the_plain_image_of_tasks_would_do_for_the_darts(remote: Remote) -> None:
    module = load_module(str(EXAMPLES / "pi.py"))
    remote.register(module.estimate)
    estimated = remote.run(module.estimate, {"throwers": 3, "darts": 2000}, timeout=120).outputs
    assert estimated == module.estimate(throwers=3, darts=2000)
    assert estimated.darts == 6000
    assert estimated.pi == pytest.approx(math.pi, abs=0.1)
    # It is what the first execution on a cluster runs, in an image that has the SDK and nothing else.
    imported = {name.partition(".")[0] for name in _imports(EXAMPLES / "pi.py")}
    assert imported <= {"volery", *sys.stdlib_module_names}


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
