"""Presigned URLs, signed anew where the library's do not do.

It signs a URL of S3 for any content. Here it gets more headers: S3 then refuses a request that does not bear
exactly these, and content that does not fit them. Of a blob of Azure it signs the name as URLs write it,
where Azure compares the plain one, so what has a space in its name could not be reached.

Either takes the secret key, so it can be done where that is known: not with credentials that a cloud's
machine or cluster hands to the library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

_SIGNATURE = "X-Amz-Signature"
_HEADERS = "X-Amz-SignedHeaders"
_ALGORITHM = "AWS4-HMAC-SHA256"

_AZURE_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY")
_AZURE_SIGNED = ("si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct")
"""What Azure signs behind the blob's name, in its order, since version 2020-12-06."""


def held_to(url: str, method: str, headers: Mapping[str, str], secret_key: str) -> str:
    """A presigned URL (Signature Version 4), signed anew so that requests must bear some headers.

    Args:
        url: a presigned one; says the credentials' name, the region, the time and how long it serves.
        method: of the request.
        headers: by name, in lower case.
        secret_key: belongs to the access key that the URL names.

    Returns:
        The URL with its new signature.
    """
    parts = urlsplit(url)
    every = {"host": parts.netloc, **headers}
    names = ";".join(sorted(every))
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.pop(_SIGNATURE)
    query[_HEADERS] = names
    told = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))
    canonical = "\n".join(
        [
            method,
            parts.path or "/",
            told,
            *(f"{name}:{every[name].strip()}" for name in sorted(every)),
            "",
            names,
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = query["X-Amz-Credential"].partition("/")[2]
    text = "\n".join([_ALGORITHM, query["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    return urlunsplit((parts.scheme, parts.netloc, parts.path, f"{told}&{_SIGNATURE}={signature}", ""))


def access_key(url: str) -> str:
    """The name of the credentials that a presigned URL was signed with."""
    query = dict(parse_qsl(urlsplit(url).query))
    return query.get("X-Amz-Credential", "").partition("/")[0]


def with_plain_name(url: str, blob: str, environment: Mapping[str, str]) -> str:
    """A presigned URL of a blob, signed anew for its name as it is.

    Args:
        url: a service's shared access signature.
        blob: the container and the blob's name in it.
        environment: knows the account and its key.

    Returns:
        The URL with its new signature; "" where the key is not known.
    """
    account = environment.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    key = next((environment[name] for name in _AZURE_KEYS if environment.get(name)), "")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if not account or not key or "skoid" in query:  # signed with a key that Azure lent to somebody
        return ""
    before = [query.get(name, "") for name in ("sp", "st", "se")]
    behind = [query.get(name, "") for name in _AZURE_SIGNED]
    text = "\n".join([*before, f"/blob/{account}/{blob}", *behind])
    signature = hmac.digest(base64.b64decode(key), text.encode(), "sha256")
    query["sig"] = base64.b64encode(signature).decode()
    told = "&".join(f"{name}={_quoted(value)}" for name, value in query.items())
    return urlunsplit((parts.scheme, parts.netloc, parts.path, told, ""))


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
