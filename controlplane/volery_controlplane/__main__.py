"""Runs the command with `python -m volery_controlplane`."""

from __future__ import annotations

import sys

from volery_controlplane.main import main

sys.exit(main())
