"""The storage ports over SQL; rows do not leave this package."""
