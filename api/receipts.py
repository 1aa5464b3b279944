"""Receipts: the id of one forecast. Those given later sort after those given earlier."""

from __future__ import annotations

import datetime as dt
import secrets
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, in order of the characters' codes


def new_receipt() -> str:
    """`fc_` and 26 characters: 48 bits of milliseconds since 1970, then 80 random bits (the layout of a ULID)."""
    return _receipt(time.time_ns() // 1_000_000, secrets.randbits(80))


def receipt_at(moment: dt.datetime, bits: int) -> str:
    """A receipt as if given at a moment (UTC without a zone), with 80 bits that the caller has chosen."""
    return _receipt(int(moment.replace(tzinfo=dt.UTC).timestamp() * 1000), bits)


def _receipt(milliseconds: int, bits: int) -> str:
    number = milliseconds << 80 | bits
    return "fc_" + "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
