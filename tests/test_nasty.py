"""Sales that are hard to forecast get an answer that is finite, ordered, adds up and stays inside the guard."""

from __future__ import annotations

import pytest

from bench.nasty import wrong
from bench.nasty_series import KINDS, case

EACH = 9
SEED = 2026


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_can_be_used(kind: str) -> None:
    found = {index: wrong(case(kind, SEED, index)) for index in range(EACH)}
    assert {index: what for index, what in found.items() if what} == {}
