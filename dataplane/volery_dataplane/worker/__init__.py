"""Runs the walker: observe, decide, act."""
