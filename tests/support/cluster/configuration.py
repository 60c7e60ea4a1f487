"""Files and command lines of a cluster's programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import yaml
from support.cluster import pki
from support.cluster.ground import Ground
from support.cluster.programs import Programs

NODE = "volery-node"
PAUSE_IMAGE = "volery.dev/test/pause:1"
DOMAIN = "cluster.local"
RATES = ("--kube-api-qps=500", "--kube-api-burst=1000")


@dataclass(frozen=True, slots=True)
class Component:
    """A program and whether it is started again when it ends."""

    argv: list[str]
    again: bool = True


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was written, and what is to be started."""

    server: str
    admin: Path
    authority: Path
    admin_identity: pki.Identity
    proxy_identity: pki.Identity
    """For servers of tests that stand in for the API server."""
    containerd: str
    components: dict[str, Component]


def write(ground: Ground, programs: Programs) -> Configuration:
    """Makes keys, certificates and files below the cluster's directory."""
    directory = ground.state / "conf"
    directory.mkdir()
    authority = pki.Authority(ground.state / "pki")
    server = f"https://{ground.node_address}:6443"
    hosts = ["localhost", "127.0.0.1", ground.node_address, ground.api_service]
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}"]
    api = authority.identity("api", "kube-apiserver", hosts=[*hosts, *names])
    admin = authority.identity("admin", "admin", ["system:masters"])
    for user, groups in {
        "system:kube-controller-manager": [],
        "system:kube-scheduler": [],
        "system:kube-proxy": [],
        "stand-in": ["system:masters"],
    }.items():
        name = user.rpartition(":")[2]
        identity = authority.identity(name, user, groups)
        pki.kubeconfig(directory / name, server, authority.certificate, pki.certificate_user(identity))
    node = authority.identity(
        "kubelet", f"system:node:{NODE}", ["system:nodes"], hosts=[NODE, ground.node_address, "127.0.0.1"]
    )
    pki.kubeconfig(directory / "kubelet", server, authority.certificate, pki.certificate_user(node))
    to_kubelet = authority.identity("api-to-kubelet", "api-to-kubelet", ["system:masters"])
    accounts, accounts_public = authority.account_keys()
    socket = str(ground.state / "containerd" / "socket")
    (directory / "containerd.toml").write_text(_containerd(ground, programs, socket))
    _network(directory / "cni", ground)
    (directory / "kubelet.yaml").write_text(
        yaml.safe_dump(_kubelet(ground, authority.certificate, node, socket))
    )
    components = {
        "etcd": Component(_etcd(ground)),
        "containerd": Component(["containerd", "--config", str(directory / "containerd.toml")]),
        "kube-apiserver": Component(
            [
                *("kube-apiserver", "--etcd-servers=http://127.0.0.1:2379"),
                *(
                    f"--advertise-address={ground.node_address}",
                    f"--service-cluster-ip-range={ground.services}",
                ),
                *(f"--client-ca-file={authority.certificate}", f"--tls-cert-file={api.certificate}"),
                *(f"--tls-private-key-file={api.key}", "--authorization-mode=Node,RBAC"),
                *("--enable-admission-plugins=NodeRestriction", "--anonymous-auth=false"),
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={accounts_public}",
                f"--service-account-signing-key-file={accounts}",
                f"--kubelet-client-certificate={to_kubelet.certificate}",
                f"--kubelet-client-key={to_kubelet.key}",
                f"--kubelet-certificate-authority={authority.certificate}",
                "--kubelet-preferred-address-types=InternalIP",
                # An API server that is stopped for a test is not to spend a minute on its farewells.
                "--shutdown-delay-duration=0s",
            ]
        ),
        "kube-controller-manager": Component(
            [
                "kube-controller-manager",
                *_own(directory / "kube-controller-manager"),
                *("--use-service-account-credentials=true", f"--service-account-private-key-file={accounts}"),
                *(f"--root-ca-file={authority.certificate}", "--terminated-pod-gc-threshold=5000"),
                # A node that went is found out in seconds, not in the forty that are the default.
                *("--node-monitor-period=1s", "--node-monitor-grace-period=8s"),
            ]
        ),
        "kube-scheduler": Component(["kube-scheduler", *_own(directory / "kube-scheduler")]),
        "kube-proxy": Component(
            [
                *("kube-proxy", f"--kubeconfig={directory / 'kube-proxy'}", "--proxy-mode=nftables"),
                *(
                    f"--hostname-override={NODE}",
                    f"--cluster-cidr={ground.pods}",
                    "--nodeport-addresses=0.0.0.0/0",
                ),
                *("--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s"),
                *("--conntrack-tcp-timeout-close-wait=0s", "--healthz-bind-address=127.0.0.1:10256"),
            ]
        ),
        "names": Component(
            [
                "standin",
                "names",
                "--kubeconfig",
                str(directory / "stand-in"),
                "--listen",
                f"{ground.node_address}:53",
            ]
        ),
        "kubelet": Component(
            [
                *(
                    "kubelet",
                    f"--config={directory / 'kubelet.yaml'}",
                    f"--kubeconfig={directory / 'kubelet'}",
                ),
                *(f"--hostname-override={NODE}", f"--node-ip={ground.node_address}"),
                *(
                    f"--root-dir={ground.state / 'kubelet'}",
                    f"--cert-dir={ground.state / 'kubelet' / 'pki'}",
                    "-v=2",
                ),
            ]
        ),
    }
    return Configuration(
        server=server,
        admin=pki.kubeconfig(directory / "admin", server, authority.certificate, pki.certificate_user(admin)),
        authority=authority.certificate,
        admin_identity=admin,
        proxy_identity=authority.identity(
            "in-between", "in-between", hosts=["localhost", "127.0.0.1", ground.host_address]
        ),
        containerd=socket,
        components=components,
    )


def _own(kubeconfig: Path) -> list[str]:
    """What the controllers and the scheduler have in common."""
    return [
        *(f"--{purpose}kubeconfig={kubeconfig}" for purpose in ("", "authentication-", "authorization-")),
        *("--bind-address=127.0.0.1", "--leader-elect=false", *RATES),
    ]


def _etcd(ground: Ground) -> list[str]:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        *("etcd", "--name=test", f"--data-dir={ground.state / 'etcd' / 'data'}"),
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        *(
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}",
        ),
        # No test takes the machine's power away, and a shared disk would decide how long each write takes.
        "--unsafe-no-fsync",
    ]


def _containerd(ground: Ground, programs: Programs, socket: str) -> str:
    unused = ["snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.devmapper", "snapshotter.v1.aufs"]
    unused += ["internal.v1.opt", "tracing.processor.v1.otlp", "internal.v1.tracing"]
    # Strings of JSON are strings of TOML.
    text = json.dumps
    return f"""
version = 2
root = {text(str(ground.state / "containerd" / "root"))}
state = {text(str(ground.state / "containerd" / "state"))}
disabled_plugins = {text([f"io.containerd.{name}" for name in unused])}
[grpc]
  address = {text(socket)}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {text(PAUSE_IMAGE)}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  # Root in a container or a small machine may lack CAP_SYS_RESOURCE, and runc would die of it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = {text(programs.find("runc"))}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {text(str(programs.network_plugins))}
    conf_dir = {text(str(ground.state / "conf" / "cni"))}
"""


def _network(directory: Path, ground: Ground) -> None:
    directory.mkdir()
    # A pair of interfaces for each pod, no bridge: all traffic is routed, so services work between pods of
    # one node without the kernel's bridge filter.
    plugin = {
        "type": "ptp",
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": str(ground.state / "addresses"),
            "ranges": [[{"subnet": ground.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    written = {"cniVersion": "0.4.0", "name": "test", "plugins": [plugin]}
    (directory / "10-test.conflist").write_text(json.dumps(written))


def _kubelet(ground: Ground, authority: Path, node: pki.Identity, socket: str) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ground.node_address,
        "healthzBindAddress": "127.0.0.1",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{socket}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(node.certificate),
        "tlsPrivateKeyFile": str(node.key),
        "resolvConf": "",
        "clusterDNS": [ground.node_address],
        "clusterDomain": DOMAIN,
        "maxPods": 200,
        # Other things of the machine may fill its disk; that is not to be this node's trouble before it must.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "100Mi",
            "imagefs.available": "100Mi",
        },
        "evictionPressureTransitionPeriod": "5s",
        # Images come from nowhere else, so none may be collected.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "24h",
        "podLogsDir": str(ground.state / "logs"),
        "volumePluginDir": str(ground.state / "kubelet" / "volume-plugins"),
        "shutdownGracePeriod": "0s",
        "makeIPTablesUtilChains": False,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 8,
        "registryPullQPS": 50,
        "eventRecordQPS": 100,
        "eventBurst": 200,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    }
