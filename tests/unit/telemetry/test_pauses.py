"""A plane's start-up is kept out of later searches for garbage."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import gc
from volery_telemetry.pauses import spare_what_started
kept = [[number] for number in range(1_000)]
spare_what_started()
walked = {id(each) for each in gc.get_objects()}
assert not any(id(each) in walked for each in kept), "what started is walked through"
loop = [[]]
loop[0].append(loop)
del loop
assert gc.collect() > 0, "later garbage is not found"
"""


def test_what_started_is_not_walked_through_again_and_later_garbage_is_found() -> None:
    # In a process of its own: freezing is for good.
    subprocess.run([sys.executable, "-c", LOOK], check=True, timeout=60)
