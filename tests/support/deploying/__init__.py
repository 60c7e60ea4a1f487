"""What the tests of `deploy/` need: kubectl and helm, manifests rendered by them, and objects compared."""
