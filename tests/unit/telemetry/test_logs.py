from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

FULL = Path("/dev/full")
SPEAKER = """
import os, resource, sys
import structlog
from volery_telemetry.logs import configure

configure(sys.argv[1], "info", plane="control-plane")
log = structlog.get_logger("x")
log.info("before")
size = os.fstat(2).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, resource.RLIM_INFINITY))
log.info("lost")
log.warning("lost too", exc_info=ValueError("why"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("after")
print("went on")
"""


def speaker(form: str, log: TextIO) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SPEAKER, form], stdout=subprocess.PIPE, stderr=log, text=True
    )


@pytest.mark.parametrize("form", ["console", "json"])
def test_who_logs_to_a_full_disk_goes_on(tmp_path: Path, form: str) -> None:
    with (tmp_path / "log").open("w") as log, speaker(form, log) as process:
        assert process.communicate() == ("went on\n", None)
        assert process.returncode == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert "before" in lines[0]
    assert "after" in lines[-1]
    if form == "json":
        assert [json.loads(line)["event"] for line in (lines[0], lines[-1])] == ["before", "after"]
    assert not any("lost too" in line for line in lines)


@pytest.mark.skipif(not FULL.exists(), reason="NOT TESTED: this system has no device that is always full")
@pytest.mark.parametrize("form", ["console", "json"])
def test_who_logs_to_a_disk_that_stays_full_goes_on(form: str) -> None:
    with FULL.open("w") as log, speaker(form, log) as process:
        assert process.communicate() == ("went on\n", None)
