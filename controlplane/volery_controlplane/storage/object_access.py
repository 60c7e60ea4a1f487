"""How an object store of a cloud is opened and spoken to: endpoints, patience, and what went wrong.

Endpoints and credentials come from the environment that the library reads: `AWS_…`, `GOOGLE_…`, `AZURE_…`.
Names of objects are the decoded paths of URIs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from volery_controlplane.domain.errors import Denied, NotFound, RetryAdvice, Unavailable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = frozenset({"s3", "gs", "az"})
REQUEST = timedelta(seconds=30)
"""How long one request may take."""
PATIENCE = timedelta(seconds=30)
"""How long a request is tried again, when the store is away or busy."""
_ALLOW_HTTP = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")
_ENDPOINTS = {"s3": "aws_endpoint", "gs": "google_base_url", "az": "azure_storage_endpoint"}


class NoSuchStore(ValueError):
    """The storage setting names no store that can be opened; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of an object store: a bucket, or what lies below a prefix in it.

    Attributes:
        scheme: of its URI.
        bucket: its name.
        prefix: without slashes around it; "" for the whole bucket.
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Place:
        """Reads `s3://bucket/prefix`, `gs://…` or `az://…`.

        Raises:
            NoSuchStore: it is none of these.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise NoSuchStore(f"{url!r} is not a URL") from None
        if parts.scheme not in SCHEMES or not parts.netloc or parts.query or parts.fragment:
            raise NoSuchStore(
                f"storage must be a directory, or a URL: s3://bucket/prefix, gs://… or az://…; not {url!r}"
            )
        prefix = unquote(parts.path).strip("/")
        if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
            raise NoSuchStore(f"the prefix of {url!r} is not a plain path")
        return cls(parts.scheme, parts.netloc, prefix)

    @property
    def uri(self) -> str:
        """Its URI, without a slash at the end."""
        return f"{self.scheme}://{self.bucket}{'/' if self.prefix else ''}{quote(self.prefix)}"

    def uri_of(self, target: str) -> str:
        """The URI of what lies at a path below it."""
        return f"{self.uri}/{quote(target)}"

    def target(self, uri: str) -> str | None:
        """The path below it that a URI names; None for what lies elsewhere, and for what climbs."""
        try:
            parts = urlsplit(uri)
        except ValueError:
            return None
        if parts.scheme != self.scheme or parts.netloc != self.bucket or parts.query or parts.fragment:
            return None
        names = unquote(parts.path).removeprefix("/").split("/")
        own = self.prefix.split("/") if self.prefix else []
        below = names[len(own) :]
        if names[: len(own)] != own or not below or any(_is_odd(name) for name in below):
            return None
        return "/".join(below)


def _is_odd(name: str) -> bool:
    return name in ("", ".", "..") or any(ord(sign) < 32 or ord(sign) == 127 for sign in name)


def open_store(place: Place, endpoint: str = "") -> ObjectStore:
    """The store at a place.

    Args:
        place: where.
        endpoint: the URL of the service, where it is not that of the environment.

    Raises:
        NoSuchStore: the library is missing, or does not know what the environment says.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise NoSuchStore(
            f"{place.uri} is an object store, which takes the extra `objects`:"
            " pip install 'volery-controlplane[objects]'"
        ) from None
    options = {}
    if endpoint:
        options["config"] = {_ENDPOINTS[place.scheme]: endpoint}
    is_plain = any(os.environ.get(name, "").lower() in ("1", "true") for name in _ALLOW_HTTP)
    try:
        return from_url(  # type: ignore[call-overload,no-any-return]  # of which store depends on the scheme
            place.uri,
            client_options={
                "allow_http": is_plain or endpoint.startswith("http://"),
                "timeout": REQUEST,
                "connect_timeout": timedelta(seconds=5),
            },
            retry_config={
                "max_retries": 8,
                "retry_timeout": PATIENCE,
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=3),
                    "base": 2,
                },
            },
            **options,
        )
    except (BaseError, ValueError) as problem:
        raise NoSuchStore(f"{place.uri} cannot be opened: {_first_line(problem)}") from problem


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turns what the library raises into refusals."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except FileNotFoundError:
        raise not_found(uri) from None
    except (PermissionDeniedError, UnauthenticatedError) as problem:
        # It is the server that may not, and not its caller: somebody will have to mend that.
        raise Unavailable(
            "the object store does not let this server in; its log says more",
            {"resource_type": "blob"},
            RetryAdvice(timedelta(seconds=5)),
        ) from problem
    except (TimeoutError, BaseError) as problem:
        raise Unavailable(
            "the object store does not answer as it should; try again later",
            {"resource_type": "blob"},
            RetryAdvice(timedelta(seconds=2)),
        ) from problem


def not_found(uri: str) -> NotFound:
    """There is nothing at a URI."""
    shown = uri if len(uri) <= 200 else f"{uri[:199]}…"
    return NotFound(f"there is no content at {shown}", {"resource_type": "blob", "resource_name": shown})


def outside(uri: str) -> Denied:
    """A URI leads out of the installation's storage."""
    shown = uri if len(uri) <= 200 else f"{uri[:199]}…"
    return Denied(f"{shown} is not below the installation's storage")


def _first_line(problem: BaseException) -> str:
    return str(problem).partition("\n")[0]
