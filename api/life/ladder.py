"""The ladder of forecast value added: what each step from the naive forecast to the published one takes off the error.

All is made from sums by origin, which the database adds up; the portfolio is as cheap as one category.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from scipy.stats import t as student

from api.database import reading, scores_engine_of
from api.life.editions import SAME
from api.life.score_models import Step
from api.life.score_tables import actual, edition, remade, score
from api.life.scores import STEPS, Chosen, known_scores, points
from api.settings import Settings
from forecast.transform import FloatArray

# Origins before a step speaks: below, the interval of a gain rests on so few that it is mostly wider than any gain.
ENOUGH = 8
LEVELS = (80, 95)
_SURE = 0.9
_PARTS = {"system": "signals", "published": "overrides"}  # of the sentence: what makes the step


@dataclass(frozen=True)
class Gain:
    """Per cent by which errors became smaller, with its 90 % interval."""

    pct: float
    interval: tuple[float, float]


def gain_of(before: FloatArray, after: FloatArray, ahead: int = 1) -> Gain | None:
    """The gain `100 (1 - sum after / sum before)` of errors by origin (n,), in order of time; None without any error.

    `ahead`: how many periods ahead was forecast at most, so that errors of as many origins may go together.

    The interval is that of a ratio by the delta method; the variance is estimated from the lowest cosine frequencies,
    and fewer of them the more errors overlap (Lazarus, Lewis, Stock and Watson 2018, "HAR Inference: Recommendations
    for Practice"; that overlaps bound their number is ours, and simulated in the tests).
    """
    n, total = len(before), float(before.sum())
    if n < 2 or total <= 0:
        return None
    ratio = float(after.sum()) / total
    moved = (after - ratio * before) / (total / n)
    count = max(1, min(max(2, int(0.4 * n ** (2 / 3))), int(0.6 * n / ahead)))
    waves = np.cos(np.pi * np.arange(1, count + 1)[:, None] * (np.arange(n) + 0.5) / n)
    spectrum = np.sqrt(2 / n) * waves @ moved
    half = float(student.ppf(0.5 + _SURE / 2, count)) * math.sqrt(float(np.mean(spectrum**2)) / n)
    return Gain(100 * (1 - ratio), (100 * (1 - ratio - half), 100 * (1 - ratio + half)))


def sums(settings: Settings, wanted: Chosen, *by: str) -> pd.DataFrame:
    """Sums of errors by origin, and by `category` and `lead` where these are named; in order of time.

    Of each step S: `S_n`, `S_error`, `S_size` (of actuals), `S_bias` (forecasts less actuals), `S_scaled` and
    `S_scaled_n`; `S_before` and `S_after` are scaled errors of the step before and of S where both are there. Also
    `overridden`, for each level `inside80` and `held80`, and `ahead`, the longest lead.
    """
    keys = [{"category": edition.c.category, "lead": score.c.lead}[name] for name in by] + [edition.c.origin]
    columns = _sums(actual.c[wanted.basis])
    query = known_scores(wanted, [*keys, *(column.label(name) for name, column in columns.items())])
    with reading(scores_engine_of(settings)) as connection:
        found = connection.execute(query.group_by(*keys).order_by(*keys))
        frame = pd.DataFrame(found.all(), columns=list(found.keys()))
    return frame.astype(dict.fromkeys(columns, "float64"))


def _sums(known: sa.ColumnElement[Any]) -> dict[str, sa.ColumnElement[Any]]:
    point, scale = points(), edition.c.scale
    means = {
        **point,
        "without_signals": sa.case((edition.c.without == SAME, score.c.value), else_=remade.c.value),
        "system": score.c.value,
        "published": sa.func.coalesce(score.c.published, score.c.value),
    }
    made: dict[str, sa.ColumnElement[Any]] = {
        "overridden": _count(score.c.published.is_not(None)),
        "ahead": sa.func.max(score.c.lead),
    }
    for level in LEVELS:
        low, high = score.c[f"lower{level}"], score.c[f"upper{level}"]
        made[f"held{level}"] = _count(low.is_not(None))
        made[f"inside{level}"] = _count(sa.and_(known >= low, known <= high))
    for number, name in enumerate(STEPS):
        error, there = sa.func.abs(point[name] - known), point[name].is_not(None)
        made[f"{name}_n"] = _count(there)
        made[f"{name}_error"] = sa.func.sum(error)
        made[f"{name}_size"] = sa.func.sum(sa.case((there, sa.func.abs(known))))
        made[f"{name}_bias"] = sa.func.sum(means[name] - known)
        made[f"{name}_scaled"], made[f"{name}_scaled_n"] = sa.func.sum(error / scale), sa.func.count(error / scale)
        if number:
            last = sa.func.abs(point[STEPS[number - 1]] - known)
            both = sa.and_(last.is_not(None), there)
            made[f"{name}_before"] = sa.func.sum(sa.case((both, last / scale)))
            made[f"{name}_after"] = sa.func.sum(sa.case((both, error / scale)))
    return made


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def steps_of(found: pd.DataFrame, *, one_unit: bool = True) -> list[Step]:
    """The steps from sums by origin, which may have several rows an origin; none where nothing is scored.

    `one_unit`: that the sales of all that is in them add up.
    """
    if found.empty:
        return []
    whole = found.drop(columns=["category", "lead"], errors="ignore").groupby("origin", sort=True).sum(min_count=1)
    names = [name for name in STEPS if name != "published" or whole["overridden"].sum()]
    return [_step(whole, name, one_unit, int(found["ahead"].max())) for name in names]


def _step(whole: pd.DataFrame, name: str, one_unit: bool, ahead: int) -> Step:
    total = whole.sum()
    size = float(total[f"{name}_size"]) if one_unit else 0.0
    origins = int((whole[f"{name}_n"] > 0).sum())
    speaking, note = origins, None
    if name == "published":
        speaking = int((whole["overridden"] > 0).sum())
    gain = None
    if speaking < ENOUGH:
        note = f"too few: {speaking} of {ENOUGH}"
    elif name != STEPS[0]:
        paired = whole[whole[f"{name}_before"].notna() & (whole[f"{name}_n"] > 0)]
        gain = gain_of(paired[f"{name}_before"].to_numpy(), paired[f"{name}_after"].to_numpy(), ahead)
    return Step(
        step=name,
        origins=origins,
        forecasts=int(total[f"{name}_n"]),
        wape=_ratio(total[f"{name}_error"], size),
        mase=_ratio(total[f"{name}_scaled"], total[f"{name}_scaled_n"]),
        bias_pct=_ratio(100 * total[f"{name}_bias"], size),
        coverage={str(k): _ratio(total[f"inside{k}"], total[f"held{k}"]) for k in LEVELS} if name == "system" else {},
        gain_pct=gain and gain.pct,
        gain_interval_pct=gain and gain.interval,
        note=note,
    )


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 and math.isfinite(part) else None


def sentence(steps: Sequence[Step], over: str) -> str:
    """What the ladder says, in one sentence; `over`: what was scored, such as "26 weeks"."""
    by_name = {one.step: one for one in steps}
    system = by_name.get("system")
    if system is None or not system.forecasts:
        return "No forecast was scored yet."
    if system.note:
        return f"Nothing can be said yet: {system.origins} of {ENOUGH} origins are scored."
    parts = [_part(one, _PARTS[one.step]) for one in steps if one.step in _PARTS]
    told = "; ".join(part for part in parts if part)
    return f"Over {over} {told}{_against(by_name)}."


def _part(one: Step, what: str) -> str:
    if one.gain_pct is None or one.gain_interval_pct is None:
        return f"of {what} nothing can be said yet ({one.note})" if one.note else f"{what} could not be judged"
    low, high = one.gain_interval_pct
    if one.gain_pct == low == high == 0:
        return f"{what} changed nothing"
    size = _size(one.gain_pct)
    if low <= 0 <= high:
        return f"{what} made no clear difference (error {size})"
    return f"{what} made the error {size}"


def _against(by_name: dict[Any, Step]) -> str:
    """How the system does against seasonal naive, from the same scored periods."""
    seasonal, system = by_name["seasonal_naive"], by_name["system"]
    if not seasonal.mase or system.mase is None or seasonal.forecasts != system.forecasts:
        return ""
    return f"; the forecast's error was {_size(100 * (1 - system.mase / seasonal.mase))} than seasonal naive's"


def _size(gain: float) -> str:
    """`4 % smaller`; one decimal below two per cent."""
    digits = 0 if abs(gain) >= 2 else 1
    return f"{abs(gain):.{digits}f} % {'smaller' if gain >= 0 else 'larger'}"
