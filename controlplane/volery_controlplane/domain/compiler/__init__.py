"""Checks a package and gathers closures; reports every problem at once."""
