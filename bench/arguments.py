"""Arguments that several benchmark commands take."""

from __future__ import annotations

import argparse


def whole_number(text: str) -> int:
    """A whole number from 1, as an argument's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, allowed: a whole number from 1")
    return int(text)
