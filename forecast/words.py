"""A forecast in words: the finding sentence, and the small vocabulary that charts and reports share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from forecast import Forecast

_NOUNS = {"D": "day", "W": "week", "M": "month", "Q": "quarter"}
_KINDS = {"calendar": "public holidays"}
# 52 whole weeks keep the weekday; months and quarters go back by the calendar.
_YEAR_BACK: dict[str, pd.Timedelta | pd.DateOffset] = {
    "D": pd.Timedelta(weeks=52),
    "W": pd.Timedelta(weeks=52),
    "M": pd.DateOffset(years=1),
    "Q": pd.DateOffset(years=1),
}


def period_noun(frequency: str, count: int = 1) -> str:
    """What one period is called: `week` for `W-SUN`, `weeks` for a count other than one."""
    noun = _NOUNS[frequency[0]]
    return noun if count == 1 else noun + "s"


def period_label(ds: pd.Timestamp, frequency: str) -> str:
    """The name of one period: `Mon 23 Nov 2026`, `week to 29 Nov 2026`, `Nov 2026` or `Q4 2026`."""
    day = f"{ds.day} {ds:%b %Y}"
    return {"D": f"{ds:%a} {day}", "W": f"week to {day}", "M": f"{ds:%b %Y}", "Q": f"Q{ds.quarter} {ds.year}"}[
        frequency[0]
    ]


def span_label(ds: pd.Series, frequency: str) -> str:
    """The name of a run of periods: `the 8 weeks to 17 Jan 2027`, or the one period's own name."""
    last = period_label(ds.iloc[-1], frequency)
    if len(ds) == 1:
        return last if frequency[0] != "W" else f"the {last}"
    return f"the {len(ds)} {period_noun(frequency, len(ds))} to {last.removeprefix('week to ')}"


def amount(value: float, unit: str | None, digits: int = 0, *, sign: bool = False) -> str:
    """A number with its unit: `109 pairs`, `139 (index, January 2019 = 100)`, or `109` where no unit is known."""
    text = number(value, digits, sign=sign)
    if not unit:
        return text
    return f"{text} {unit}" if _short(unit) else f"{text} ({unit})"


def amount_each(value: float, forecast: Forecast, digits: int = 0) -> str:
    """What a driver adds or takes away: `+50 pairs a week`. A unit that is a phrase is left out, to be read on."""
    unit = forecast.unit if forecast.unit and _short(forecast.unit) else None
    return f"{amount(value, unit, digits, sign=True)} a {period_noun(forecast.frequency)}"


def axis_label(unit: str | None, frequency: str) -> str:
    """What an axis of values shows: `pairs a week`, `index, January 2019 = 100, by week`, `sales a week`."""
    noun = period_noun(frequency)
    if not unit:
        return f"sales a {noun}"
    return f"{unit} a {noun}" if _short(unit) else f"{unit}, by {noun}"


def _short(unit: str) -> bool:
    """Whether a unit can stand behind a number as a word does: `pairs`, `1000 kg`; not a definition."""
    return len(unit) <= 20 and not set(unit) & set(",=();:")


def interval_levels(frame: pd.DataFrame) -> list[str]:
    """The levels of the prediction intervals in a forecast's frame, narrowest first: `["80", "95"]`."""
    return sorted((str(c).removeprefix("lo-") for c in frame.columns if str(c).startswith("lo-")), key=float)


def digits_for(values: Iterable[float]) -> int:
    """Decimals that suit numbers of this size, so that one column shows one precision."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return 0 if largest >= 100 else 1 if largest >= 10 else 2 if largest >= 0.1 else 4


def number(value: float, digits: int = 0, *, sign: bool = False) -> str:
    """A number for people: `1,234.5`, `−12`; with `sign` also `+12`. What is not a number reads `n/a`."""
    if not math.isfinite(value):
        return "n/a"
    rounded = round(value, digits) + 0.0  # +0.0 turns −0.0 into 0.0
    return f"{rounded:{'+' if sign and rounded else ''},.{digits}f}".replace("-", "−")


def last_year(history: pd.DataFrame, periods: pd.Series, frequency: str) -> pd.Series:
    """The sales one year before each of `periods`: NaN where the history does not reach."""
    known = history.set_index("ds")["y"]
    return pd.Series(
        known.reindex(periods - _YEAR_BACK[frequency[0]]).to_numpy(), index=periods.index, name="last_year"
    )


def year_change_pct(forecast: Forecast) -> float:
    """Change of the mean over the horizon against the same periods a year before, in per cent.

    NaN where a period has no counterpart or the base is not positive: a per cent would then mean nothing.
    """
    frame = forecast.to_frame()
    base = last_year(forecast.history, frame["ds"], forecast.frequency).sum(skipna=False)
    return float(100 * (frame["mean"].sum() / base - 1)) if base > 0 else math.nan


def comparison(change_pct: float, *, more: str = "more than", less: str = "less than") -> str:
    """A change in per cent as words: `12 % more than`, `about the same as`."""
    size = round(abs(change_pct))
    if size == 0:
        return "about the same as"
    return f"{size:,} % {more if change_pct > 0 else less}"


def driver_name(driver: str, names: Mapping[str, str] | None = None) -> str:
    """What a driver is called in front of people: its title in `names`, else its id spelled out.

    `google_trends/winter_boots/US` reads `google trends: winter boots, US`, `calendar/US` `public holidays: US`.
    """
    if title := (names or {}).get(driver):
        return title
    kind, *rest = [part.strip() for part in re.split("[/:]", driver.replace("_", " ")) if part.strip()] or [driver]
    return f"{_KINDS.get(kind, kind)}: {', '.join(rest)}" if rest else kind


def finding(forecast: Forecast, names: Mapping[str, str] | None = None) -> str:
    """One sentence computed from the forecast: how much, when, against last year, and the largest driver."""
    frame = forecast.to_frame()
    mean = float(frame["mean"].mean())
    digits = digits_for([mean])
    each = f"{amount(mean, forecast.unit, digits)} a {period_noun(forecast.frequency)}"
    subject = f"{forecast.category}: " if forecast.category else ""
    return (
        f"{subject}{each} expected over {span_label(frame['ds'], forecast.frequency)}, "
        f"{_against_last_year(forecast)}; {_largest_driver(forecast, digits, names)}."
    )


def _against_last_year(forecast: Forecast) -> str:
    change = year_change_pct(forecast)
    if math.isfinite(change):
        return f"{comparison(change)} a year before"
    return "with no full year of positive sales to compare with"


def _largest_driver(forecast: Forecast, digits: int, names: Mapping[str, str] | None) -> str:
    effects = forecast.contributions().drop(columns=["ds", "level"], errors="ignore").mean()
    if effects.empty or round(float(effects.abs().max()), digits) == 0:
        return "it rests on its level"
    driver = str(effects.abs().idxmax())
    size = amount_each(float(effects[driver]), forecast, digits)
    return f"the largest driver is {driver_name(driver, names)} ({size})"
