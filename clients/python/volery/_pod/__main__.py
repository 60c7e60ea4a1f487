"""Enters a pod: `python -m volery._pod run`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Does what the first argument says."""
    what = sys.argv[1:]
    sys.argv[1:] = []
    if what == ["run"]:
        from volery._pod.running import run

        run()
    sys.stderr.write("usage: python -m volery._pod run\n")
    sys.exit(64)


if __name__ == "__main__":
    main()
