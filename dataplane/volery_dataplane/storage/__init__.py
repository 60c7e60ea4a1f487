"""Object stores, as a worker needs them."""
