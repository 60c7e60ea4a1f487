"""The second way to the `Work` stream: frames over a Unix socket, for workers on the same machine."""
