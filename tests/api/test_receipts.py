"""Receipts sort by time and do not repeat."""

from __future__ import annotations

import re
import time

from api.receipts import new_receipt


def test_a_later_receipt_sorts_after_an_earlier_one() -> None:
    earlier = new_receipt()
    time.sleep(0.002)
    assert earlier < new_receipt()


def test_receipts_are_plain_and_differ() -> None:
    receipts = {new_receipt() for _ in range(1000)}
    assert len(receipts) == 1000
    assert all(re.fullmatch("fc_[0-9A-HJKMNP-TV-Z]{26}", receipt) for receipt in receipts)
