"""Presigned S3 URLs that hold their bearer to a size and a checksum.

The library signs a URL for any content. Here such a URL is signed anew with more headers: S3 then refuses a
request that does not bear exactly these, and content that does not fit them. It takes the secret key, so it
can be done where that is known: not with credentials that a cloud's machine or cluster hands to the library.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

_SIGNATURE = "X-Amz-Signature"
_HEADERS = "X-Amz-SignedHeaders"
_ALGORITHM = "AWS4-HMAC-SHA256"


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


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
