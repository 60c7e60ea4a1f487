"""Namespaces of projects and domains, made when first needed, and the pod templates that lie in them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import structlog

from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal
from volery_dataplane.launch.kubernetes.labels import (
    DOMAIN,
    INSTALLATION,
    MANAGED_BY,
    MANAGER,
    PROJECT,
    label_value,
)
from volery_dataplane.launch.plans import NotRunnable

log = structlog.get_logger(__name__)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ENFORCE = "pod-security.kubernetes.io/enforce"
_FRESH = 30.0  # seconds for which a pod template is not read again


class NamespaceRefused(Exception):
    """A namespace is not there and may not be made; the message says what helps."""

    def __init__(self, namespace: str, message: str) -> None:
        super().__init__(
            f"the namespace {namespace!r} is not there, and the worker may not make it: its role"
            f" needs the verb 'create' on 'namespaces', or somebody makes the namespace ({message})"
        )


class Namespaces:
    """The namespaces of one installation."""

    def __init__(self, api: Api, template: str, *, restricted: bool) -> None:
        self._api = api
        self._template = template
        self._restricted = restricted
        self._making: dict[str, asyncio.Task[None]] = {}

    def of(self, project_domain: str) -> str:
        """The namespace of a project and domain.

        Raises:
            NotRunnable: its name would be no name of a namespace.
        """
        return namespace_of(self._template, project_domain)

    async def make(self, namespace: str, project_domain: str, installation: str) -> None:
        """Makes a namespace that is not there; once, however many ask at a time.

        Raises:
            ApiRefusal: it cannot be made, or the API server did not answer.
        """
        making = self._making.get(namespace)
        if making is None:
            work = self._make(namespace, project_domain, installation)
            making = self._making[namespace] = asyncio.create_task(work)
            making.add_done_callback(lambda _: self._making.pop(namespace, None))
        await asyncio.shield(making)

    async def _make(self, namespace: str, project_domain: str, installation: str) -> None:
        project, _, domain = project_domain.partition("/")
        words = {
            MANAGED_BY: MANAGER,
            INSTALLATION: label_value(installation),
            PROJECT: label_value(project),
            DOMAIN: label_value(domain),
        }
        if self._restricted:
            words[_ENFORCE] = "restricted"
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": words},
        }
        try:
            await self._api.tell("POST", "/api/v1/namespaces", body)
        except ApiRefusal as refusal:
            if refusal.status == 409:
                return
            raise
        log.info("a namespace was made", namespace=namespace)


def namespace_of(template: str, project_domain: str) -> str:
    """The namespace that a template names for a project and domain.

    Raises:
        NotRunnable: it is no name of a namespace.
    """
    project, _, domain = project_domain.partition("/")
    name = template.format(project=project, domain=domain).lower().replace("_", "-").replace(".", "-")
    if not _LABEL.fullmatch(name):
        raise NotRunnable(
            f"{project_domain} would have the namespace {name!r}, which is no name of one (at most 63"
            " lower-case letters, digits and '-'); change the worker's namespace template"
        )
    return name


class PodTemplates:
    """Pod templates by name: of a task's namespace, else of the platform's. Kept for a short while."""

    def __init__(self, api: Api, platform_namespace: str) -> None:
        self._api = api
        self._platform = platform_namespace
        self._known: dict[tuple[str, str], tuple[float, Mapping[str, Any] | None]] = {}

    async def named(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """A template; None where there is none of the name. Raises ApiRefusal."""
        for place in (namespace, self._platform):
            found = await self._read(place, name) if place else None
            if found is not None:
                return found
        return None

    async def _read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        known = self._known.get((namespace, name))
        now = time.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        found: Mapping[str, Any] | None
        try:
            path = f"/api/v1/namespaces/{quote(namespace, safe='')}/podtemplates/{quote(name, safe='')}"
            found = await self._api.call("GET", path)
        except ApiRefusal as refusal:
            if not refusal.is_missing:
                raise
            found = None
        self._known[namespace, name] = (now + _FRESH, found)
        return found
