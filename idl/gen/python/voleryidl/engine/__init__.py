"""Generated from the IDL; see idl/generate.py."""
