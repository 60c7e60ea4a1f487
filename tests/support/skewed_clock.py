"""A wall clock that a test sets, for whole processes; the monotonic clock goes its way, as in the kernel.

libfaketime stands between the processes and the C library. It reads how far to be off from a file.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest


class SkewedClock:
    """The clock of all processes that have its environment."""

    def __init__(self, file: Path) -> None:
        found = importlib.util.find_spec("libfaketime")
        libraries = (
            sorted(Path(found.origin).parent.rglob("libfaketime*.so*")) if found and found.origin else []
        )
        if not libraries:
            pytest.skip("NOT TESTED: a clock that jumps needs libfaketime for this platform")
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, hours: float) -> None:
        """From now on the clock is off by so much; every process sees it within a second."""
        fresh = self._file.with_name(f"{self._file.name}.new")
        fresh.write_text(f"{hours * 3600:+.0f}\n")
        fresh.chmod(0o644)  # a database server runs as another user
        os.replace(fresh, self._file)
