from __future__ import annotations

import click
import pytest
from volery.executions import LogPiece
from volery_cli.logs import Printer


def piece(data: bytes, path: str = "n0", stream: str = "STDOUT", attempt: int = 1) -> LogPiece:
    return LogPiece(path, attempt, stream, 0, data)


def test_lines_are_printed_when_they_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(prefixed=False)
    printer.take(piece(b"one\ntw"))
    assert capsys.readouterr().out == "one\n"
    printer.take(piece(b"o\nthree"))
    assert capsys.readouterr().out == "two\n"
    printer.finish()
    assert capsys.readouterr().out == "three\n"


def test_each_line_says_which_node_and_which_repeat_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(prefixed=True)
    printer.take(piece(b"a\n"))
    printer.take(piece(b"b\n", path="n1/3", attempt=2))
    assert click.unstyle(capsys.readouterr().out) == "n0 | a\nn1/3 #2 | b\n"


def test_the_lines_of_two_nodes_never_mix(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(prefixed=True)
    printer.take(piece(b"first half, ", path="n0"))
    printer.take(piece(b"other\n", path="n1"))
    printer.take(piece(b"second half\n", path="n0"))
    assert click.unstyle(capsys.readouterr().out) == "n1 | other\nn0 | first half, second half\n"


def test_what_went_to_standard_error_goes_there(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(prefixed=False)
    printer.take(piece(b"oops\n", stream="STDERR"))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "oops\n")


def test_bytes_that_are_no_text_are_shown_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(prefixed=False).take(piece(b"\xff\xfe!\n"))
    assert capsys.readouterr().out == "\ufffd\ufffd!\n"


def test_a_node_is_called_as_its_label_says(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def label(path: str) -> str:
        asked.append(path)
        return f"fit ({path})"

    printer = Printer(prefixed=True, label=label)
    printer.take(piece(b"a\nb\n"))
    assert click.unstyle(capsys.readouterr().out) == "fit (n0) | a\nfit (n0) | b\n"
    assert asked == ["n0"]
