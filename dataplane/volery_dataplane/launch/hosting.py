"""What the launcher tells a task host when it starts: the counterpart of `volery._process.settings`."""

from __future__ import annotations

import json

from volery_dataplane.launch.attempts import Pool
from volery_dataplane.launch.settings import ProcessSettings


def host_settings(number: int, pool: Pool, settings: ProcessSettings) -> str:
    """The settings of one task process, as JSON."""
    return json.dumps(
        {
            "identity": str(number),
            "bundle": str(pool.code or ""),
            "runtime": settings.runtime,
            "scratch": str(settings.directory / "work" / str(number)),
            "spool": str(settings.directory / "spool" / str(number)),
            "inline_output": settings.inline_output,
            "output_cap": settings.output_cap,
            "memory_limit": pool.key.memory_limit,
            "memory_growth": settings.memory_growth,
        }
    )
