"""What the control plane knows: values and decisions, without I/O."""
