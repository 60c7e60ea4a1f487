"""The control plane: compiles, validates, versions and remembers."""
