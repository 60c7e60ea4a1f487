"""Launchers: ways to run an attempt."""
