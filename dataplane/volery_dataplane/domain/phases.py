"""This module names the phases of nodes short, as the walker uses them everywhere."""

from __future__ import annotations

from typing import Final

from volery_rules.phases import TERMINAL_NODE_PHASES
from voleryidl.core.v1 import phase_pb2 as pb

UNREACHED: Final = 0
"""Of a node that has no row yet."""
QUEUED: Final = pb.NODE_PHASE_QUEUED
RUNNING: Final = pb.NODE_PHASE_RUNNING
WAITING: Final = pb.NODE_PHASE_WAITING
SUCCEEDED: Final = pb.NODE_PHASE_SUCCEEDED
FAILED: Final = pb.NODE_PHASE_FAILED
ABORTED: Final = pb.NODE_PHASE_ABORTED
SKIPPED: Final = pb.NODE_PHASE_SKIPPED
TIMED_OUT: Final = pb.NODE_PHASE_TIMED_OUT
RECOVERED: Final = pb.NODE_PHASE_RECOVERED

ENDED: Final = TERMINAL_NODE_PHASES
