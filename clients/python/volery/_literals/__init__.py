"""This package holds values that flow between tasks, and their wire form, in the standard library alone.

A task process reads and writes values with nothing but this: the generated classes of `volery._idl`
are slow to parse and are loaded only by what talks to a server. The bytes are those of
`voleryidl.core.v1.Literal`; tests hold the two equal.
"""

from __future__ import annotations

from volery._literals.decoding import MalformedLiteral, decode, decode_map, split_map
from volery._literals.encoding import encode, encode_map
from volery._literals.values import Literal

__all__ = ["Literal", "MalformedLiteral", "decode", "decode_map", "encode", "encode_map", "split_map"]
