"""Whatever a client sends, the answer is a result or a refusal with its reason, and the server goes on."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from google.protobuf.message import EncodeError
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from integration.hostile.prey import PLACES, Prey, tokens_for
from support.hostile_messages import Hostile
from support.verdicts import RPCS, Rpc, call, complaint

Kind = Callable[[Prey, Rpc, Hostile, Random], list[bytes]]

pytestmark = pytest.mark.timeout(600)

every_rpc = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)


def fuzzed(examples: int) -> settings:
    return settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),  # one server for all examples is what is tested
        print_blob=True,
        phases=(Phase.explicit, Phase.generate),  # a shrunk message says little more and takes minutes
    )


def judge(prey: Prey, rpc: Rpc, requests: list[bytes]) -> None:
    before = prey.inventory() if rpc.name == "Register" else ()
    verdict = call(prey.channel, rpc, requests)
    wrong = complaint(rpc, verdict)
    assert not wrong, f"{wrong}\n{prey.planes.logs()[-3000:]}"
    if before and not verdict.is_ok:
        assert prey.inventory() == before, "a refused package left something behind"


def fresh(prey: Prey, rpc: Rpc, hostile: Hostile, chance: Random) -> list[bytes]:
    count = chance.randint(1, 3) if rpc.descriptor.client_streaming else 1
    return [_bytes(hostile.fresh(rpc.descriptor.input_type)) for _ in range(count)]


def mutated(prey: Prey, rpc: Rpc, hostile: Hostile, chance: Random) -> list[bytes]:
    requests = chance.choice(prey.valid[rpc.name])
    victim = chance.randrange(len(requests))
    return [_bytes(hostile.mutated(one) if here == victim else one) for here, one in enumerate(requests)]


def broken(prey: Prey, rpc: Rpc, hostile: Hostile, chance: Random) -> list[bytes]:
    valid = [_bytes(one) for one in chance.choice(prey.valid[rpc.name])]
    victim = chance.randrange(len(valid))
    valid[victim] = hostile.broken(valid[victim])
    return valid


@pytest.mark.parametrize("kind", [fresh, mutated, broken], ids=lambda kind: kind.__name__)
@every_rpc
@given(chance=st.randoms(use_true_random=False))
@fuzzed(5)
def test_whatever_is_sent_is_served_or_refused(prey: Prey, rpc: Rpc, kind: Kind, chance: Random) -> None:
    judge(prey, rpc, kind(prey, rpc, Hostile(chance, prey.known), chance))
    prey.serves()


@pytest.mark.deep
@every_rpc
@given(chance=st.randoms(use_true_random=False))
@fuzzed(120)
def test_whatever_is_sent_however_large_is_served_or_refused(prey: Prey, rpc: Rpc, chance: Random) -> None:
    kind = chance.choice([fresh, mutated, mutated, broken])
    judge(prey, rpc, kind(prey, rpc, Hostile(chance, prey.known, is_huge=chance.random() < 0.1), chance))
    prey.serves()


@pytest.mark.parametrize(
    "rpc",
    [rpc for rpc in RPCS if "page_token" in rpc.descriptor.input_type.fields_by_name],
    ids=lambda r: r.name,
)
def test_page_tokens_with_places_that_no_row_has_are_served_or_refused(prey: Prey, rpc: Rpc) -> None:
    tried = 0
    for (request,) in prey.valid[rpc.name]:
        # What lies in the object store has no rows, and places in it are names.
        is_stored = rpc.name == "SignBlobs"
        tokens = [f"0:{each}" for each in PLACES] if is_stored else tokens_for(prey, rpc, request)
        for token in tokens:
            changed = GetMessageClass(rpc.descriptor.input_type)()
            changed.CopyFrom(request)
            changed.page_token = token  # type: ignore[attr-defined]  # chosen for having it
            judge(prey, rpc, [_bytes(changed)])
            tried += 1
    assert tried or rpc.name == "ListActivations"


def test_nothing_was_half_registered(prey: Prey) -> None:
    assert prey.torn() == []


def _bytes(message: object) -> bytes:
    """As sent; what the library refuses to write because it is too deep is sent as nothing."""
    try:
        return bytes(message.SerializeToString())  # type: ignore[attr-defined]  # a message
    except (EncodeError, ValueError):
        return b""
