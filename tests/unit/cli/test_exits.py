from __future__ import annotations

import pytest
from volery import errors
from volery.errors import Violation
from volery.executions import Execution, ExecutionPhase, Target
from volery_cli.exits import Exit, of_error, of_phase, told, user_traceback

EXECUTION = Execution("p", "d", "e", "u", Target("TASK", "p", "d", "n", "v"), ExecutionPhase.FAILED)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotFoundError("x"), Exit.NOT_FOUND),
        (errors.InvalidError("x"), Exit.REFUSED),
        (errors.CompilationError("x"), Exit.REFUSED),
        (errors.VersionConflictError("x"), Exit.REFUSED),
        (errors.WrongPhaseError("x"), Exit.REFUSED),
        (errors.DeniedError("x"), Exit.REFUSED),
        (errors.TooLargeError("x"), Exit.REFUSED),
        (errors.BundleError("x"), Exit.REFUSED),
        (errors.DeclarationError("x"), Exit.REFUSED),
        (errors.UnavailableError("x"), Exit.UNAVAILABLE),
        (errors.DeadlineError("x"), Exit.UNAVAILABLE),
        (errors.OverloadedError("x"), Exit.UNAVAILABLE),
        (errors.EngineError("x"), Exit.UNAVAILABLE),
        (errors.ConfigurationError("x"), Exit.USAGE),
        (errors.ServerError("x"), Exit.DEFECT),
        (errors.ExecutionFailedError("x", EXECUTION), Exit.FAILED),
        (errors.ExecutionTimedOutError("x", EXECUTION), Exit.FAILED),
        (errors.ExecutionAbortedError("x", EXECUTION), Exit.ABORTED),
        (ZeroDivisionError("x"), Exit.DEFECT),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: Exit) -> None:
    assert of_error(error) is code


def test_every_end_of_an_execution_has_its_exit_code() -> None:
    ends = {phase: of_phase(phase) for phase in ExecutionPhase if phase.is_terminal}
    assert ends == {
        ExecutionPhase.SUCCEEDED: Exit.OK,
        ExecutionPhase.FAILED: Exit.FAILED,
        ExecutionPhase.TIMED_OUT: Exit.FAILED,
        ExecutionPhase.ABORTED: Exit.ABORTED,
    }


def test_a_refusal_tells_its_reason_and_each_complaint_with_place_and_mend() -> None:
    error = errors.CompilationError(
        "the package has 2 problems",
        reason="COMPILATION_FAILED",
        metadata={"violations_omitted": "3"},
        violations=[
            Violation(
                "workflows[0].nodes[1].inputs[x]", "string is bound", "MISMATCHING_TYPES", "n1", "convert it"
            ),
            Violation("", "no name"),
        ],
    )
    assert list(told(error)) == [
        "the package has 2 problems  [COMPILATION_FAILED]",
        "",
        "  workflows[0].nodes[1].inputs[x] (node n1)",
        "    string is bound  [MISMATCHING_TYPES]",
        "    mend: convert it",
        "",
        "  request",
        "    no name",
        "",
        "  and 3 more",
    ]


def test_a_traceback_begins_in_the_users_code() -> None:
    def of_the_user() -> None:
        raise ValueError("mine")

    try:
        of_the_user()
    except ValueError as error:
        lines = user_traceback(error)
    assert lines[-1] == "ValueError: mine"
    assert any("of_the_user" in line for line in lines)
