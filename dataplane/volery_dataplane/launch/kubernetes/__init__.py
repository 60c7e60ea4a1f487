"""The Kubernetes launcher: a pod for each attempt."""
