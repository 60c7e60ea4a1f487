"""A machine-learning pipeline on real data: is a tumour malignant?

Collection, cleaning, pre-processing, model building mapped over hyper-parameters, choice of the best model,
and prediction on cases that it never saw. The data, 30 measurements of 569 tumours, ship inside scikit-learn
(the Wisconsin breast cancer data set), so nothing is downloaded. Run it with

    volery run examples/breast_cancer.py:breast_cancer

or try other hyper-parameters:

    volery run examples/breast_cancer.py:breast_cancer --penalties '[0.5, 1, 2, 4]'

As plain Python, without any engine: `python examples/breast_cancer.py`.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from volery import Cache, File, Resources, Retry, map_task, task, workflow

TRUTH = "malignant"


class Split(NamedTuple):
    """Cases to learn from, and cases to be judged by."""

    train: pd.DataFrame
    test: pd.DataFrame


@dataclass
class Candidate:
    """One choice of hyper-parameters, and how well it did on cases left out of its training."""

    penalty: float
    score: float


@dataclass
class Metrics:
    """How well the chosen model does on cases that played no part in making it."""

    accuracy: float
    area_under_curve: float
    cases: int
    mistakes: int


class Report(NamedTuple):
    """What the pipeline gives."""

    metrics: Metrics
    best: Candidate
    model: File


@task(cache=Cache(version="1"))
def collect() -> pd.DataFrame:
    """The measurements as they were published, with names that are easy to type."""
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    frame = frame.rename(columns=lambda name: name.replace(" ", "_"))
    frame[TRUTH] = (frame.pop("target") == 0).astype("int64")  # published as 0 for malignant, 1 for benign
    return frame


@task
def clean(frame: pd.DataFrame) -> pd.DataFrame:
    """Drops cases that are incomplete, impossible or there twice."""
    possible = (frame.drop(columns=TRUTH) >= 0).all(axis=1)
    kept = frame[possible].dropna().drop_duplicates().reset_index(drop=True)
    print(f"kept {len(kept)} of {len(frame)} cases")
    return kept


@task
def preprocess(frame: pd.DataFrame, test_share: float, seed: int) -> Split:
    """Puts cases aside for the test, and drops measurements that repeat another one."""
    train, test = train_test_split(frame, test_size=test_share, random_state=seed, stratify=frame[TRUTH])
    likeness = train.drop(columns=TRUTH).corr().abs()
    repeats = [name for at, name in enumerate(likeness) if (likeness[name].iloc[:at] > 0.95).any()]
    print(f"dropped {len(repeats)} of {likeness.shape[0]} measurements: {', '.join(repeats)}")
    return Split(
        train=train.drop(columns=repeats).reset_index(drop=True),
        test=test.drop(columns=repeats).reset_index(drop=True),
    )


@task(retries=Retry(2), resources=Resources(cpu="1", memory="1Gi"))
def evaluate(train: pd.DataFrame, penalty: float) -> Candidate:
    """Judges one choice of hyper-parameters by cross-validation."""
    scores = cross_val_score(
        untrained(penalty), train.drop(columns=TRUTH), train[TRUTH], cv=5, scoring="roc_auc"
    )
    print(f"penalty {penalty:g}: area under the curve {scores.mean():.4f} ± {scores.std():.4f}")
    return Candidate(penalty=penalty, score=float(scores.mean()))


@task
def choose(candidates: list[Candidate]) -> Candidate:
    """The best candidate; among equals the one that is punished most, since it is the simplest."""
    return max(candidates, key=lambda candidate: (candidate.score, candidate.penalty))


@task
def build(train: pd.DataFrame, candidate: Candidate) -> File:
    """Fits the chosen model on all training cases and keeps it, scaling included, as a file."""
    model = untrained(candidate.penalty).fit(train.drop(columns=TRUTH), train[TRUTH])
    file = File.new("model.pickle")
    file.path.write_bytes(pickle.dumps(model))
    return file


@task
def predict(model: File, test: pd.DataFrame) -> Metrics:
    """Predicts the cases put aside, and says how well that went."""
    fitted = pickle.loads(model.path.read_bytes())  # noqa: S301  # written by our own task
    measurements, truth = test.drop(columns=TRUTH), test[TRUTH]
    predicted = fitted.predict(measurements)
    likelihood = fitted.predict_proba(measurements)[:, 1]
    return Metrics(
        accuracy=float(accuracy_score(truth, predicted)),
        area_under_curve=float(roc_auc_score(truth, likelihood)),
        cases=len(test),
        mistakes=int((truth != predicted).sum()),
    )


def untrained(penalty: float) -> Pipeline:
    """A model with its scaling; the penalty keeps its weights small."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / penalty, max_iter=1000))


@workflow
def breast_cancer(
    penalties: list[float] = [0.01, 0.1, 1, 10, 100],
    test_share: float = 0.25,
    seed: int = 7,
) -> Report:
    """From raw measurements to a judged model."""
    train, test = preprocess(frame=clean(frame=collect()), test_share=test_share, seed=seed)
    candidates = map_task(evaluate, train=train)(penalty=penalties)
    best = choose(candidates=candidates)
    model = build(train=train, candidate=best)
    metrics = predict(model=model, test=test)
    return Report(metrics=metrics, best=best, model=model)


if __name__ == "__main__":
    print(breast_cancer().metrics)
