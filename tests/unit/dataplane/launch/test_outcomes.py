from __future__ import annotations

import signal

import pytest
from volery._process import failures
from volery.errors import StorageError
from volery_dataplane.launch import outcomes
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER


@pytest.mark.parametrize(
    ("status", "memory", "code", "kind", "infrastructure"),
    [
        (0, False, "ProcessExited", FAILURE_KIND_USER, False),
        (3 << 8, False, "ProcessExited", FAILURE_KIND_USER, False),
        (signal.SIGKILL, False, "ProcessKilled", FAILURE_KIND_SYSTEM, True),
        (signal.SIGTERM, False, "ProcessKilled", FAILURE_KIND_SYSTEM, True),
        (signal.SIGKILL, True, "OutOfMemory", FAILURE_KIND_USER, False),
        (signal.SIGSEGV, True, "ProcessKilled", FAILURE_KIND_USER, False),
        (signal.SIGABRT | 0x80, False, "ProcessKilled", FAILURE_KIND_USER, False),
        (50, False, "ProcessKilled", FAILURE_KIND_USER, False),
    ],
)
def test_the_end_of_a_process_tells_whose_fault_it_was(
    status: int, memory: bool, code: str, kind: int, infrastructure: bool
) -> None:
    failure, blamed = outcomes.process_ended(int(status), out_of_memory=memory)
    assert (failure.code, failure.kind, blamed) == (code, kind, infrastructure)
    assert failure.recoverable
    assert list(failure.codes) == [code]


def test_texts_are_cut_by_bytes_and_never_within_a_character() -> None:
    text = "ä" * 10_000
    cut = failures.cut(text, 1000)
    assert len(cut.encode()) <= 1000
    assert set(cut.replace("…", "")) <= set("ä\n 0123456789bytescu")
    assert failures.cut("short", 1000) == "short"
    assert failures.cut("\udcff", 1000) == "?"


def test_a_chain_of_causes_ends_where_it_began() -> None:
    first, second = ValueError("one"), KeyError("two")
    first.__cause__, second.__cause__ = second, first
    told = failures.describe(first)
    assert told["cause"]["code"] == "KeyError"
    assert "cause" not in told["cause"]


def _raise_hiding_the_context() -> None:
    try:
        raise KeyError("inner")
    except KeyError:
        raise ValueError("outer") from None


def test_a_hidden_context_is_not_a_cause() -> None:
    with pytest.raises(ValueError, match="outer") as caught:
        _raise_hiding_the_context()
    assert "cause" not in failures.describe(caught.value)


def test_an_exception_that_answers_nothing_is_told_all_the_same() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        def __getattribute__(self, name: str) -> object:
            raise RuntimeError

    told = failures.describe(Unspeakable())
    assert (told["code"], told["recoverable"]) == ("Unspeakable", True)
    assert "cannot be read" in told["message"]


def test_names_and_ancestors_of_an_exception_are_cut_and_are_text() -> None:
    kind: type[Exception] = type("é" * 10_000, (Exception,), {})
    for number in range(200):
        kind = type(f"K{number}", (kind,), {})
    told = failures.describe(kind())
    assert len(told["codes"]) <= failures.BASES_LIMIT
    assert all(len(name.encode()) <= failures.NAME_LIMIT for name in told["codes"])


def test_a_cause_is_the_one_it_was_raised_from_whatever_it_says_itself() -> None:
    class Deceiving(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]  # that is the point
            return self

    assert "cause" not in failures.describe(Deceiving())


class OfItsOwn(StorageError):
    """A user's class of the kind."""


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (StorageError("503"), FAILURE_KIND_SYSTEM),
        (OfItsOwn("503"), FAILURE_KIND_SYSTEM),
        (OSError("disk full"), FAILURE_KIND_USER),
    ],
)
def test_a_store_that_cannot_be_reached_is_the_platforms_failure(raised: Exception, kind: int) -> None:
    assert outcomes.raised(failures.describe(raised)).kind == kind
