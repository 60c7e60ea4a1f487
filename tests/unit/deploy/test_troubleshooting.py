"""The page of troubles has every reason to wait and every code that attempts get from their pods."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from support.pages import DOCS, ROOT, tables
from volery_cli.tree import WAITING_WORDS
from volery_dataplane.launch.kubernetes.status import ended, pending
from voleryidl.core.v1.reason_pb2 import WaitingReason

PAGE = DOCS / "howto" / "troubleshoot.md"
MODULES = ROOT / "dataplane" / "volery_dataplane" / "launch" / "kubernetes"


def test_every_reason_to_wait_is_told() -> None:
    told = {row["reason"] for row in tables(PAGE, "It waits")}
    reasons = {name.removeprefix("WAITING_REASON_") for name in WaitingReason.DESCRIPTOR.values_by_name}
    assert told == reasons - {"UNSPECIFIED"}


def test_every_reason_to_wait_is_told_in_the_words_that_the_command_line_has_for_it() -> None:
    told = {row["reason"]: row["as people see it"] for row in tables(PAGE, "It waits")}
    assert told == {reason: f"waits {words}" for reason, words in WAITING_WORDS.items()}


def constants() -> Iterator[str]:
    """First codes of failures, where the source says them outright."""
    for module in MODULES.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                codes = node.args[1:] if name in ("user", "system", "timed_out") else []
                if codes and isinstance(codes[0], ast.Constant):
                    yield str(codes[0].value)


def test_every_code_that_attempts_get_from_their_pods_is_told() -> None:
    told = {code.strip() for row in tables(PAGE, "It failed") for code in row["code"].split(",")}
    codes = {*constants(), *ended._INTERRUPTIONS, *(code for code, _ in ended._DISRUPTIONS.values())}
    codes |= {
        *pending._CREATE,
        "InvalidImageName",
        "CreateContainerConfigError",
        "SecretUnavailable",
        "Unschedulable",
        "PodTooLarge",
    }
    assert len(codes) > 20
    assert codes - told == set()
    assert told - codes == set()
