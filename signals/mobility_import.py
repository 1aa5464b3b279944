"""Import of the mobility archives of Apple (January 2020 to April 2022) and Google (February 2020 to October 2022).

Both have ended: they explain history and cannot serve a forecast of today. Values are daily. Google's signals end in
`/daily`, for the Economic Tracker already names the same measures by the week, such as google_mobility/parks/US.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from signals.batch import Batch
from signals.mobility_archive import APPLE, GOOGLE, Archive
from signals.mobility_files import Header, Part, ends_in_line, find_parts, read_header
from signals.mobility_places import Choice
from signals.mobility_read import Values, read_apple, read_google
from signals.prepared import Prepared, Progress, Steps, counted, payload_sha
from signals.refused import ImportRefused
from signals.rows import utc_now

Read = Callable[[Part, Header, Values], None]


def prepare_apple_mobility(
    source: Path | str,
    /,
    *,
    regions: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    categories: Collection[str] = ("*",),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Turn Apple's Mobility Trends Reports into daily signals apple_mobility/KIND/PLACE, 13 January 2020 = 100.

    Parameters
    ----------
    source: applemobilitytrends-*.csv, plain, gzipped or zipped, or a folder of them.
    regions: codes or names, such as US, Germany, US/Colorado; US/* also means all within, * everything. Without any,
        countries as a whole.
    kinds: driving, transit, walking; all by default.
    categories: which the signals may serve; * means every one.

    Raises ImportRefused: a file that breaks off or is of another kind, a region that is not in it, values that
    disagree.
    """
    asked = _Asked(APPLE, read_apple, Choice(regions), _kinds(APPLE, kinds), sorted(set(categories)), utc_now(now))
    return _prepare(source, asked, progress)


def prepare_google_mobility(
    source: Path | str,
    /,
    *,
    regions: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    categories: Collection[str] = ("*",),
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Turn Google's Community Mobility Reports into daily signals google_mobility/KIND/PLACE/daily, in percent.

    Parameters
    ----------
    source: Global_Mobility_Report.csv, a report of one country, Region_Mobility_Report_CSVs.zip, or a folder of such.
    regions: as for Apple; also ISO 3166-2 codes such as DE-TH and Google's place ids.
    kinds: retail_and_recreation, grocery_and_pharmacy, parks, transit_stations, workplaces, residential; all by
        default.
    categories: as for Apple.

    Raises ImportRefused as for Apple.
    """
    asked = _Asked(GOOGLE, read_google, Choice(regions), _kinds(GOOGLE, kinds), sorted(set(categories)), utc_now(now))
    return _prepare(source, asked, progress)


@dataclass(frozen=True)
class _Asked:
    archive: Archive
    read: Read
    choice: Choice
    kinds: list[str]
    categories: list[str]
    now: datetime


def _prepare(source: Path | str, asked: _Asked, progress: Progress | None) -> Prepared:
    archive, values, parts = asked.archive, Values(asked.choice, asked.kinds), find_parts(source)
    steps = Steps(progress, len(parts) + 2)
    for part in parts:
        steps.next(f"reading {part.name}")
        asked.read(part, _header(part, archive), values)
    steps.next("sorting")
    frame, doubled = _ordered(archive, values, asked)
    steps.next("forming the batch")
    batch = _batch(archive, frame, values, asked.categories)
    notes = [*_notes(archive, frame, values, doubled), *_breaks(parts)]
    steps.next("done")
    mapping = {"signal": ", ".join(archive.needed), "value": ", ".join(asked.kinds)}
    return Prepared(batch, mapping, notes, len(frame))


def _kinds(archive: Archive, kinds: Sequence[str] | None) -> list[str]:
    unknown = sorted(set(kinds or ()) - set(archive.kinds))
    if unknown:
        allowed = ", ".join(archive.kinds)
        raise ImportRefused(
            f"kind {unknown[0]!r} is not in {archive.title}", value=unknown[0], remedy=f"Allowed: {allowed}"
        )
    return [kind for kind in archive.kinds if not kinds or kind in kinds]


def _header(part: Part, archive: Archive) -> Header:
    header = read_header(part)
    missing = [column for column in archive.needed if column not in header.columns]
    if missing:
        raise ImportRefused(
            f"{part.name} is no file of {archive.title}: it has no column {missing[0]!r}",
            column=missing[0], value=", ".join(header.columns)[:200],
            remedy=f"The columns needed are {', '.join(archive.needed)}",
        )  # fmt: skip
    double = sorted({column for column in header.columns if header.columns.count(column) > 1})
    if double:
        raise ImportRefused(
            f"{part.name} has the column {double[0]!r} twice",
            column=double[0],
            remedy="Import the file as it was published",
        )
    return header


def _ordered(archive: Archive, values: Values, asked: _Asked) -> tuple[pd.DataFrame, int]:
    """Columns place, kind (numbers), start, value, in order; and how many values stood there more than once."""
    names = [place.name for place in values.places]
    meant = np.array(asked.choice.resolve(values.places, [*names, *values.others]), dtype=bool)
    if not values.count:
        raise ImportRefused("no value was found", remedy="Ask for other regions or kinds; * means every region")
    place, kind, day, value = (np.concatenate(one) for one in (values.place, values.kind, values.day, values.value))
    kept = np.flatnonzero(meant[place])
    kept = kept[np.lexsort((day[kept], kind[kept], place[kept]))]
    start = day[kept].astype("datetime64[us]")
    frame = pd.DataFrame({"place": place[kept], "kind": kind[kept], "start": start, "value": value[kept]})
    last = frame["start"].max()
    if last >= pd.Timestamp(asked.now.date()):
        raise ImportRefused(f"a value is dated {last:%Y-%m-%d}, which is not over", remedy="Correct the dates")
    return _without_doubles(archive, frame, names)


def _without_doubles(archive: Archive, frame: pd.DataFrame, places: list[str]) -> tuple[pd.DataFrame, int]:
    place, kind, start = (frame[name].to_numpy() for name in ("place", "kind", "start"))
    double = np.zeros(len(frame), dtype=bool)
    double[1:] = (place[1:] == place[:-1]) & (kind[1:] == kind[:-1]) & (start[1:] == start[:-1])
    value = frame["value"].to_numpy()
    wrong = np.flatnonzero(double[1:] & (value[1:] != value[:-1]))
    if len(wrong):
        row = wrong[0]
        raise ImportRefused(
            f"{list(archive.kinds)[kind[row]]} of {places[place[row]]} on {str(start[row])[:10]} is both "
            f"{value[row]:g} and {value[row + 1]:g}",
            remedy="Import versions of the archive one at a time, the oldest first",
        )
    return frame[~double].reset_index(drop=True), int(double.sum())


def _batch(archive: Archive, frame: pd.DataFrame, values: Values, categories: list[str]) -> Batch:
    width = len(archive.kinds)
    codes, series = np.unique(frame["place"].to_numpy() * width + frame["kind"].to_numpy(), return_inverse=True)
    signals = _signals(archive, codes, values)
    names = pd.Index(signals["signal"], dtype="str")
    observations = pd.DataFrame(
        {
            "signal": pd.Categorical.from_codes(series, categories=names),
            "start": frame["start"],
            "end": frame["start"] + pd.Timedelta(days=1),
            "value": frame["value"],
        }
    )
    candidates = pd.DataFrame(list(product(categories, names)), columns=["category", "signal"], dtype="str")
    sha = payload_sha(observations, signals, candidates)
    return Batch(archive.source, signals=signals, observations=observations, candidates=candidates, payload_sha=sha)


def _signals(archive: Archive, codes: np.ndarray[tuple[int], np.dtype[np.int64]], values: Values) -> pd.DataFrame:
    kinds = list(archive.kinds)
    pairs = [(values.places[code // len(kinds)], kinds[code % len(kinds)]) for code in codes]
    signals = pd.DataFrame(
        {
            "signal": [archive.signal(kind, place.name) for place, kind in pairs],
            "name": [f"{archive.kinds[kind]}, {place.shown}" for place, kind in pairs],
            "region": [place.region for place, _ in pairs],
        },
        dtype="str",
    ).assign(source=archive.source, unit=archive.unit, cadence="D", aggregation="mean", scale="absolute")
    return signals.assign(
        publication_lag=pd.Timedelta(archive.lag).as_unit("us"), future_known=False, licence=archive.licence
    )


def _notes(archive: Archive, frame: pd.DataFrame, values: Values, doubled: int) -> list[str]:
    series = len(frame[["place", "kind"]].drop_duplicates())
    first, last = frame["start"].min(), frame["start"].max()
    notes = [
        f"{counted(len(frame), 'value')} of {counted(series, 'signal')}, daily, {first:%Y-%m-%d} to {last:%Y-%m-%d}."
    ]
    notes.append(archive.ended)
    if values.others:
        notes.append(
            f"{counted(len(values.others), 'place')} left out; ask for some by regions, such as US/*, or for all by *."
        )
    if values.blanks:
        notes.append(f"{counted(values.blanks, 'blank')} left out: days or places for which nothing was published.")
    if doubled:
        notes.append(f"{counted(doubled, 'value')} stood there twice, alike, and were taken once.")
    notes.append(f"Publication is taken as {archive.lag.days} days after each day (assumed_lag).")
    return [*notes, f"Licence: {archive.licence}"]


def _breaks(parts: list[Part]) -> list[str]:
    """A file whose last line does not end may have been cut within its last number."""
    cut = [part.name for part in parts if not ends_in_line(part)]
    return [f"The last line of {name} does not end: its last number may be cut." for name in cut]
