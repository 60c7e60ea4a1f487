"""This package turns declared tasks and workflows into graphs, and graphs into messages."""

from __future__ import annotations
