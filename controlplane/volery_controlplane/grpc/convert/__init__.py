"""Converters: between the wire's messages and the domain's values, pure."""
