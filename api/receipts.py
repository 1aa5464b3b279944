"""Receipts: the id of one forecast. Those given later sort after those given earlier."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, in order of the characters' codes


def new_receipt() -> str:
    """`fc_` and 26 characters: 48 bits of milliseconds since 1970, then 80 random bits (the layout of a ULID)."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "fc_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
