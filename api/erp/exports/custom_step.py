"""The custom step of Demand planning: a CSV with two lines of parameters, an empty one, and the history of each series.

    DateGranularity,PeriodStartDate,PeriodEndDate,PredictionTimeWindow,MeasureColumn,TimeColumn
    M,2024-03-26,2025-03-25,12,_Value,_Time

    _Time,_Value,ProductVariantName,WarehouseLocationName
    2019-01-01,1233,TelevisionLEDM34-82-Silver,Store 1

A series is what all columns except time and measure name together. The answer has the columns of the history.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecast import ForecastError, forecast
from signals.periods import weekly
from signals.refused import ImportRefused

GRANULARITIES = {"D": "D", "W": "W", "M": "MS"}
NEEDED = ("DateGranularity", "PredictionTimeWindow", "MeasureColumn", "TimeColumn")


@dataclass(frozen=True)
class Step:
    """What a step is to do. data: the columns of the history as text."""

    frequency: str
    horizon: int
    measure: str
    time: str
    data: pd.DataFrame


@dataclass(frozen=True)
class Stepped:
    """The answer as CSV, how many series have a forecast, and why others have none."""

    text: str
    series: int
    left_out: tuple[str, ...]


def read_step(path: Path) -> Step:
    """Read the input of a step; ImportRefused says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ImportRefused("the file is not UTF-8", remedy="Give the file as the app writes it") from error
    head, separator, body = text.partition("\n\n")
    parameters = list(csv.DictReader(io.StringIO(head)))
    if not separator or len(parameters) != 1:
        raise ImportRefused(
            "it does not begin with a line of names, a line of parameters and an empty line",
            remedy="Give the input of a custom step of Demand planning",
        )
    said = {str(name).strip(): (value or "").strip() for name, value in parameters[0].items() if name is not None}
    for name in NEEDED:
        if not said.get(name):
            raise ImportRefused("the parameter is missing", column=name, row=2, remedy=f"Needed: {', '.join(NEEDED)}")
    data = pd.read_csv(io.StringIO(body), dtype=str, keep_default_na=False)
    for name in ("MeasureColumn", "TimeColumn"):
        if said[name] not in data.columns:
            raise ImportRefused(
                f"the data has no column {said[name]!r}", column=name, row=2, remedy=f"It has {', '.join(data.columns)}"
            )
    return Step(_frequency(said), _horizon(said), said["MeasureColumn"], said["TimeColumn"], data)


def _frequency(said: dict[str, str]) -> str:
    found = GRANULARITIES.get(said["DateGranularity"].upper())
    if found is None:
        raise ImportRefused(
            f"DateGranularity is {said['DateGranularity']!r}", row=2, column="DateGranularity",
            remedy=f"Allowed: {', '.join(GRANULARITIES)}",
        )  # fmt: skip
    return found


def _horizon(said: dict[str, str]) -> int:
    text = said["PredictionTimeWindow"]
    if not text.isdecimal() or not 1 <= int(text) <= 520:
        raise ImportRefused(
            f"PredictionTimeWindow is {text!r}", row=2, column="PredictionTimeWindow", remedy="Allowed: 1 to 520"
        )
    return int(text)


def run_step(step: Step, *, decimals: int = 3, engine: str = "fast") -> Stepped:
    """Forecast every series for the periods after its last; one that cannot be forecast is left out and named."""
    names = [column for column in step.data.columns if column not in (step.time, step.measure)]
    text, series, left_out = io.StringIO(), 0, []
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(step.data.columns)
    for key, frame in _series(step, names):
        try:
            rows = _forecast(step, frame, decimals, engine)
        except ForecastError as error:
            left_out.append(f"{', '.join(key) or 'the series'}: {error}")
            continue
        series += 1
        held = dict(zip(names, key, strict=True))
        for day, value in rows:
            cells = held | {step.time: day, step.measure: f"{value:.{decimals}f}"}
            writer.writerow([cells[column] for column in step.data.columns])
    return Stepped(text.getvalue(), series, tuple(left_out))


def _series(step: Step, names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    frame = pd.DataFrame({"ds": _column(step, step.time, _dates), "y": _column(step, step.measure, pd.to_numeric)})
    if not names:
        yield (), frame
        return
    for key, rows in frame.groupby([step.data[name] for name in names], sort=False):
        yield (tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)), rows


def _dates(values: Any) -> Any:
    return pd.to_datetime(values, format="ISO8601")


def _column(step: Step, name: str, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(step.data[name])
    except (ValueError, TypeError) as error:
        raise ImportRefused(f"a value cannot be read: {error}", column=name, remedy="Correct it") from error


def _forecast(step: Step, frame: pd.DataFrame, decimals: int, engine: str) -> list[tuple[str, float]]:
    is_weekly = step.frequency == "W"
    # A week begins on the weekday of the first one.
    frequency = weekly(frame["ds"].iloc[0].weekday() - 1) if is_weekly else step.frequency
    periods = frame["ds"].dt.to_period("M" if frequency == "MS" else frequency)
    sums = frame.assign(ds=periods).groupby("ds", as_index=False)["y"].sum(min_count=1)
    days = sums["ds"].dt.end_time.dt.normalize() if is_weekly else sums["ds"].dt.start_time
    result = forecast(
        pd.DataFrame({"ds": days.astype("datetime64[us]"), "y": sums["y"].astype("float64")}),
        step.horizon,
        engine=engine,
        frequency=frequency,
    )
    # A week is dated by its first day, as the app does; its label here is its last.
    shift = pd.Timedelta(days=6) if is_weekly else pd.Timedelta(0)
    rows = result.to_dict()["forecast"]
    return [(f"{pd.Timestamp(row['period']) - shift:%Y-%m-%d}", round(row["value"], decimals)) for row in rows]
