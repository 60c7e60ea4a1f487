"""Storage: adapters of the object store."""
