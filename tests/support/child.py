"""Servers that are started for a test process and end with it."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


def said(
    command: Sequence[str], mark: str, directory: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Starts a server; gives the first line with a mark that it writes, which says where it listens.

    Args:
        command: what is started.
        mark: is in the line that is waited for.
        directory: where it runs, and what it writes further goes; removed when it ends.
        environment: of the process; this process's where not given.
    """
    log = (directory / "server.log").open("wb")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
        cwd=directory,
        env=environment,
    )
    stdout = process.stdout
    assert stdout is not None
    reading = threading.Thread(target=shutil.copyfileobj, args=(stdout, log), daemon=True)

    def end() -> None:
        process.kill()
        process.wait()
        if reading.ident is not None:
            reading.join()
        stdout.close()
        log.close()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(end)
    for line in stdout:
        if mark in line.decode():
            reading.start()  # or it would stop when the pipe is full
            return line.decode().strip()
    process.wait()
    raise RuntimeError(f"{command[0]} ended with {process.returncode}: {Path(log.name).read_text()[-4000:]}")
