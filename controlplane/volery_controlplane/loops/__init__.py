"""What runs by itself: dispatch, expiry of leases, wake-ups."""
