"""A workflow that is under way while the platform is replaced, and whose tasks leave notes of having run."""

from __future__ import annotations

import time
import urllib.request
import uuid

from volery import Resources, current_context, task, workflow

SMALL = Resources(cpu="20m", memory="128Mi")
PAUSE = 0.2
"""Seconds between two looks for the note that lets a crossing end."""


@task(requests=SMALL)
def crossing(notes: str, number: int) -> int:
    """Runs until there is a note that says `land`."""
    _note(notes)
    while b"<Key>land</Key>" not in _asked(f"{notes}?list-type=2&prefix=land"):
        time.sleep(PAUSE)
    return number * 100


@task(requests=SMALL)
def leg(notes: str, number: int) -> int:
    """One of a chain, of which some begin and some end while nothing stays as it is."""
    _note(notes)
    return number + 1


@task(requests=SMALL)
def landed(notes: str, crossed: int, legs: int) -> int:
    _note(notes)
    return crossed + legs


@workflow
def voyage(notes: str, number: int) -> int:
    """Six tasks: one for all the time, four after one another, and one at the end."""
    crossed = crossing(notes=notes, number=number)
    legs = number
    for _ in range(4):
        legs = leg(notes=notes, number=legs)
    return landed(notes=notes, crossed=crossed, legs=legs)


NODES = 6


def _note(notes: str) -> None:
    """Leaves a note of its own for each time that a body runs; nothing takes notes away."""
    context = current_context()
    print(f"{context.path} runs", flush=True)
    place = (
        f"{notes}/{context.execution.rpartition('/')[2]}/{context.path}/{context.attempt}/{uuid.uuid4().hex}"
    )
    _asked(urllib.request.Request(place, b"", method="PUT"))


def _asked(request: str | urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: bytes = answer.read()
        return content
