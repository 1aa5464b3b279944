"""Reading ALFRED: which vintages a series has, and what each of them said.

Answers about observations are cut to the span of real time that was asked for, so a `realtime_start` may be no more
than where the question began. Therefore spans begin and end on vintage dates, which were listed first, and each begins
where the one before ended: a date that is stored is always one on which the series was published.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from signals.connector import Drift, Payload, Request

SPAN = 1500  # vintages asked for at once; the source refuses more than 2,000
ROWS = 100_000  # observations or vintages of one answer at most
LISTING, READING = "/series/vintagedates", "/series/observations"
_ZONE = "America/Chicago"  # of the Federal Reserve Bank of St. Louis: a vintage counts as known when its day ends there
_DATES = ("date", "realtime_start", "realtime_end")


def listing(url: str, params: Mapping[str, str]) -> Request:
    """The first question: on which days was the series published?"""
    return Request(url + LISTING, {**params, "limit": "10000"})


def next_request(payloads: Sequence[Payload], since: str) -> Request | None:
    """What to ask after these answers: the rest of the list of vintages, then what each span of those wanted said.

    Wanted are the vintages from the day `since` on, and the one before, which tells what they took back.
    """
    last = _of(payloads, LISTING)[-1]
    dates = vintages(payloads)
    if len(dates) < _count(last):
        return Request(last.request.url, {**last.request.params, "offset": str(len(dates))})
    url = last.request.url.removesuffix(LISTING) + READING
    for start, end in _spans(_wanted(dates, since)):
        pages = [page for page in _of(payloads, READING) if page.request.params["realtime_start"] == start]
        got = sum(len(_rows(page)) for page in pages)
        if not pages or got < _count(pages[-1]):
            params = {key: last.request.params[key] for key in ("series_id", "file_type", "api_key")}
            span = {"realtime_start": start, "realtime_end": end, "limit": str(ROWS), "offset": str(got)}
            return Request(url, params | span)
    return None


def vintages(payloads: Sequence[Payload]) -> list[str]:
    """The days on which the series was published, in order of time; Drift where the list makes no sense."""
    dates: list[str] = []
    for payload in _of(payloads, LISTING):
        page = _field(payload, "vintage_dates", list)
        if not all(isinstance(date, str) for date in page) or (not page and len(dates) < _count(payload)):
            raise Drift("dates were expected", "vintage_dates", page)
        dates += page
    days(pd.Series(dates, dtype="str"), "vintage_dates")
    if dates != sorted(set(dates)):
        raise Drift("dates in order of time, each once, were expected", "vintage_dates", dates[:3])
    return dates


def read(payloads: Sequence[Payload], since: str) -> pd.DataFrame:
    """What each wanted vintage changed: columns date, value (NaN where it took it back) and known_at (UTC).

    Raises Drift where answers are missing, or tell of a date that no vintage has.
    """
    if next_request(payloads, since) is not None:
        raise Drift("not all that was promised was answered", "count")
    frame = pd.DataFrame(_cells(payloads), columns=[*_DATES, "value", "asked_to"], dtype="str")
    dates = pd.Series(_wanted(vintages(payloads), since), dtype="str")
    if not frame["realtime_start"].isin(dates).all():
        strange = frame.loc[~frame["realtime_start"].isin(dates), "realtime_start"].iloc[0]
        raise Drift("no vintage has this date", "observations.realtime_start", strange)
    frame["value"] = numbers(frame["value"], "observations.value")
    # Where two spans meet both tell the same; the later one knows how it went on.
    frame = frame.drop_duplicates(["date", "realtime_start", "value"], keep="last")
    frame = frame.sort_values(["date", "realtime_start"])
    if frame.duplicated(["date", "realtime_start"]).any():
        raise Drift("two values of one vintage", "observations.value")
    frame = pd.concat([frame[["date", "realtime_start", "value"]], _taken_back(frame, dates)])
    return pd.DataFrame(
        {
            "date": days(frame["date"], "observations.date"),
            "value": frame["value"],
            "known_at": _known_at(days(frame["realtime_start"], "observations.realtime_start"), payloads),
        }
    ).reset_index(drop=True)


def _wanted(dates: list[str], since: str) -> list[str]:
    return dates[max(bisect_left(dates, since) - 1, 0) :]


def _spans(dates: Sequence[str]) -> list[tuple[str, str]]:
    """First and last vintage of each question; each begins where the one before ended."""
    last = len(dates) - 1
    return [(dates[i], dates[min(i + SPAN, last)]) for i in range(0, max(last, 1), SPAN)] if dates else []


def _of(payloads: Sequence[Payload], path: str) -> list[Payload]:
    return [payload for payload in payloads if payload.request.url.endswith(path)]


def _field(payload: Payload, name: str, kind: type) -> Any:
    body = payload.json()
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Drift(f"a {kind.__name__} was expected", name, value if isinstance(body, dict) else body)
    return value


def _count(payload: Payload) -> int:
    return int(_field(payload, "count", int))


def _rows(payload: Payload) -> list[Any]:
    rows: list[Any] = _field(payload, "observations", list)
    if not rows and int(payload.request.params["offset"]) < _count(payload):
        raise Drift("rows were promised, none came", "observations", payload.body[:80])
    return rows


def _cells(payloads: Sequence[Payload]) -> list[list[Any]]:
    """Date, realtime_start, realtime_end and value of each row, and where the span ended that was asked for."""
    cells = []
    for page in _of(payloads, READING):
        for row in _rows(page):
            found = [row.get(name) if isinstance(row, dict) else None for name in (*_DATES, "value")]
            if not all(isinstance(text, str) for text in found):
                raise Drift(f"texts {', '.join(_DATES)} and value were expected", "observations", row)
            cells.append([*found, page.request.params["realtime_end"]])
    return cells


def _taken_back(frame: pd.DataFrame, dates: pd.Series) -> pd.DataFrame:
    """Values that a vintage no longer had, as rows without a value; `frame` is sorted by date and vintage."""
    after = np.searchsorted(dates.to_numpy(dtype="U10"), frame["realtime_end"].to_numpy(dtype="U10"), side="right")
    vintage = dates.reindex(after).set_axis(frame.index)
    following = frame.groupby("date")["realtime_start"].shift(-1)
    gone = (frame["realtime_end"] < frame["asked_to"]) & vintage.notna() & (following.isna() | (following > vintage))
    return frame.loc[gone, ["date"]].assign(realtime_start=vintage[gone], value=np.nan)


def numbers(texts: pd.Series, field: str) -> pd.Series:
    """Values, NaN for the "." or the blank of a missing one; Drift for anything else that is no number."""
    try:
        values = pd.to_numeric(texts.mask(texts.isin([".", ""]))).astype("float64")
    except ValueError as error:
        raise Drift(str(error).split(", at")[0], field) from error
    if np.isinf(values).any():
        raise Drift("a number that one can count with was expected", field, texts[np.isinf(values)].iloc[0])
    return values


def days(texts: pd.Series, field: str) -> pd.Series:
    """Dates as moments; Drift where one is written in another way."""
    try:
        return pd.to_datetime(texts, format="%Y-%m-%d").astype("datetime64[us]")
    except ValueError as error:
        raise Drift(f"dates such as 2026-11-25 were expected ({str(error).split(', at')[0]})", field) from error


def _known_at(vintage: pd.Series, payloads: Sequence[Payload]) -> pd.Series:
    """The end of each day in St. Louis, in UTC; now where that is yet to come, for it has been seen."""
    ends = (vintage + pd.Timedelta(days=1)).dt.tz_localize(_ZONE).dt.tz_convert("UTC").dt.tz_localize(None)
    now = pd.Timestamp(payloads[-1].fetched_at)
    return ends.mask(ends > now, now).astype("datetime64[us]")
