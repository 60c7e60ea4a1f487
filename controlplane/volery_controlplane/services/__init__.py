"""Use cases: one transaction per intention, no network inside one."""
