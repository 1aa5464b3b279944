"""Past origins of a category, and what a configuration would have lost from them, by what was known then."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from api.life.editions import Pause
from api.service import Inputs, history_frame, read_related, run
from forecast import Configuration, ForecastError
from forecast import frequency as freq
from forecast.engines import Wanted
from forecast.transform import FloatArray
from signals.store import Snapshot

log = logging.getLogger("groundswell")


@dataclasses.dataclass(frozen=True)
class Past:
    """What was known of a category's sales by a moment (UTC without a zone) and a data version."""

    snapshot: Snapshot
    category: str
    data_version: int
    moment: dt.datetime
    horizon: int


def origins_of(past: Past) -> list[dt.datetime]:
    """The moments at which something of one more period was first known, the oldest first."""
    record = past.snapshot.category(past.category, past.data_version)
    known = history_frame(past.snapshot, past.category, as_of=past.moment, data_version=past.data_version)
    known = known[known["y"].notna()]
    ends = freq.spans(known["ds"].to_numpy().astype("datetime64[D]"), record.frequency)[1]
    at = np.maximum(known["known_at"].to_numpy().astype("datetime64[us]"), ends.astype("datetime64[us]"))
    first = pd.Series(at, index=known["ds"]).groupby(level=0).min().cummax()
    return [moment.to_pydatetime() for moment in sorted(first.unique()) if moment <= past.moment]


def losses_of(
    past: Past, configuration: Configuration, origins: Sequence[dt.datetime], pause: Pause, *, whole: bool
) -> FloatArray:
    """Absolute errors of the median by origin and lead, (origins, horizon), NaN where not known or not made.

    Against what is known by the moment of `past`. `whole`: with all vintages, as requests are answered; else by the
    numbers as they were printed at the origin alone, which is several times faster and nearly the same.
    """
    actual = _actual(past)
    found = np.full((len(origins), past.horizon), np.nan)
    for row, origin in enumerate(origins):
        try:
            inputs = _inputs(past, origin)
            answer = run(inputs if whole else _bare(inputs), Wanted(configuration)).to_dict()["forecast"]
        except ForecastError as error:  # such as an engine that needs a longer history
            log.debug("%s cannot forecast %s as of %s: %s", configuration.name, past.category, origin, error)
        else:
            said = pd.Series({pd.Timestamp(one["period"]): one["median"] for one in answer})
            found[row, : len(said)] = (said - actual.reindex(said.index)).abs().to_numpy()[: past.horizon]
        pause()
    return found


def _actual(past: Past) -> pd.Series:
    known = history_frame(past.snapshot, past.category, as_of=past.moment, data_version=past.data_version)
    return known.drop_duplicates("ds", keep="last").set_index("ds")["y"]


@lru_cache(maxsize=64)  # one configuration after the other is tried on the same origins
def _inputs(past: Past, origin: dt.datetime) -> Inputs:
    return read_related(
        past.snapshot, past.category, past.horizon, as_of=origin, data_version=past.data_version, from_origin=False
    )


def _bare(inputs: Inputs) -> Inputs:
    history = inputs.history.drop_duplicates("ds", keep="last").drop(columns="known_at")
    if inputs.signals is None:
        return dataclasses.replace(inputs, history=history)
    newest = inputs.signals.drop_duplicates(["signal", "start"], keep="last").drop(columns="known_at")
    return dataclasses.replace(inputs, history=history, signals=newest)
