"""Both planes as processes of the host, whose worker runs tasks as pods of a cluster."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from support.certificates import Authority
from support.databases import fresh_sqlite
from support.deploying.rights import WorkerRights
from support.planes import Planes
from support.s3 import S3, free_port
from volery.credentials import Credentials


@dataclass
class PodPlanes(Planes):
    """A control plane that pods reach at an address of the host, and a worker that makes them.

    Attributes:
        address: of the host, as pods see it.
        rights: the worker's, on the cluster.
        image: of tasks that name none.
        s3: where objects are; pods reach it, too.
    """

    address: str = ""
    rights: WorkerRights | None = None
    image: str = ""
    s3: S3 | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.s3 is not None
        assert self.rights is not None
        self.slots = 20
        self.database = fresh_sqlite(self.directory)
        self.storage_url = f"s3://{self.s3.bucket()}/volery"
        self.prefix = f"e2e-{uuid.uuid4().hex[:8]}"
        self._port = free_port(self.address)
        authority = Authority(self.directory)
        pair = authority.server("server", [self.address])
        self.authority = authority.certificate
        self.serving = (
            *("--authentication", "required", "--data-listen", f"{self.address}:0"),
            *("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)),
            *self.serving,
        )
        self.environment = {
            **self.s3.environment(),
            "VOLERY_WORKER_LAUNCHER": "kubernetes",
            "VOLERY_KUBECONFIG": str(self.rights.kubeconfig),
            "VOLERY_POD_IMAGE": self.image,
            "VOLERY_POD_IMAGE_PULL_POLICY": "Never",
            "VOLERY_NAMESPACE_TEMPLATE": f"{self.prefix}-{{project}}-{{domain}}",
            "VOLERY_TOKEN_FILE": str(self._token("worker")),
            "VOLERY_TLS_CA": str(self.authority),
            **self.environment,
        }

    @property
    def target(self) -> str:
        return f"https://{self.address}:{self._port}"

    @property
    def namespace(self) -> str:
        """Where the pods of the first project and domain are."""
        return f"{self.prefix}-demo-development"

    def start_control_plane(self) -> None:
        self.control_plane = self._start_control_plane("control-plane", f"{self.address}:{self._port}")

    def credentials(self) -> Credentials:
        """An administrator's."""
        return Credentials(token_file=str(self._token("administrator")), tls_ca=str(self.authority))

    def _token(self, role: str) -> Path:
        file = self.directory / f"{role}.token"
        if not file.exists():
            command = [sys.executable, "-m", "volery_controlplane", "tokens", "create"]
            told = ["--database", self.database, "--name", role, "--role", role, "--output", str(file)]
            subprocess.run([*command, *told], check=True, capture_output=True)
        return file
