"""Files that hold a secret: who may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotPrivate(ValueError):
    """Others than its owner could read a file with a secret."""


def require_private(path: Path, what: str) -> None:
    """Raises NotPrivate unless only a file's owner, us or root, may read it; root may share with a group."""
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise NotPrivate(f"{path} belongs to another user, who could replace {what}")
    allowed = stat.S_IRWXU | (stat.S_IRGRP if found.st_uid == 0 else 0)
    if stat.S_IMODE(found.st_mode) & ~allowed:
        raise NotPrivate(f"{path} can be read by others and holds {what}; run: chmod 600 {path}")
