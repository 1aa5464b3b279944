"""docs/drift.md and docs/promotion.md: their Python runs and prints what is shown, their constants are those in use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forecast.drift import WATCHES
from forecast.promotion import BETS, CLIP, MARGIN_PCT, WORST_PCT, Bounds

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["drift.md", "promotion.md"])
def test_the_python_prints_what_is_shown(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    ((code, shown),) = EXAMPLE.findall((DOCS / page).read_text(encoding="utf-8"))
    exec(code, {})
    assert capsys.readouterr().out == shown


def test_the_constants_are_those_in_use() -> None:
    drift, promotion = ((DOCS / page).read_text(encoding="utf-8") for page in ("drift.md", "promotion.md"))
    weekly = WATCHES["W"]
    for kind in ("loss", "coverage", "bias"):
        (row,) = re.findall(rf"^\| `{kind}` \|.*$", drift, re.MULTILINE)
        assert f"| {getattr(weekly, kind).delta:g} |" in row
    assert f"clipped to ±{CLIP:g}" in promotion
    assert f"{', '.join(f'{bet:g}' for bet in BETS[:-1])} and {BETS[-1]:g}" in promotion
    assert f"at least {MARGIN_PCT:g} % lower" in promotion
    assert f"more than {WORST_PCT:g} % higher" in promotion
    assert f"{Bounds().requests}\nrequests" in promotion
