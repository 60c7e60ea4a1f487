"""What holds for every test process."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings
from support.object_servers import give_time

# A shell that starts something in the background has it ignore interrupts, and everything below inherits
# that; tests that interrupt themselves or a command would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Times say nothing on a busy machine, so no example has a deadline.
settings.register_profile("quick", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "deep", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=1_000
)
settings.load_profile("deep" if os.environ.get("VOLERY_TEST_PROFILE") == "deep" else "quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    give_time(items)
