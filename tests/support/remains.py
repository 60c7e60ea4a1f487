"""What an installation may leave on the disk when it has stopped, and what it must not.

Everything of a run lies below one directory, temporary files included, so what lies there and has no
reason to is found by looking.
"""

from __future__ import annotations

import re
from pathlib import Path

_HASH = "[0-9a-f]{64}"
_REASONS = tuple(
    re.compile(pattern)
    for pattern in (
        r"volery\.db(-wal|-shm)?",  # the journal stays until somebody checkpoints it
        r"[\w-]+\.log",
        r"starts",
        r"tmp",
        r"volery\.sock",  # a killed server's; the next one takes its place
        r"\.gitignore|(engine|children)\.lock|logs(/\w+\.log)?",  # of an engine that `volery up` ran
        r"storage(/incoming|/blobs|/logs|/executions)?",
        r"storage/installation",  # whose storage it is
        rf"storage/blobs/[0-9a-f]{{2}}(/{_HASH})?",
        r"storage/logs/.*(?<!\.part)",
        r"storage/executions/.*(?<!\.arriving)",
        r"worker[\w-]*(/[\w-]+\.lock|/scratch|/bundles)?",
        rf"worker[\w-]*/bundles/{_HASH}(/.*)?",
    )
)


def remains(directory: Path) -> list[str]:
    """What was left behind below the directory of an installation that has stopped by itself."""
    found = sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
    return [name for name in found if not any(reason.fullmatch(name) for reason in _REASONS)]
