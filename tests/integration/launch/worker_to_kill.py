"""A launcher that runs attempts until somebody kills its process: `worker_to_kill.py DIRECTORY MODE`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from integration.launch.conftest import local_bundle, process_settings
from integration.launch.process_harness import ProcessHarness


async def main() -> None:
    settings = process_settings(Path(sys.argv[1]), slots=3, fork=sys.argv[2] == "fork")
    harness = ProcessHarness(settings, local_bundle)
    await harness.launcher.start()
    keys = [harness.launch("start_program_and_hang", detach=detach) for detach in (0, 1)]
    for key in keys:
        await harness.until_said(key, "\n")
    print(" ".join(harness.log(key).strip() for key in keys), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
