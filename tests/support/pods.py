"""Orders to make pods of, and pods compared with what vectors say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict
from volery_dataplane.launch.kubernetes.manifest.moulds import Moulds
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, Placement, PodSettings
from volery_dataplane.launch.kubernetes.manifest.pods import pod_of
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

_FOLDER = Path(__file__).parents[1] / "vectors" / "pods"
_PLACES = ("spot", "on_demand")
_KEYS = ("mountPath", "name")


def pod_cases() -> list[tuple[str, dict[str, Any]]]:
    """Every case of the vectors, with a name."""
    return [
        (f"{file.stem}: {case['case']}", case)
        for file in sorted(_FOLDER.glob("*.yaml"))
        for case in yaml.safe_load(file.read_text())
    ]


def task(changes: Mapping[str, Any] | None = None) -> TaskTemplate:
    """A task that runs `flows:step`, with changes laid over it; another target replaces its own."""
    made = TaskTemplate(type="python")
    made.id.name, made.id.version = "flows.step", "v1"
    changes = dict(changes or {})
    if "container" not in changes and changes.get("python", {}) is not None:
        made.python.module, made.python.qualname = "flows", "step"
    ParseDict({name: value for name, value in changes.items() if value is not None}, made)
    return made


def order(case: Mapping[str, Any] | None = None) -> AttemptOrder:
    """The order of a case."""
    case = case or {}
    inputs = b"inputs"
    if "inputs" in case:
        inputs = ParseDict({"literals": case["inputs"]}, LiteralMap()).SerializeToString()
    return AttemptOrder(
        key=AttemptKey(7, "n1/n0/17", 2, 3),
        task=task(case.get("task")),
        inputs=inputs,
        execution="demo/development/run-1",
        project_domain="demo/development",
        environment=case.get("environment", {}),
        storage_prefix="s3://bucket/x/2",
        inline_limit=16384,
        access="https://control:8470\n/etc/ca.pem\nvat_token",
        running_timeout=case.get("running_timeout"),
        uid="uid-1",
        options=ParseDict(case.get("execution", {}), ExecutionOptions()),
        data_server="https://data:8471",
        infrastructure_failures=case.get("infrastructure_failures", 1),
    )


def settings(changes: Mapping[str, Any] | None = None) -> PodSettings:
    """Settings with changes as a case writes them."""
    made = {
        name: Placement(**value) if name in _PLACES else tuple(value) if isinstance(value, list) else value
        for name, value in (changes or {}).items()
    }
    if "accelerators" in made:
        made["accelerators"] = {name: Placement(**of) for name, of in made["accelerators"].items()}
    return replace(PodSettings(image="volery.dev/volery-task:test"), **made)


def pod(case: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The pod of a case."""
    case = case or {}
    platform = ParseDict(case.get("platform", {}), PlatformResources())
    moulds = Moulds(Installation("install-1", "s3://bucket", platform), settings(case.get("settings")))
    return cast(order(case), moulds, case.get("template"))


def cast(
    order: AttemptOrder, moulds: Moulds | None = None, template: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The pod of an order; in moulds of its own if none are given."""
    moulds = moulds or Moulds(Installation("i"), settings())
    return pod_of(order, moulds.of(order, template), moulds.installation, moulds.settings)


def differences(wanted: Any, got: Any, place: str = "") -> list[str]:
    """Where something is not as wanted: objects may have more, lists of named things too, None is absence."""
    if isinstance(wanted, Mapping):
        if not isinstance(got, Mapping):
            return [f"{place}: {got!r} instead of an object"]
        return [
            told
            for name, value in wanted.items()
            for told in differences(value, got.get(name), f"{place}.{name}")
        ]
    key = _key_of(wanted)
    if key and isinstance(got, list):
        named = {element.get(key): element for element in got}
        return [
            told
            for element in wanted
            for told in differences(element, named.get(element[key]), f"{place}[{element[key]}]")
        ]
    return [] if wanted == got else [f"{place}: {got!r} instead of {wanted!r}"]


def _key_of(wanted: Any) -> str:
    """By what the elements of a list are looked up; "" where they are not."""
    if not isinstance(wanted, list) or not wanted or not isinstance(wanted[0], Mapping):
        return ""
    return next((key for key in _KEYS if key in wanted[0]), "")
