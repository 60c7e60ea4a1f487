"""A running cluster that a developer lends to the tests, so that each run need not bring one up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import kubernetes
import yaml
from kubernetes import client
from support.cluster import programs
from support.cluster.images import Images


class Borrowed:
    """What tests that break nothing need of a cluster; nothing of it is stopped."""

    def __init__(self, kubeconfig: Path, containerd: str, host_address: str) -> None:
        self.kubeconfig = kubeconfig
        self.host_address = host_address
        self._containerd = containerd
        self._programs = programs.obtain()
        self.images = Images(self._programs, self._import)
        told = yaml.safe_load(kubeconfig.read_text())
        self.server: str = told["clusters"][0]["cluster"]["server"]

    @classmethod
    def of_environment(cls) -> Borrowed | None:
        """The one that `VOLERY_TEST_KUBECONFIG` names, if it does."""
        kubeconfig = os.environ.get("VOLERY_TEST_KUBECONFIG")
        if not kubeconfig:
            return None
        try:
            containerd, host = os.environ["VOLERY_TEST_CONTAINERD"], os.environ["VOLERY_TEST_HOST_ADDRESS"]
        except KeyError as error:
            raise RuntimeError(f"beside VOLERY_TEST_KUBECONFIG the tests need {error.args[0]}") from error
        return cls(Path(kubeconfig), containerd, host)

    def api(self) -> client.ApiClient:
        """A new client with the kubeconfig's rights."""
        return kubernetes.config.new_client_from_config(str(self.kubeconfig))

    def _import(self, archive: Path) -> None:
        command = [self._programs.find("ctr"), "--address", self._containerd, "--namespace", "k8s.io"]
        subprocess.run([*command, "images", "import", str(archive)], check=True, stdout=subprocess.DEVNULL)
