"""Numbers of overrides as people write them."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)\s?(%?)", re.ASCII)
NUMBER_ALLOWED = "a number a period, such as 130, or a change in per cent, such as +10% or -5%"


def number_of(text: str) -> dict[str, float] | None:
    """`value` or `percent` as a person writes it: 130, +10%, -5%; None for what is neither."""
    found = _NUMBER.fullmatch(text.strip().replace("−", "-"))
    if found is None or (found[2] and found[1][0] not in "+-"):  # 10%: of it, or more by it?
        return None
    return {"percent" if found[2] else "value": float(found[1])}
