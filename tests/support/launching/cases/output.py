"""What attempts write: all of it, in order, and once."""

from __future__ import annotations

from support.launching.harness import Harness
from support.launching.stage import Stage
from volery_dataplane.worker.ports import AttemptKey, Succeeded


async def ended_well(harness: Harness, key: AttemptKey) -> None:
    end = await harness.end(key)
    assert isinstance(end, Succeeded), end


async def everything_that_is_written_is_kept_whoever_writes_it(stage: Stage) -> None:
    harness = stage.harness
    # All of them whole lines: a cluster has the streams in one log, in which a text without an end and the
    # next line of the other stream are one. The case of long lines has such a text.
    ways = ("print", "stderr", "program", "printf", "descriptor")
    keys = {word: harness.launch("print_in_many_ways", word=word) for word in ("one", "two")}
    for word, key in keys.items():
        await ended_well(harness, key)
        await harness.until_written(key, lambda lines: len(lines) >= len(ways))
        assert sorted(harness.lines(key)) == sorted(f"{word} {way}" for way in ways)


async def lines_come_in_the_order_in_which_they_were_written(stage: Stage) -> None:
    harness = stage.harness
    wanted = "".join(f"line {number}\n" for number in range(20_000))
    key = harness.launch("count", lines=20_000)
    await ended_well(harness, key)
    await harness.until(lambda: len(harness.log(key)) >= len(wanted))
    assert harness.log(key) == wanted


async def long_lines_come_whole_and_a_last_one_without_its_end_too(stage: Stage) -> None:
    harness, size = stage.harness, 100_000
    wanted = "a" * size + "\n" + "b" * size + "\nno end"
    key = harness.launch("write_long_lines", size=size)
    await ended_well(harness, key)
    await harness.until(lambda: len(harness.log(key)) >= len(wanted))
    assert harness.log(key) == wanted


async def output_can_be_followed_while_an_attempt_runs(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    key = harness.launch("write_then_wait", gate=gate.address)
    await harness.until_said(key, "early\n")
    assert key not in harness.ends
    gate.open()
    await ended_well(harness, key)
    await harness.until_written(key, lambda lines: lines == ["early", "late"])
