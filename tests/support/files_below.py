"""The files below a directory, also while others write and remove there.

`Path.rglob` raises when a folder goes between being seen and being read, which every sweep of a store does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def files_below(*directories: Path) -> Iterator[Path]:
    """Those that are found; what goes or comes meanwhile may be among them or not."""
    for directory in directories:
        for here, _, names in os.walk(directory):
            for name in names:
                yield Path(here, name)


def size_below(*directories: Path) -> int:
    """Bytes of the files that are still there when they are asked."""
    total = 0
    for path in files_below(*directories):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
