from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from volery_rules.granted import KINDS, granted, lowered
from volery_rules.quantities import quantity
from voleryidl.core.v1.task_pb2 import Resources, ResourceSet
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

VECTORS = yaml.safe_load(
    (Path(__file__).parents[2] / "vectors" / "resources" / "granted.yaml").read_text(encoding="utf-8")
)


def _platform(entry: dict[str, Any]) -> PlatformResources:
    return PlatformResources(
        default_requests=ResourceSet(**entry.get("requests", {})),
        default_limits=ResourceSet(**entry.get("limits", {})),
        maximum=ResourceSet(**entry.get("maximum", {})),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["what"])
def test_an_attempt_is_granted_what_the_vector_says(vector: dict[str, Any]) -> None:
    asked = json_format.ParseDict(vector.get("asked", {}), Resources())
    platform = _platform(vector.get("platform", {}))
    given_ = granted(asked, platform)
    assert json_format.MessageToDict(given_) == vector["given"]
    told = [[each.kind, each.asked, each.given] for each in lowered(asked, platform)]
    assert told == vector.get("lowered", [])


amounts = st.sampled_from(["", "", "1", "500m", "1Gi", "2", "4Gi", "1500M"])
sets = st.builds(ResourceSet, cpu=amounts, memory=amounts, gpu=amounts, ephemeral_storage=amounts)
platforms = st.builds(PlatformResources, default_requests=sets, default_limits=sets, maximum=sets)


@given(st.builds(Resources, requests=sets, limits=sets), platforms)
def test_no_request_is_above_its_limit_and_nothing_above_the_maximum(
    asked: Resources, platform: PlatformResources
) -> None:
    given_ = granted(asked, platform)
    for kind in KINDS:
        request, limit = getattr(given_.requests, kind), getattr(given_.limits, kind)
        most = getattr(platform.maximum, kind)
        assert not (request and limit) or quantity(request) <= quantity(limit)
        assert not most or all(quantity(each) <= quantity(most) for each in (request, limit) if each)
        assert limit or not (getattr(asked.limits, kind) or (most and kind != "gpu"))


@given(st.builds(Resources, requests=sets, limits=sets), platforms)
def test_what_was_granted_is_granted_again_and_nothing_of_it_is_lowered(
    asked: Resources, platform: PlatformResources
) -> None:
    once = granted(asked, platform)
    assert granted(once, platform) == once
    assert not list(lowered(once, platform))
