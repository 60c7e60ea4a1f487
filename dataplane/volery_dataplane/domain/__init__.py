"""The walker: a state machine without I/O, clock or chance."""
