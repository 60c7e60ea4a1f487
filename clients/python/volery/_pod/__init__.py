"""This package is what runs in a pod: the entry point of Python tasks, and what moves files for others.

It needs the standard library and the SDK alone, and loads as little of both as the attempt at hand takes.
"""
