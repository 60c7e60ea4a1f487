"""A server of Google Cloud Storage over real HTTP, built by Go; see `gcs_server/main.go` beside this file.

It knows one service account, whose key is made anew for each test process, and lets nobody else in.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support import go_programs
from support.child import said

MODULE = Path(__file__).parent / "gcs_server"


@dataclass(frozen=True)
class Gcs:
    """A running server."""

    host: str
    port: int
    account: Path

    scheme = "gs"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def bucket(self) -> str:
        """The name of a new bucket."""
        name = f"test-{uuid.uuid4().hex[:20]}"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        told = {"Content-Type": "application/json"}
        connection.request("POST", "/storage/v1/b?project=test", json.dumps({"name": name}), told)
        assert connection.getresponse().status == 200
        connection.close()
        return name

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """What a process needs to reach it."""
        return {
            "GOOGLE_SERVICE_ACCOUNT": str(self.account),
            "GOOGLE_BASE_URL": endpoint or self.endpoint,
            "GOOGLE_ALLOW_HTTP": "true",
        }


def start(host: str) -> Gcs:
    """Starts one that ends with this process."""
    account = Path(tempfile.mkdtemp(prefix="volery-gcs-")) / "account.json"
    account.write_text(new_account())
    address = said([str(_program()), host, str(account)], "", account.parent)
    return Gcs(host, int(address.rpartition(":")[2]), account)


def _program() -> Path:
    directory = go_programs.CACHE / "gcs" / go_programs.digest(MODULE, *sorted(MODULE.glob("*.go")))
    with go_programs.kept(directory) as partial:
        if partial is not None:
            go_programs.build(MODULE, partial, ".")
    return directory / MODULE.name


def new_account() -> str:
    """A service account's file, as Google gives it, with a key that nobody has seen."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": uuid.uuid4().hex,
        "private_key": text.decode(),
        "client_email": "tests@test.iam.gserviceaccount.com",
        "client_id": "1",
    }
    return json.dumps(account)
