"""Workflows whose tasks show what pods are given, and how they may end."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from volery import (
    ContainerTask,
    Directory,
    File,
    OutputLocation,
    Resources,
    Retry,
    Secret,
    ShellTask,
    current_context,
    map_task,
    task,
    workflow,
)

WORDS = "volery.dev/test/wordcount:1"
HISTOGRAM = "volery.dev/test/histogram:1"

SMALL = Resources(cpu="50m", memory="128Mi")
PASSWORD = Secret("database", "password")
CERTIFICATE = Secret("database", "certificate", file="/var/secrets/certificate")


@task(secret_requests=[PASSWORD, CERTIFICATE], requests=SMALL)
def connect() -> list[str]:
    secrets = current_context().secrets
    return [
        secrets.get("database", "password"),
        os.environ["DATABASE_PASSWORD"],
        secrets.get("database", "certificate"),
        secrets.path("database", "certificate").name,
    ]


@task(requests=SMALL)
def written(text: str) -> File:
    file = File.new("text.txt")
    file.path.write_text(text)
    return file


wordcount = ContainerTask(
    "wordcount",
    WORDS,
    ["sh", "/wordcount.sh"],
    inputs={"text": File, "least": int},
    outputs={"counts": dict[str, int], "words": int},
    requests=SMALL,
)

histogram = ContainerTask(
    "histogram",
    HISTOGRAM,
    inputs={"values": list[float], "bins": int},
    outputs={"histogram": list[int], "chart": File},
    requests=SMALL,
)

count = ShellTask(
    "count",
    """
    echo "looking for {inputs.word}" >&2
    grep -c {inputs.word} {inputs.text} > {outputs.lines} || test $? = 1
    sort "{inputs.text}" > {outputs.ordered}
    """,
    inputs={"word": str, "text": File},
    outputs={"lines": int, "ordered": OutputLocation(File, "ordered.txt")},
    requests=SMALL,
)


@task(requests=SMALL)
def told(counts: dict[str, int], words: int, lines: int, ordered: File, chart: File) -> list[str]:
    first = ordered.open().readline().strip()
    return [str(sorted(counts.items())), str(words), str(lines), first, chart.path.read_text()]


@workflow
def programs(text: str, word: str, values: list[float], bins: int) -> list[str]:
    file = written(text)
    counted = wordcount(text=file, least=2)
    found = count(text=file, word=word)
    drawn = histogram(values=values, bins=bins)
    return told(
        counts=counted.counts,
        words=counted.words,
        lines=found.lines,
        ordered=found.ordered,
        chart=drawn.chart,
    )


@task(requests=SMALL, retries=Retry(2, backoff=timedelta(milliseconds=100)))
def stumbles(number: int) -> int:
    """Its first pod ends without a verdict; that of an odd number fails with one."""
    if current_context().attempt == 1:
        print(f"{number} stumbles", flush=True)
        if number % 2:
            raise ValueError("odd")
        os._exit(9)
    return number * number


@workflow
def squares(numbers: list[int]) -> list[int]:
    return map_task(stumbles)(number=numbers)


@task(requests=SMALL)
def hangs() -> None:
    print("hanging", flush=True)
    while True:
        time.sleep(0.1)


@workflow
def hanging() -> None:
    hangs()


@task(requests=Resources(cpu=640))
def enormous() -> None:
    pass


@task(requests=SMALL)
def flock(count: int) -> Directory:
    top = current_context().directory / "flock"
    for number in range(count):
        place = top / f"family {number % 3}" / f"{number}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"bird {number}\n" * number)
    return Directory(top)


@task(requests=SMALL)
def numbered(count: int) -> list[int]:
    return list(range(count))


@task(requests=SMALL)
def weighed(flock: Directory, xs: list[int], given: File) -> tuple[int, int, int]:
    print("a line of a long log " * 20_000)
    birds = sum(path.stat().st_size for path in Path(flock.path).rglob("*.txt"))
    return birds, sum(xs), len(given.path.read_text())


@workflow
def carry(given: File, birds: int, numbers: int) -> tuple[int, int, int]:
    return weighed(flock=flock(birds), xs=numbered(numbers), given=given)
