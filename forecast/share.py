"""A stable share of requests: the same ones on any machine, and those of a small share in every larger one."""

from __future__ import annotations

import hashlib

_WHOLE = 2**64


def takes(identity: str, share: float) -> bool:
    """Whether what has this identity is in a `share` from 0 (nobody) to 1 (all)."""
    place = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8])
    return place < share * _WHOLE
