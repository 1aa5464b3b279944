"""The record of a category that drift is looked for in: its scores period by period, its sales and its signals."""

from __future__ import annotations

import datetime as dt

import numpy as np
import orjson
import pandas as pd

from api.ledger import Ledger
from api.life.scores import Chosen, judged, scores
from api.service import history_frame, signals_frame
from api.settings import Settings
from forecast import frequency as freq
from forecast.drift import Record, Signal
from forecast.frequency import Days
from forecast.transform import FloatArray
from signals.store import Snapshot

LEADS = {"D": 14, "W": 4, "MS": 3, "QS": 2}  # the periods ahead that are watched: of a long horizon the near part
ANSWERS = 13  # of the last ones, whose admitted signals are watched
_COLUMNS = ("loss", "reference", "error", "covered80")


def record_of(settings: Settings, snapshot: Snapshot, category: str, moment: dt.datetime) -> Record | None:
    """What was known at a moment (UTC without a zone) of how a category's forecasts did; None: nothing was scored.

    Against each actual as it was first known, so that a later revision changes nothing that was found before.
    """
    frequency = snapshot.category(category).frequency
    found = scores(settings, Chosen((category,), basis="first", known_by=moment))
    frame = judged(found).assign(receipt=found["receipt"])
    frame = frame[frame["lead"] <= LEADS[freq.family(frequency)]]
    if frame.empty:
        return None
    means = frame.assign(covered80=frame["covered80"].astype("float64")).groupby("period")[list(_COLUMNS)].mean()
    seen = means.index.to_numpy().astype("datetime64[D]")
    ds = freq.between(seen[0], seen[-1], frequency)
    loss, reference, error, inside = (_laid(means[name].to_numpy(), seen, ds) for name in _COLUMNS)
    sales = _sales(snapshot, category, frequency, moment, ds)
    used = admitted(Ledger(settings), frame)
    signals = tuple(_signals(snapshot, category, frequency, moment, ds, used)) if used else ()
    return Record(ds, frequency, loss, reference, error, inside, sales, signals)


def _laid(values: FloatArray, labels: Days, ds: Days) -> FloatArray:
    """Values of some periods on all of `ds`, (n,), NaN where there is none."""
    place = np.searchsorted(ds, labels)
    inside = (place < ds.size) & (ds[np.minimum(place, ds.size - 1)] == labels)
    laid = np.full(ds.size, np.nan)
    laid[place[inside]] = values[inside]
    return laid


def _sales(snapshot: Snapshot, category: str, frequency: str, moment: dt.datetime, ds: Days) -> FloatArray:
    """All that was known of the sales up to the last period of the record; at least one entry a period of it."""
    known = history_frame(snapshot, category, as_of=moment).drop_duplicates("ds", keep="last")
    labels = known["ds"].to_numpy().astype("datetime64[D]")
    grid = freq.between(min(labels[0], ds[0]), ds[-1], frequency)
    return _laid(known["y"].to_numpy(dtype=float), labels, grid)


def admitted(ledger: Ledger, frame: pd.DataFrame) -> set[str]:
    """The signals that one of the last answers rests on; `frame` has receipt and origin."""
    used = set[str]()
    for receipt in frame.drop_duplicates("origin", keep="last").sort_values("origin")["receipt"].tail(ANSWERS):
        found = ledger.resolve(receipt)
        for one in orjson.loads(found.answer)["signals"] if found else ():
            if one["admitted"]:
                used |= {one["signal"], *one.get("members", ())}
    return used


def _signals(
    snapshot: Snapshot, category: str, frequency: str, moment: dt.datetime, ds: Days, used: set[str]
) -> list[Signal]:
    """The newest value of each that was known at the end of each period: whatever its delay, it stands still once dead.

    Not watched are those known ahead (a holiday, a promotion), which end with their last entry and no sooner, and those
    of which nothing was known in the first quarter of the record: they came too late to say how they usually behave.
    """
    frame = signals_frame(snapshot, category, as_of=moment)
    if frame is None:
        return []
    frame = frame[frame["signal"].isin(used) & ~frame["future_known"] & frame["value"].notna()]
    ends = pd.DataFrame({"at": pd.DatetimeIndex(freq.spans(ds, frequency)[1]).astype("datetime64[us]")})
    found = []
    for name, own in frame.sort_values(["known_at", "start"]).groupby("signal"):
        newest = own[own["start"] >= own["start"].cummax()]
        laid = pd.merge_asof(ends, newest, left_on="at", right_on="known_at")
        values = laid["value"].to_numpy(dtype=float)
        if np.isfinite(values[: ds.size // 4 + 1]).any():
            found.append(Signal(str(name), values))
    return found
