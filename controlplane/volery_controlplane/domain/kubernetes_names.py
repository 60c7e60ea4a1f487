"""What Kubernetes accepts as names, labels and image references, so that pods are not refused.

Each check gives "" for a good text and otherwise a complaint that reads on after the text: `must be …`.
"""

from __future__ import annotations

import re
from typing import Final

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(?:\.{_DNS_LABEL.pattern})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")

_HOST = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_REGISTRY = rf"(?:{_HOST}(?:\.{_HOST})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:{_REGISTRY}/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_LONGEST_IMAGE: Final = 512
_LONGEST_IMAGE_NAME: Final = 255
_LONGEST_SUBDOMAIN: Final = 253
_LONGEST_LABEL: Final = 63
ANNOTATIONS_SIZE: Final = 256 * 1024
"""Bytes of all annotations of an object together."""

RESERVED_VARIABLES: Final = "VOLERY_"
"""Variables that begin so tell a task's process who it is; nobody else sets them."""

RESERVED_KEYS: Final = "volery.dev/"
"""Labels and annotations that begin so are the platform's own."""


def check_image(reference: str) -> str:
    """Complains about an image reference: `[registry/]name[:tag][@digest]`."""
    if not reference:
        return "must not be empty"
    found = _IMAGE.fullmatch(reference) if len(reference) <= _LONGEST_IMAGE else None
    if found is None or len(found["name"]) > _LONGEST_IMAGE_NAME:
        return "must be an image reference, as registry.example.com/team/name:tag"
    return ""


def check_secret_group(name: str) -> str:
    """Complains about the name of a secret object."""
    return _dns_subdomain(name)


def check_secret_key(key: str) -> str:
    """Complains about a key in a secret object."""
    if not _KEY.fullmatch(key) or key.startswith("..") or key == "." or len(key) > _LONGEST_SUBDOMAIN:
        return "must be letters, digits, dashes, underscores and dots, and neither be . nor begin with .."
    return ""


def check_object_name(name: str) -> str:
    """Complains about the name of a service account or of a template object."""
    return _dns_subdomain(name)


def check_container_name(name: str) -> str:
    """Complains about the name of a container or of a volume."""
    if not _DNS_LABEL.fullmatch(name) or len(name) > _LONGEST_LABEL:
        return "must be at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
    return ""


def check_variable(name: str) -> str:
    """Complains about the name of an environment variable."""
    if not _VARIABLE.fullmatch(name):
        return "must be letters, digits, underscores, dashes and dots, and not begin with a digit"
    if name.startswith(RESERVED_VARIABLES):
        return f"must not begin with {RESERVED_VARIABLES}, which the platform keeps for itself"
    return ""


def check_key(key: str) -> str:
    """Complains about the key of a label or annotation: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    if not _QUALIFIED.fullmatch(name) or len(name) > _LONGEST_LABEL:
        return (
            "must be at most 63 letters, digits, dashes, underscores and dots, with a letter or digit at "
            "both ends, perhaps after a domain and a slash"
        )
    if slash and (complaint := _dns_subdomain(prefix)):
        return f"has a prefix that {complaint}"
    if key.startswith(RESERVED_KEYS):
        return f"must not begin with {RESERVED_KEYS}, which the platform keeps for itself"
    return ""


def check_label_value(value: str) -> str:
    """Complains about the value of a label."""
    if value and (not _QUALIFIED.fullmatch(value) or len(value) > _LONGEST_LABEL):
        return (
            "must be at most 63 letters, digits, dashes, underscores and dots, with a letter or digit at "
            "both ends"
        )
    return ""


def _dns_subdomain(name: str) -> str:
    if not _SUBDOMAIN.fullmatch(name) or len(name) > _LONGEST_SUBDOMAIN:
        return "must be lower-case letters, digits, dashes and dots, with a letter or digit at both ends"
    return ""
