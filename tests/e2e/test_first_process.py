"""The control plane as the first process of a container, where the kernel drops signals without a handler."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="makes a process namespace of its own: needs Linux, root and unshare",
)


def test_it_ends_at_once_when_told_to_while_its_database_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/volery"
        serve = [sys.executable, "-m", "volery_controlplane", "serve", "--database", database]
        outer = subprocess.Popen(
            [
                "unshare",
                "--pid",
                "--fork",
                *serve,
                "--listen",
                f"unix://{tmp_path}/s",
                "--storage",
                str(tmp_path),
            ]
        )
        try:
            connection, _ = silent.accept()  # it has begun, and waits
            (first,) = psutil.Process(outer.pid).children()
            assert "volery_controlplane" in first.cmdline()
            first.send_signal(signal.SIGTERM)
            assert outer.wait(120) == 128 + signal.SIGTERM
            connection.close()
        finally:
            outer.kill()
            outer.wait()
