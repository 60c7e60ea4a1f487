from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import yaml
from support.deploying.api import Api


@pytest.fixture(scope="session")
def api() -> Api:
    kubeconfig = os.environ.get("VOLERY_TEST_KUBECONFIG", "")
    if not kubeconfig:
        pytest.skip("no cluster: VOLERY_TEST_KUBECONFIG names none")
    return Api(kubeconfig)


@pytest.fixture(scope="module")
def namespace(api: Api) -> Iterator[str]:
    """One of its own, as strict as the platform's."""
    name = f"deploy-{uuid.uuid4().hex[:8]}"
    strict = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": strict}}
    api.done("create", "--filename=-", given=yaml.safe_dump(made))
    yield name
    api.done("delete", "namespace", name, "--wait=false")
