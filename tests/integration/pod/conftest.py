from __future__ import annotations

from pathlib import Path

import pytest
from support.entry import Pod


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """One attempt, in a directory of its own."""
    return Pod(tmp_path)
