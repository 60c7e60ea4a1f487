"""A real one-node Kubernetes for tests, from etcd to containerd, with what is needed to break it.

All of it lives in namespaces of its own (mount, cgroup, network, process), so nothing of the machine is
changed and several clusters run beside each other: when the first process in there ends, the kernel takes
all the others, their mounts and their network with it. `keeper` holds that first process, and ends it when
the tests are gone, however they went; `init` is that process; `cluster.Cluster` is what tests hold.
"""
