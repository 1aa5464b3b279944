"""What the template shows: every number worded and rounded here, so that the template only lays out."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from api.overrides.applying import sentence_of
from api.reports import charts
from api.reports.items import ReportItem
from api.reports.remarks import in_brief, is_old, narrow_ranges, old_note
from api.reports.sentences import CLEAR, NOTHING, gain, proof, standing
from forecast.words import (
    amount,
    amount_each,
    axis_label,
    comparison,
    digits_for,
    driver_name,
    finding,
    interval_levels,
    last_year,
    number,
    period_label,
    period_noun,
    year_change_pct,
)

if TYPE_CHECKING:
    from forecast import SignalReport

_STANDING = {
    "helped": "",
    "refused": "no signal helps",
    "untested": "not enough history to tell",
    "unused": "not used by this engine",
    "none": "no signal offered",
}


@dataclass(frozen=True)
class Table:
    """A table twin: column titles, and rows whose first cell names the row."""

    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class PortfolioRow:
    """One category in the table at the top."""

    anchor: str
    category: str
    spark: Markup
    period: str
    value: str
    likely: str
    change: str
    error: str
    against_naive: str
    signals: str
    warnings: int
    remark: str


@dataclass(frozen=True)
class SignalRow:
    """One candidate signal of a category."""

    name: str
    id: str
    admitted: bool
    gain: str
    interval: str
    whisker: Markup
    lag: str
    lead: str
    known_to: str
    reason: str


@dataclass(frozen=True)
class Measure:
    """One measure of the backtest, with what it means."""

    label: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """Everything about one category."""

    anchor: str
    category: str
    finding: str
    drivers_finding: str
    signals_finding: str
    quality_finding: str
    axis: str
    nowcast: str
    old: str
    signals: list[SignalRow]
    measures: list[Measure]
    events: list[str]
    overrides: list[str]
    warnings: list[str]
    forecast_table: Table
    drivers_table: Table
    csv: str
    csv_name: str


def portfolio_row(item: ReportItem, anchor: str, now: datetime) -> PortfolioRow:
    """The category in one line; its period is the first that was not over at the origin."""
    result, frequency = item.forecast, item.record.frequency
    frame = result.to_frame()
    ahead = [kind != "nowcast" for kind in result.kinds]
    place = ahead.index(True) if True in ahead else len(frame) - 1
    row, shown = frame.iloc[place], item.published(place)
    digits = digits_for([row["mean"]])
    inner = interval_levels(frame)[0]
    low, high = number(row[f"lo-{inner}"], digits), number(row[f"hi-{inner}"], digits)
    year = max(8, {"D": 91, "W": 52, "M": 24, "Q": 12}[frequency[0]])
    return PortfolioRow(
        anchor=anchor,
        category=item.record.category,
        spark=charts.sparkline(item.history["y"].tail(year).to_list(), frame["mean"].to_list()),
        period=period_label(row["ds"], frequency) + (" (over)" if is_old(item, now) else ""),
        value=amount(row["mean"], item.record.unit, digits),
        likely=f"{inner} % range {low} to {high}",
        change=percent(year_change_pct(result), arrow=True),
        error=percent_of(result.quality.wape),
        against_naive=percent(result.quality.vs_seasonal_naive_pct),
        signals=_helpers(item),
        warnings=len(narrow_ranges(item)) + len(result.warnings),
        remark=" · ".join(filter(None, [in_brief(item, now), _published(item, shown, digits)])),
    )


def _published(item: ReportItem, shown: Mapping[str, Any] | None, digits: int) -> str:
    return f"published: {amount(shown['value'], item.record.unit, digits)}, by {shown['author']}" if shown else ""


def section(item: ReportItem, anchor: str, now: datetime) -> Section:
    """One category in full."""
    result = item.forecast
    table = forecast_table(item)
    return Section(
        anchor=anchor,
        category=item.record.category,
        finding=finding(result, item.signal_names).removeprefix(f"{result.category}: "),
        drivers_finding=drivers_finding(item),
        signals_finding=signals_finding(item),
        quality_finding=quality_finding(item),
        axis=axis_label(item.record.unit, item.record.frequency),
        nowcast=_nowcast_note(item),
        old=old_note(item, now),
        signals=signal_rows(item),
        measures=measures(item),
        events=[event.sentence for event in result.events],
        overrides=[sentence_of(one) for one in item.overrides],
        warnings=[*narrow_ranges(item), *result.warnings],
        forecast_table=table,
        drivers_table=drivers_table(item),
        csv=_csv(result.to_frame()),
        csv_name=(re.sub(r"\W+", "-", item.record.category.lower()).strip("-") or "forecast") + ".csv",
    )


def _nowcast_note(item: ReportItem) -> str:
    noun = period_noun(item.record.frequency)
    return f"Nowcast: the {noun} is over, its sales are not in yet." if "nowcast" in item.forecast.kinds else ""


def percent(value: float | None, *, arrow: bool = False) -> str:
    """A change as `+12 %`; the arrow repeats the sign for the eye. `n/a` where there is none."""
    if value is None or not math.isfinite(value):
        return "n/a"
    sign = "▲ " if round(value) > 0 else "▼ " if round(value) < 0 else "● "
    return f"{sign if arrow else ''}{number(value, 0, sign=True)} %"


def percent_of(share: float | None, digits: int = 1) -> str:
    """A share such as 0.083 as `8.3 %`."""
    return "n/a" if share is None else f"{number(100 * share, digits)} %"


def _helpers(item: ReportItem) -> str:
    admitted = [signal for signal in item.forecast.signals if signal.admitted]
    if not admitted:
        return _STANDING[standing(item)]
    best = max(admitted, key=lambda signal: (proof(signal), signal.gain_pct or 0.0))
    count = f"({len(admitted)} signal{'s' if len(admitted) > 1 else ''})"
    if proof(best) == NOTHING or best.gain_pct is None:
        return f"no measurable gain {count}"
    least = "up to " if len(admitted) > 1 else ""
    return f"{'' if proof(best) == CLEAR else 'perhaps '}{least}{gain(best.gain_pct)} % less error {count}"


def drivers_finding(item: ReportItem) -> str:
    """Which drivers add and which take away most, on average over the horizon."""
    effects = charts.effects(item).drop(columns="ds")
    digits = digits_for([item.forecast.mean.mean()])
    if effects.empty or round(float(effects.abs().to_numpy().max()), digits) == 0:
        return "Nothing moves the forecast away from its level."
    mean = effects.mean().round(digits)
    parts = []
    if mean.max() > 0:
        best = charts.effect_name(str(mean.idxmax()), item)
        parts.append(f"{best} adds most ({amount_each(float(mean.max()), item.forecast, digits)})")
    if mean.min() < 0:
        worst = charts.effect_name(str(mean.idxmin()), item)
        parts.append(f"{worst} takes away most ({amount_each(float(mean.min()), item.forecast, digits)})")
    return f"Around the level, {' and '.join(parts)}." if parts else "The drivers cancel out over the horizon."


def signals_finding(item: ReportItem) -> str:
    """How many of the candidate signals earned their place."""
    signals = item.forecast.signals
    admitted = sum(signal.admitted for signal in signals)
    state = standing(item)
    if state == "none":
        return "No outside signal was offered for this category."
    if state == "unused":
        return f"The engine {item.forecast.engine.name} does not use signals."
    if state == "untested":
        return "There is not enough history to tell whether a signal helps this category."
    if state == "refused":
        return f"No signal helps this category: {len(signals)} tried, none earned its place."
    return f"{admitted} of {len(signals)} signals earned {'its' if admitted == 1 else 'their'} place."


def signal_rows(item: ReportItem) -> list[SignalRow]:
    """The candidates: admitted ones first, the largest gain first."""
    signals = sorted(item.forecast.signals, key=lambda s: (not s.admitted, -(s.gain_pct or 0.0), s.signal))
    ends = [abs(end) for s in signals if s.gain_pct is not None for end in (s.gain_pct, *(s.gain_interval_pct or ()))]
    limit = max(5.0, min(max(ends, default=5.0), 50.0))
    return [_signal_row(signal, item, limit) for signal in signals]


def _signal_row(signal: SignalReport, item: ReportItem, limit: float) -> SignalRow:
    noun = item.record.frequency
    interval = signal.gain_interval_pct
    return SignalRow(
        name=driver_name(signal.signal, item.signal_names),
        id=signal.signal,
        admitted=signal.admitted,
        gain="n/a" if signal.gain_pct is None else f"{number(signal.gain_pct, 1, sign=True)} %",
        interval="" if interval is None else f"{number(interval[0], 1)} to {number(interval[1], 1)} %",
        whisker=charts.whisker(signal.gain_pct, interval, limit, admitted=signal.admitted),
        lag=_count(signal.lag, noun, "same "),
        lead=_count(signal.lead, noun, ""),
        known_to=_known_to(signal.known_to, item.record.frequency),
        reason=signal.reason,
    )


def _known_to(label: str | None, frequency: str) -> str:
    """The last known period; a day or a week by its last day, a month or a quarter by its name."""
    if label is None:
        return "n/a"
    last = pd.Timestamp(label)
    return f"{last.day} {last:%b %Y}" if frequency[0] in "DW" else period_label(last, frequency)


def _count(periods: int | None, frequency: str, zero: str) -> str:
    if periods is None:
        return "n/a"
    if periods == 0 and zero:
        return zero + period_noun(frequency)
    return f"{periods} {period_noun(frequency, periods)}"


def quality_finding(item: ReportItem) -> str:
    """How the same method did at past origins, in one sentence."""
    quality = item.forecast.quality
    if quality.wape is None:
        return "The history is too short to test the forecast against its past."
    origins = "1 past origin" if quality.origins == 1 else f"{quality.origins} past origins"
    text = f"At {origins} the forecast missed by {percent_of(quality.wape)} of sales"
    if quality.vs_seasonal_naive_pct is not None:
        than = comparison(quality.vs_seasonal_naive_pct, more="more than", less="less than")
        text += f", {than} seasonal naive"
    return text + "."


def measures(item: ReportItem) -> list[Measure]:
    """The measures of the backtest, each with its meaning in plain words."""
    quality = item.forecast.quality
    mase = "n/a" if quality.mase is None else number(quality.mase, 2)
    rows = [
        Measure("Error (WAPE)", percent_of(quality.wape), "sum of misses, as a share of sales"),
        Measure(
            "Against seasonal naive",
            percent(quality.vs_seasonal_naive_pct),
            "below zero is better than repeating last year",
        ),
        Measure("MASE", mase, "misses, where 1 is the usual change of the history from one season to the next"),
        Measure("Bias", _signed(quality.bias_pct), "above zero: forecasts ran too high"),
    ]
    for level, share in quality.coverage.items():
        rows.append(Measure(f"{level} % range held", percent_of(share, 0), f"of actual sales; {level} % was promised"))
    return rows


def _signed(value: float | None) -> str:
    return "n/a" if value is None else f"{number(value, 1, sign=True)} %"


def forecast_table(item: ReportItem) -> Table:
    """The twin of the fan chart."""
    frame, frequency = item.forecast.to_frame(), item.record.frequency
    levels = interval_levels(frame)
    before = last_year(item.history, frame["ds"], frequency)
    digits = digits_for(frame["mean"])
    head = [
        "Period",
        "Kind",
        "Forecast",
        "Median",
        *(f"{level} % range" for level in levels),
        "A year before",
        "Change",
        *(["Published"] if item.overrides else []),
    ]
    rows = []
    for place, row in enumerate(frame.to_dict("records")):
        base = float(before.iloc[place])
        ranges = [f"{number(row[f'lo-{x}'], digits)} to {number(row[f'hi-{x}'], digits)}" for x in levels]
        change = percent(100 * (row["mean"] / base - 1)) if base > 0 else "n/a"
        cells = [number(row["mean"], digits), number(row["median"], digits), *ranges, number(base, digits), change]
        if item.overrides:
            shown = item.published(place)
            cells.append(f"{number(shown['value'], digits)} ({shown['author']})" if shown else cells[0])
        rows.append([period_label(row["ds"], frequency), item.forecast.kinds[place], *cells])
    return Table(head, rows)


def drivers_table(item: ReportItem) -> Table:
    """The twin of the drivers chart: every driver, which add up to the forecast."""
    table, frame = item.forecast.contributions(), item.forecast.to_frame()
    columns = [str(column) for column in table.columns if column != "ds"]
    digits = digits_for(frame["mean"])
    names = [driver_name(column, item.signal_names) for column in columns]
    rows = [
        [
            period_label(row["ds"], item.record.frequency),
            *(number(row[column], digits, sign=column != "level") for column in columns),
            number(mean, digits),
        ]
        for row, mean in zip(table.to_dict("records"), frame["mean"], strict=True)
    ]
    return Table(["Period", *names, "Forecast"], rows)


def _csv(frame: pd.DataFrame) -> str:
    text = frame.to_csv(index=False, float_format="%.6g", date_format="%Y-%m-%d")
    return "data:text/csv;base64," + base64.b64encode(text.encode()).decode()


def origins_and_dates(items: Sequence[ReportItem]) -> list[str]:
    """Facts of the whole report: as of when, and by which engines."""
    moments = sorted({item.forecast.as_of for item in items if item.forecast.as_of is not None})
    engines = sorted({item.forecast.engine.name for item in items})
    facts = [f"Engine {', '.join(engines)}"]
    if moments:
        span = [f"{moment.day} {moment:%b %Y %H:%M} UTC" for moment in (moments[0], moments[-1])]
        facts.insert(0, f"Data known by {span[0] if moments[0] == moments[-1] else ' to '.join(span)}")
    return facts
