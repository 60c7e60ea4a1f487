"""A cluster that tests hold: brought up, spoken to, broken and taken down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import kubernetes
from kubernetes import client
from support.cluster import cgroups, configuration, programs
from support.cluster.between import Between
from support.cluster.control import Control
from support.cluster.ground import Ground
from support.cluster.images import Images
from support.cluster.standin import StandIn

PATIENCE = 120.0
"""Seconds until a part must be up; they are few on a machine with nothing else to do."""

FIRST = ("etcd", "containerd", "kube-apiserver")
AFTER = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "names")


class Cluster:
    """One node with all that Kubernetes needs. Use it as a context, or `stop` it."""

    def __init__(self, keeper: subprocess.Popen[bytes], found: programs.Programs) -> None:
        self._keeper = keeper
        assert keeper.stdout is not None
        line = keeper.stdout.readline()
        if not line:
            raise RuntimeError(f"the cluster's keeper ended with {keeper.wait()}")
        told = json.loads(line)
        self.ground = Ground(told["number"])
        self.control = Control(self.ground, found, told["init"])
        self._root = f"/proc/{told['init']}/root"
        self._configuration = configuration.write(self.ground, found)
        self.images = Images(found, self._import)
        self._stand_ins = 0

    @classmethod
    def start(cls) -> Cluster:
        """Brings one up, and returns when its node is ready."""
        found = programs.obtain()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        keeper = subprocess.Popen(
            [sys.executable, "-m", "support.cluster.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PATH": f"{environment.get('PATH', '')}:/usr/sbin:/sbin"},
            start_new_session=True,
        )
        try:
            cluster = cls(keeper, found)
            cluster._bring_up()
        except BaseException:
            _end(keeper)
            raise
        return cluster

    @property
    def kubeconfig(self) -> Path:
        """The cluster administrator's."""
        return self._configuration.admin

    @property
    def server(self) -> str:
        """The API server, the same from the host and from pods."""
        return self._configuration.server

    @property
    def authority(self) -> Path:
        """Who signed the API server's certificate."""
        return self._configuration.authority

    @property
    def admin(self) -> configuration.pki.Identity:
        return self._configuration.admin_identity

    @property
    def in_between(self) -> configuration.pki.Identity:
        """A server's identity for what tests put between a client and the API server."""
        return self._configuration.proxy_identity

    @property
    def host_address(self) -> str:
        """Where pods reach servers of the host that listen there or everywhere."""
        return self.ground.host_address

    @property
    def node(self) -> str:
        return configuration.NODE

    def yield_processor(self) -> None:
        """Has all its programs take what others leave: elsewhere they run on machines of their own."""
        cgroups.yield_processor(self.ground.name)

    def api(self) -> client.ApiClient:
        """A new client with the administrator's rights."""
        return kubernetes.config.new_client_from_config(str(self.kubeconfig))

    def start_component(self, name: str) -> None:
        """Starts one that was killed."""
        component = self._configuration.components[name]
        self.control.start(name, component.argv, component.again)

    def wait_for_api(self) -> None:
        """Until the API server says that it is ready."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.admin.certificate, self.admin.key)
        for _ in _tries("the API server"):
            with (
                contextlib.suppress(OSError, urllib.error.URLError),
                urllib.request.urlopen(f"{self.server}/readyz", context=context, timeout=5) as answer,
            ):
                if answer.status == 200:
                    return

    def wait_for_node(self, name: str = configuration.NODE, ready: bool = True) -> None:
        with self.api() as api:
            core = client.CoreV1Api(api)
            for _ in _tries(f"node {name} being {'ready' if ready else 'away'}"):
                nodes = core.list_node(field_selector=f"metadata.name={name}").items
                conditions = [one for node in nodes for one in node.status.conditions or []]
                if any(one.type == "Ready" and (one.status == "True") is ready for one in conditions):
                    return

    @contextlib.contextmanager
    def stand_in(self, **options: Any) -> Iterator[StandIn]:
        """A node without containers; see `standin.StandIn`."""
        self._stand_ins += 1
        name = f"stand-in-{self._stand_ins}"
        kubeconfig = self.ground.state / "conf" / "stand-in"
        address = self.ground.node_address
        with StandIn.start(self.control, self.api, name, kubeconfig, address, **options) as stand_in:
            self.wait_for_node(name)
            yield stand_in

    @contextlib.contextmanager
    def between(self) -> Iterator[Between]:
        """A proxy before the API server that spoils conversations; see `between.Between`."""
        proxy = Between(self.server, self.authority, self.admin, self.in_between, self.host_address)
        proxy.start()
        try:
            yield proxy
        finally:
            proxy.stop()

    def variables(self) -> dict[str, str]:
        """What lets another test run use this cluster; see `borrowed`."""
        return {
            "VOLERY_TEST_KUBECONFIG": str(self.kubeconfig),
            # The socket lies on a mount that only the cluster's own processes have.
            "VOLERY_TEST_CONTAINERD": f"{self._root}{self._configuration.containerd}",
            "VOLERY_TEST_HOST_ADDRESS": self.host_address,
        }

    def containers(self, uid: str) -> list[str]:
        """The containers of a pod that containerd runs, without the one that holds its namespaces."""
        told = self._ctr("containers", "list", f'labels."io.kubernetes.pod.uid"=={uid}', "--quiet")
        own = self._ctr("containers", "list", 'labels."io.cri-containerd.kind"==container', "--quiet")
        return sorted(set(told.split()) & set(own.split()))

    def exec(self, container: str, *command: str) -> str:
        """Runs a command in a container without the kubelet's help."""
        return self._ctr("tasks", "exec", "--exec-id", uuid.uuid4().hex, container, *command)

    def stop(self) -> None:
        """Takes everything down; returns when nothing is left."""
        _end(self._keeper)

    def logs(self) -> str:
        """The ends of all programs' logs, for a failure's report."""
        files = sorted((self.ground.state / "log").glob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bring_up(self) -> None:
        try:
            for name in FIRST:
                self.start_component(name)
            for name in AFTER:
                self.start_component(name)
            self._wait_for_containerd()
            self.images.pause()
            self.images.shell()
            self.wait_for_api()
            self.start_component("kubelet")
            self.wait_for_node()
        except BaseException:
            print(self.logs(), file=sys.stderr)
            raise

    def _wait_for_containerd(self) -> None:
        for _ in _tries("containerd"):
            with contextlib.suppress(RuntimeError):
                told = self.control.run("ctr", "--address", self._configuration.containerd, "plugins", "ls")
                # Before this plugin is there, the kubelet would end at once.
                if any(
                    line.split()[1:2] == ["cri"] and line.split()[-1] == "ok" for line in told.splitlines()
                ):
                    return

    def _import(self, archive: Path) -> None:
        self._ctr("images", "import", str(archive))

    def _ctr(self, *arguments: str) -> str:
        address = self._configuration.containerd
        return self.control.run("ctr", "--address", address, "--namespace", "k8s.io", *arguments)


def _tries(what: str) -> Iterator[None]:
    """Tries at an interval: none of these parts can say when it is ready."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        yield
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s")


def _end(keeper: subprocess.Popen[bytes]) -> None:
    # The end of its input is what the keeper waits for.
    assert keeper.stdin is not None
    keeper.stdin.close()
    # An impatient second interrupt must not leave half a cluster behind.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        keeper.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if keeper.stdout is not None:
            keeper.stdout.close()
