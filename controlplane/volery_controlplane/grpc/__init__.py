"""The edge: convert, call, convert."""
