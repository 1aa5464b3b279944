"""Import of exports of the Google Trends page, multiTimeline.csv: the way that needs no access by a program."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from signals.batch import Batch
from signals.cadence import spoken
from signals.names import name_problem
from signals.periods import spans, weekday, weekly
from signals.prepared import Prepared, Progress, Steps, counted, payload_sha
from signals.refused import ImportRefused
from signals.rows import utc_now
from signals.snapshot import window_label
from signals.trends_export import WANTED, Export, read_export
from signals.trends_places import PLACE, place_code

LAG = pd.Timedelta(days=2)  # as the connector takes it
LICENCE = "Data source: Google Trends (https://www.google.com/trends)"
_SUFFIX = {"D": "/daily", "MS": "/monthly"}  # weeks have none, as with the connector
_DAY = np.timedelta64(1, "D")
_WHOLE_DAY = 0.9  # a day needs so many of its hours: one in spring has 23

Days = npt.NDArray[np.datetime64]
Array = npt.NDArray[np.float64]


def prepare_google_trends(
    file: Path | str,
    /,
    *,
    known_signals: Mapping[str, str] | None = None,
    categories: Collection[str] = ("*",),
    region: str | None = None,
    known_at: datetime | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Turn an export of interest over time into signals google_trends/TERM/PLACE, named as the connector names them.

    Parameters
    ----------
    file: multiTimeline.csv, in any language. Hours become days (name ends in /daily), months end in /monthly.
    known_signals: cadence of each signal that the store holds; another one is refused.
    categories: which the signals may serve; * means every one.
    region: world, or a code such as US or US-NY; needed where the header names no place, and for names of places that
        are not known in English: these are otherwise kept as they are written.
    known_at: when the file was exported, UTC; the end of its last period if not given, for what is newer in the store
        must stay. Periods that were not over then are left out, and the file is one window of that moment.

    Raises ImportRefused: a file of another kind (a map, related queries), damaged, or without a regular step.
    """
    steps = Steps(progress, 2)
    steps.next("reading the file")
    export = read_export(Path(file))
    steps.next("forming the batch")
    grid = _grid(export)
    exported = _exported(grid, known_at, utc_now(now))
    names = _names(export, grid.cadence, region)
    _refuse_conflict(names, grid.cadence, known_signals or {})
    frame, dropped = _frame(grid, list(names), exported)
    batch = _batch(frame, names, grid.cadence, sorted(set(categories)))
    steps.next("done")
    notes = _notes(export, grid, names, frame, dropped, None if known_at is not None else exported)
    return Prepared(batch, {"date": export.date, "value": ", ".join(c.name for c in export.columns)}, notes, len(frame))


@dataclass(frozen=True)
class _Grid:
    """Values by period: first days (n,), ends (n,), values (n, columns), in order; and what was done to get there."""

    start: Days
    end: Days
    values: Array
    cadence: str
    note: str = ""


def _exported(grid: _Grid, known_at: datetime | None, now: datetime) -> datetime:
    if known_at is None:
        ends = grid.end[grid.end <= np.datetime64(now.date(), "D")]
        return now if not len(ends) else datetime.combine(ends[-1].item(), time(), UTC)
    exported = utc_now(known_at)
    if exported > now:
        raise ImportRefused(
            f"exported at {exported:%Y-%m-%d %H:%M} UTC, which lies in the future",
            value=f"{exported:%Y-%m-%d %H:%M}", remedy="Give the moment at which the file was downloaded",
        )  # fmt: skip
    return exported


def _grid(export: Export) -> _Grid:
    order = np.argsort(export.dates.stamps, kind="stable")
    stamps, values = export.dates.stamps[order], export.values[order]
    if len(stamps) > 1 and np.diff(stamps).min() < _DAY:
        days, values, note = _daily(stamps, values)
        return _Grid(days, days + 1, values, "D", note)
    days = stamps.astype("datetime64[D]")
    cadence = _cadence(export, days)
    return _Grid(*spans(days, cadence), values, cadence)


def _daily(stamps: Days, values: Array) -> tuple[Days, Array, str]:
    """The mean of each day that is whole."""
    step = np.median(np.diff(stamps)).astype("timedelta64[s]")
    frame = pd.DataFrame(values).groupby(stamps.astype("datetime64[D]"))
    size, mean = frame.size(), frame.mean()
    whole = (size >= _WHOLE_DAY * (_DAY / step)).to_numpy()
    if not whole.any():
        raise ImportRefused("the file holds no whole day of hours", remedy="Export a longer span")
    note = f"Hours were averaged to days; {counted(int((~whole).sum()), 'day')} not whole left out."
    return mean.index.to_numpy().astype("datetime64[D]")[whole], mean.to_numpy()[whole], note


def _cadence(export: Export, days: Days) -> str:
    """D, W-XXX or MS, by the steps between the dates."""
    steps = np.diff(days).astype(int)
    firsts = (days.astype("datetime64[M]").astype("datetime64[D]") == days).all()
    if export.dates.precision == "month" or (len(steps) and firsts and steps.min() >= 28):
        return "MS"
    if len(steps) and (steps % 7 == 0).all():
        return weekly((int(weekday(days[:1])[0]) + 6) % 7)
    if len(steps) and steps.min() == 1:
        return "D"
    raise ImportRefused(
        "the dates are neither days nor weeks nor months", value=", ".join(str(day) for day in days[:3]), remedy=WANTED
    )


def _names(export: Export, cadence: str, region: str | None) -> dict[str, tuple[str, str]]:
    """Term and place by signal, in the order of the columns."""
    if region is not None and not re.fullmatch(PLACE, region):
        raise ImportRefused(
            f"--region is {region!r}", value=region, remedy="Allowed: world, or a code such as US, US-NY"
        )
    names: dict[str, tuple[str, str]] = {}
    for column in export.columns:
        place = region or (column.region and (place_code(column.region) or column.region))
        if not place or not column.term:
            raise ImportRefused(
                f"column {column.name!r} does not name a term and a place", column=column.name,
                remedy="Give --region, or a header such as coffee: (United States)",
            )  # fmt: skip
        name = f"google_trends/{column.term}/{place}{_SUFFIX.get(cadence, '')}"
        if problem := name_problem("signal", name):
            raise ImportRefused(problem[0], column=column.name, remedy=problem[1])
        if name in names:
            raise ImportRefused(
                f"two columns give the signal {name!r}", column=column.name,
                remedy="Leave --region out, so that each column keeps its own place",
            )  # fmt: skip
        names[name] = (column.term, place)
    return names


def _refuse_conflict(names: Collection[str], cadence: str, known: Mapping[str, str]) -> None:
    for name in names:
        if known.get(name, cadence) != cadence:
            raise ImportRefused(
                f"signal {name!r} is {spoken(known[name])} ({known[name]}) in the store, the file is {spoken(cadence)} "
                f"({cadence})",
                value=cadence, remedy="Restore the dates as they were exported: Google's weeks begin on Sunday",
            )  # fmt: skip


def _frame(grid: _Grid, names: list[str], exported: datetime) -> tuple[pd.DataFrame, int]:
    """Rows for the store, and how many periods were not over when the file was exported."""
    over = grid.end <= np.datetime64(exported.date(), "D")
    if not over.any():
        raise ImportRefused("no period of the file is over", value=str(grid.end[0]), remedy="Export a longer span")
    size = int(over.sum())
    frame = pd.DataFrame(
        {
            "signal": pd.Series(np.repeat(names, size), dtype="str"),
            "start": np.tile(grid.start[over].astype("datetime64[us]"), len(names)),
            "end": np.tile(grid.end[over].astype("datetime64[us]"), len(names)),
            "value": grid.values[over].T.ravel(),
        }
    )
    frame = frame[frame["value"].notna()].reset_index(drop=True)
    known_at = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    return frame.assign(known_at=known_at, window=window_label(exported), is_partial=False), int((~over).sum())


def _batch(
    frame: pd.DataFrame, names: Mapping[str, tuple[str, str]], cadence: str, categories: list[str]
) -> Batch:  # fmt: skip
    signals = pd.DataFrame(
        {
            "signal": list(names),
            "name": [f"Search interest in {term}, {place}" for term, place in names.values()],
            "region": [place for _, place in names.values()],
        },
        dtype="str",
    ).assign(
        source="google_trends",
        unit="largest value of the window = 100",
        cadence=cadence,
        aggregation="mean",
        scale="window",
        publication_lag=LAG.as_unit("us"),
        future_known=False,
        licence=LICENCE,
    )
    candidates = pd.DataFrame(list(product(categories, names)), columns=["category", "signal"], dtype="str")
    sha = payload_sha(frame, signals, candidates)
    return Batch("google_trends", signals=signals, observations=frame, candidates=candidates, payload_sha=sha)


def _notes(
    export: Export,
    grid: _Grid,
    names: Mapping[str, tuple[str, str]],
    frame: pd.DataFrame,
    dropped: int,
    taken: datetime | None,
) -> list[str]:
    first, last = frame["start"].min(), frame["end"].max() - pd.Timedelta(days=1)
    notes = [
        f"{counted(len(frame), 'value')} of {counted(len(names), 'signal')}, {spoken(grid.cadence)} ({grid.cadence}), "
        f"from {first:%Y-%m-%d} to {last:%Y-%m-%d}.",
        *([grid.note] if grid.note else []),
        *export.notes,
    ]
    if export.low:
        notes.append(f"{counted(export.low, 'value')} written as <1 taken as 0.5.")
    if dropped:
        notes.append(f"{counted(dropped, 'period')} not over when the file was exported left out.")
    if taken is not None:
        notes.append(
            f"Taken as exported on {taken:%Y-%m-%d}, where its last period ends; a newer window in the store stays in "
            "use. If it was exported before, its last row is a part only: say when (known at)."
        )
    strange = sorted({place for _, place in names.values() if not re.fullmatch(PLACE, place)})
    if strange:
        notes.append(f"Place {strange[0]!r} was kept as it is written; give --region with its code, such as US.")
    if len(names) > 1:
        notes.append("The terms share one scale: exported one by one, small ones would be finer.")
    return [*notes, f"Publication is taken as {LAG.days} days after each period (assumed_lag). {LICENCE}."]
