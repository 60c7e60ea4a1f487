from __future__ import annotations

from random import Random

import pytest
from support.hostile_messages import HUGE, HUGE_SIZE, MEGABYTE, SIZE, Hostile, Known
from support.verdicts import RPCS, Rpc

ROOM = 2 * MEGABYTE  # for what is not counted: numbers, tags, messages that hold nothing


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_what_is_sent_has_a_bounded_size(rpc: Rpc) -> None:
    """Lists of thousands within lists of thousands would have gigabytes."""
    for seed in range(60):
        for is_huge, most in ((False, SIZE), (True, HUGE_SIZE)):
            hostile = Hostile(Random(seed), Known(), is_huge=is_huge)
            assert hostile.fresh(rpc.descriptor.input_type).ByteSize() < most + ROOM


def test_some_of_it_is_huge() -> None:
    (register,) = (rpc for rpc in RPCS if rpc.name == "Register")
    sizes = [
        Hostile(Random(seed), Known(), is_huge=True).fresh(register.descriptor.input_type).ByteSize()
        for seed in range(30)
    ]
    assert max(sizes) > 3 * HUGE
