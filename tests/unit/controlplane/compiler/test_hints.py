from __future__ import annotations

from collections.abc import Iterator

from volery_controlplane.domain.compiler.report import did_you_mean


def test_a_hint_names_what_is_near() -> None:
    assert did_you_mean("lod", ["load", "save"]) == "did you mean 'load'?"


def test_a_hint_among_very_many_names_does_not_look_at_them_all() -> None:
    looked: list[str] = []

    def names() -> Iterator[str]:
        for number in range(100_000):
            looked.append(f"n{number}")
            yield looked[-1]

    assert did_you_mean("lod", names()) == ""
    assert len(looked) < 5_000
