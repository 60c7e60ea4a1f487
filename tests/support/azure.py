"""A server of Azure's blob storage over real HTTP: Azurite, as locked in `azurite/` beside this module.

It runs on Node.js, which must be on the machine.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import os
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from support.child import said
from support.go_programs import CACHE, kept, run

PACKAGE = Path(__file__).parent / "azurite"
OLDEST_NODE = 20
ACCOUNT = "volerytests"
KEY = base64.b64encode(b"not a secret, and of the length that keys have: sixty-four bytes").decode()
_VERSION = "2021-12-02"


@dataclass(frozen=True)
class Azure:
    """A running server."""

    host: str
    port: int

    scheme = "az"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}/{ACCOUNT}"

    def bucket(self) -> str:
        """The name of a new container."""
        name = f"test-{uuid.uuid4().hex[:20]}"
        date = formatdate(usegmt=True)
        signed = [
            *("PUT", *[""] * 11),
            f"x-ms-date:{date}",
            f"x-ms-version:{_VERSION}",
            f"/{ACCOUNT}/{ACCOUNT}/{name}",
            "restype:container",
        ]
        signature = hmac.digest(base64.b64decode(KEY), "\n".join(signed).encode(), hashlib.sha256)
        headers = {
            "x-ms-date": date,
            "x-ms-version": _VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}",
        }
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.request("PUT", f"/{ACCOUNT}/{name}?restype=container", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        connection.close()
        return name

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """What a process needs to reach it."""
        if endpoint and not endpoint.endswith(f"/{ACCOUNT}"):
            endpoint = f"{endpoint}/{ACCOUNT}"
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": endpoint or self.endpoint,
            "AZURE_ALLOW_HTTP": "true",
        }


def missing() -> list[str]:
    """What this machine lacks to run one, in words."""
    lacks = [f"the command `{name}`" for name in ("node", "npm") if shutil.which(name) is None]
    if not lacks:
        told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        if int(told.strip().removeprefix("v").split(".")[0]) < OLDEST_NODE:
            lacks.append(f"Node.js {OLDEST_NODE} or newer (its own is {told.strip()})")
    return lacks


def start(host: str) -> Azure:
    """Starts one that ends with this process."""
    directory = Path(tempfile.mkdtemp(prefix="volery-azure-"))
    options = ["--inMemoryPersistence", "--disableTelemetry", "--silent", "--disableProductStyleUrl"]
    # The library speaks a newer version of the protocol than the server has heard of.
    options.append("--skipApiVersionCheck")
    command = ["node", str(_program()), "--blobHost", host, "--blobPort", "0", *options]
    address = said(command, "listens on", directory, {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"})
    return Azure(host, int(address.rpartition(":")[2]))


def _program() -> Path:
    digest = hashlib.sha256()
    for source in sorted(PACKAGE.iterdir()):
        digest.update(source.read_bytes())
    directory = CACHE / "azurite" / digest.hexdigest()[:16]
    with kept(directory) as partial:
        if partial is not None:
            for source in PACKAGE.iterdir():
                shutil.copy(source, partial)
            # No package may run anything of its own while it is installed.
            run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], directory=partial)
    return directory / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
