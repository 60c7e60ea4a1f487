"""Enters a pod: `python -m volery._pod run | fetch | send | ready`."""

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
    if what == ["fetch"]:
        from volery._pod.fetching import fetch

        fetch()
    if what == ["send"]:
        from volery._pod.sending import send

        send()
    if what == ["ready"]:
        from volery._pod.sending import wait_until_ready

        wait_until_ready()
    sys.stderr.write("usage: python -m volery._pod run | fetch | send | ready\n")
    sys.exit(64)


if __name__ == "__main__":
    main()
