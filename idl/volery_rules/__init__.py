"""Rules both planes must agree on: pure functions over messages."""
