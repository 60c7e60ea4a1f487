"""Puts the Kubernetes launcher together, from the worker's settings and the environment."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from kubernetes.aio.config import ConfigException

from volery_dataplane.launch.choosing import CannotLaunch, Chosen, Surrounding
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import (
    ApiSettings,
    LaunchSettings,
    LogSettings,
    Patience,
    ReconcilerSettings,
)
from volery_dataplane.launch.kubernetes.launcher import KubernetesLauncher
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Placement, PodSettings
from volery_dataplane.launch.kubernetes.measures import pod_metrics
from volery_dataplane.launch.kubernetes.namespaces import namespace_of
from volery_dataplane.launch.plans import NotRunnable

T = TypeVar("T")


class Knobs:
    """The environment's variables, each read as what it must be."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        return self._environment.get(name, "") or default

    def texts(self, name: str) -> tuple[str, ...]:
        """Several, with commas between them."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def number(self, name: str, default: float, least: float = 0.0) -> float:
        """A number."""
        return self._read(name, default, "a number", float, lambda found: found >= least)

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """A whole number."""
        return self._read(name, default, "a whole number", int, lambda found: found >= least)

    def yes(self, name: str, default: bool) -> bool:
        """Yes or no."""
        words = {"1": True, "true": True, "yes": True, "on": True}
        words |= {"0": False, "false": False, "no": False, "off": False}
        return self._read(name, default, "yes or no", lambda text: words[text.lower()], lambda _: True)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A mapping, in YAML or JSON, or in a file that is named."""
        text = self.text(name)
        if not text:
            return {}
        try:
            if text.lstrip()[:1] != "{" and "\n" not in text:
                text = Path(text).read_text()
            found = yaml.safe_load(text)
        except (OSError, yaml.YAMLError) as problem:
            raise CannotLaunch(f"{name} cannot be read: {problem}") from problem
        if not isinstance(found, dict):
            raise CannotLaunch(f"{name} must hold a mapping, not {json.dumps(found)[:100]}")
        return found

    def _read(
        self, name: str, default: T, what: str, read: Callable[[str], T], is_legal: Callable[[T], bool]
    ) -> T:
        text = self.text(name)
        if not text:
            return default
        try:
            found = read(text)
        except (ValueError, KeyError):
            raise CannotLaunch(f"{name} must be {what}, not {text!r}") from None
        if not is_legal(found):
            raise CannotLaunch(f"{name} must not be {text}")
        return found


def api_settings(knobs: Knobs, around: Surrounding) -> ApiSettings:
    """How the API server is reached."""
    return ApiSettings(
        kubeconfig=knobs.text("VOLERY_KUBECONFIG"),
        context=knobs.text("VOLERY_KUBE_CONTEXT"),
        connections=knobs.whole("VOLERY_KUBE_CONNECTIONS", 128, least=2),
        timeout=knobs.number("VOLERY_KUBE_TIMEOUT", 30.0, least=1.0),
        credentials=around.scratch / "credentials",
    )


def launch_settings(knobs: Knobs, around: Surrounding) -> LaunchSettings:
    """How pods are made, followed and removed."""
    default = LaunchSettings(around.slots, LogSettings(around.scratch))
    settings = LaunchSettings(
        slots=around.slots,
        logs=LogSettings(
            around.scratch,
            followers=knobs.whole("VOLERY_POD_LOG_FOLLOWERS", 200),
            limit=around.log_size_limit,
        ),
        pods=replace(pod_settings(knobs), bundle_limits=around.bundle_limits),
        patience=Patience(
            image=knobs.number("VOLERY_POD_IMAGE_PATIENCE", 180.0),
            create=knobs.number("VOLERY_POD_CREATE_PATIENCE", 180.0),
            pending=knobs.number("VOLERY_POD_PENDING_PATIENCE", 0.0) or None,
        ),
        reconciler=ReconcilerSettings(
            interval=knobs.number("VOLERY_RECONCILE_INTERVAL", 30.0, least=0.1),
            cap=knobs.whole("VOLERY_RECONCILE_CAP", 100),
        ),
        namespace_template=knobs.text("VOLERY_NAMESPACE_TEMPLATE", default.namespace_template),
        restrict_namespaces=knobs.yes("VOLERY_NAMESPACE_RESTRICTED", True),
        template_namespace=knobs.text("VOLERY_POD_TEMPLATE_NAMESPACE"),
        watched=knobs.texts("VOLERY_WATCHED_NAMESPACES"),
        creates=knobs.whole("VOLERY_POD_CREATES", default.creates, least=1),
        create_rate=knobs.number("VOLERY_POD_CREATE_RATE", 0.0),
        removes=knobs.whole("VOLERY_POD_REMOVES", default.removes, least=1),
        kill_grace=knobs.number("VOLERY_POD_KILL_GRACE", default.kill_grace),
    )
    try:
        namespace_of(settings.namespace_template, "project/domain")
    except (NotRunnable, LookupError, ValueError) as problem:
        raise CannotLaunch(f"VOLERY_NAMESPACE_TEMPLATE: {problem}") from problem
    return settings


def pod_settings(knobs: Knobs) -> PodSettings:
    """How pods are shaped."""
    default = PodSettings()
    user = knobs.text("VOLERY_POD_USER", str(default.run_as_user))
    if user != "image" and not user.isdecimal():
        raise CannotLaunch(f"VOLERY_POD_USER must be a number, or 'image', not {user!r}")
    return PodSettings(
        image=knobs.text("VOLERY_POD_IMAGE", default.image),
        image_pull_policy=knobs.text("VOLERY_POD_IMAGE_PULL_POLICY"),
        image_pull_secrets=knobs.texts("VOLERY_POD_IMAGE_PULL_SECRETS"),
        service_account=knobs.text("VOLERY_POD_SERVICE_ACCOUNT"),
        priority_class=knobs.text("VOLERY_POD_PRIORITY_CLASS"),
        template=knobs.mapping("VOLERY_POD_TEMPLATE"),
        python=knobs.text("VOLERY_POD_PYTHON", default.python),
        gpu_resource=knobs.text("VOLERY_POD_GPU_RESOURCE", default.gpu_resource),
        accelerators={
            name.lower(): _placement("VOLERY_POD_ACCELERATORS", told)
            for name, told in knobs.mapping("VOLERY_POD_ACCELERATORS").items()
        },
        accelerator_label=knobs.text("VOLERY_POD_ACCELERATOR_LABEL"),
        spot=_placement("VOLERY_POD_SPOT", knobs.mapping("VOLERY_POD_SPOT")),
        on_demand=_placement("VOLERY_POD_ON_DEMAND", knobs.mapping("VOLERY_POD_ON_DEMAND")),
        run_as_user=None if user == "image" else int(user),
        read_only_root=knobs.yes("VOLERY_POD_READ_ONLY_ROOT", False),
        unrestricted_templates=knobs.yes("VOLERY_POD_UNRESTRICTED_TEMPLATES", False),
        termination_grace=knobs.whole("VOLERY_POD_TERMINATION_GRACE", default.termination_grace),
        inline_inputs=knobs.whole("VOLERY_POD_INLINE_INPUTS", default.inline_inputs),
        verdict_limit=knobs.whole("VOLERY_POD_VERDICT_LIMIT", default.verdict_limit),
    )


def _placement(name: str, told: Any) -> Placement:
    words = {"nodeSelector", "tolerations", "affinity", "resource"}
    if not isinstance(told, dict) or not told.keys() <= words:
        raise CannotLaunch(f"{name}: a placement has {', '.join(sorted(words))} and no more")
    return Placement(
        node_selector=told.get("nodeSelector") or {},
        tolerations=tuple(told.get("tolerations") or ()),
        affinity=told.get("affinity") or {},
        resource=told.get("resource") or "",
    )


async def kubernetes_launcher(around: Surrounding) -> Chosen:
    """The launcher of pods; raises CannotLaunch."""
    knobs = Knobs(os.environ)
    settings = launch_settings(knobs, around)
    try:
        api = await Api.connect(api_settings(knobs, around))
    except (ConfigException, OSError) as problem:
        raise CannotLaunch(f"no Kubernetes cluster is configured: {problem}") from problem
    authorities = await asyncio.to_thread(Path(around.tls_ca).read_text) if around.tls_ca else ""
    launcher = KubernetesLauncher(settings, around.events, api, around.blobs, around.registrar, authorities)
    return Chosen(launcher, launcher.waited, metrics=pod_metrics(launcher))
