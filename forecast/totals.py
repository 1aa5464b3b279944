"""Totals of a tree: their histories, and their forecasts where leaves below them are new or end.

A leaf is `new` here where its own history does not tell its forecast: it borrows from others, begins or ends. A total
is then forecast from the other leaves, and the forecasts of the new ones are added to it: its own history would know
nothing of what begins, and go on with what ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from forecast import explain, intervals
from forecast import frequency as freq
from forecast.backtest import untested
from forecast.configuration import Configuration
from forecast.events import Event, cleaned
from forecast.explain import LEVEL
from forecast.frequency import Days
from forecast.problem import bridge
from forecast.result import EngineUsed, Forecast
from forecast.series import versions
from forecast.transform import FloatArray, choose

NAME = "sum"
DRIVER = "below/"  # and the name of a new leaf
_MEDIAN = intervals.PROBABILITIES.size // 2


def known_sales(history: pd.DataFrame, frequency: str, as_of: pd.Timestamp | None) -> pd.Series:
    """The sales that were over and known at a moment, by label, from the first known one to the last; NaN in gaps."""
    none = pd.Series([], index=pd.DatetimeIndex([]), dtype=float)
    if history.empty:
        return none
    found = versions(history, frequency, None, as_of)
    ds, y, _ = found.complete(as_of)
    known = np.flatnonzero(np.isfinite(y))
    if not known.size:
        return none
    ds, y = ds[known[0] : known[-1] + 1], y[known[0] : known[-1] + 1]
    whole = pd.DatetimeIndex(freq.between(ds[0], ds[-1], found.frequency))
    return pd.Series(y, index=pd.DatetimeIndex(ds)).reindex(whole)


def cleaned_versions(
    history: pd.DataFrame, frequency: str, as_of: pd.Timestamp | None, events: Sequence[Event]
) -> pd.DataFrame:
    """A history, `ds, y, known_at`, without events, whose periods are bridged: they are no gaps in that of a total.

    Raises HistoryError, and OptionError for an event that is none.
    """
    found = versions(history, frequency, None, as_of)
    known = found.read(as_of)
    without, applied = cleaned(found, known, events)
    y = without.y
    if applied:
        rest = without.read(as_of)
        transform = choose(rest.y)
        whole = transform.inverse(bridge(transform.forward(rest.y), rest.season_lengths))
        gone = np.isnan(without.y) & np.isfinite(found.y) & (found.ds <= rest.ds[-1]) & (found.ds >= rest.ds[0])
        y = np.where(gone, whole[np.clip(np.searchsorted(rest.ds, found.ds), 0, rest.ds.size - 1)], y)
    return pd.DataFrame({"ds": pd.DatetimeIndex(found.ds), "y": y, "known_at": found.known_at})


def summed_versions(leaves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """`ds, y, known_at` of a total from those of its leaves: a version whenever one of a leaf became known.

    A period has its first when it is known of all of them; before its first sale a leaf sold nothing.
    """
    named = [one.set_index(["ds", "known_at"])["y"].fillna(np.inf).rename(i) for i, one in enumerate(leaves)]
    wide = pd.concat(named, axis=1).sort_index()  # infinite: withdrawn, which is not the same as not known yet
    wide = wide.groupby(level="ds").ffill()
    ds = wide.index.get_level_values("ds")
    for i, one in enumerate(leaves):
        wide.loc[ds < one["ds"][one["y"].notna()].min(), i] = 0.0
    total = wide[wide.notna().all(axis=1)].sum(axis=1)
    return total.where(np.isfinite(total)).rename("y").reset_index()


def summed(leaves: Sequence[pd.Series], frequency: str) -> pd.DataFrame:
    """`ds`, `y` of a total as far as all leaves are known: before its first sale a leaf sold nothing."""
    first, last = min(one.index[0] for one in leaves), min(one.index[-1] for one in leaves)
    ds = pd.DatetimeIndex(freq.between(np.datetime64(first, "D"), np.datetime64(last, "D"), frequency))
    total = np.zeros(ds.size)
    for one in leaves:
        total += np.where(ds < one.index[0], 0.0, one.reindex(ds).to_numpy(dtype=float))
    return pd.DataFrame({"ds": ds, "y": total})


def laid_on(made: Forecast, ds: Days, known: pd.Series) -> Forecast:
    """A forecast on other periods, none later than its own: `known` sales (by label) stand where it has begun by then.

    What is neither known nor forecast, a gap before newer sales, is held from before.
    """
    if np.array_equal(made.ds, ds):
        return made
    late = int(np.searchsorted(ds, made.ds[0])) if made.ds[0] > ds[0] else 0
    early = int(np.searchsorted(made.ds, ds[0]))
    labels = pd.DatetimeIndex(ds[:late])
    sold = known.ffill().reindex(labels, method="ffill").fillna(0.0).to_numpy()

    def on(values: FloatArray, before: FloatArray) -> FloatArray:
        return np.concatenate([before, values[early:]])

    none = np.zeros(late)
    return replace(
        made,
        ds=ds,
        kinds=freq.kinds(ds, made.frequency, made.as_of),
        mean=on(made.mean, sold),
        median=on(made.median, sold),
        grid=on(made.grid, np.broadcast_to(sold[:, None], (late, made.grid.shape[1]))),
        parts={name: on(part, sold if name == LEVEL else none) for name, part in made.parts.items()},
    )


def with_new(rest: Forecast | None, new: Mapping[str, Forecast], name: str) -> Forecast:
    """The forecast of a total: of the `rest` of its leaves, and the new ones below it, all on the same periods."""
    every = [*([rest] if rest is not None else []), *new.values()]
    first = every[0]
    mean = np.sum([one.mean for one in every], axis=0)
    parts = (rest.parts if rest is not None else {LEVEL: np.zeros(first.ds.size)}) | {
        DRIVER + leaf: one.mean for leaf, one in new.items()
    }
    spread = np.sqrt(np.sum([np.square(one.grid - one.median[:, None]) for one in every], axis=0))
    side = np.sign(np.arange(intervals.PROBABILITIES.size) - _MEDIAN)
    median = np.sum([one.median for one in every], axis=0)
    grid = median[:, None] + side * spread
    least = 0.0 if all((one.grid >= 0).all() for one in every) else -np.inf
    made = replace(
        first,
        category=name,
        mean=mean,
        median=median,
        grid=np.maximum(np.maximum.accumulate(grid, axis=1), least),
        parts=parts,
        importance=explain.importance(parts, {}),
        warnings=[*(rest.warnings if rest is not None else [])],
    )
    return made if rest is not None else _without_past(made, new)


def _without_past(made: Forecast, new: Mapping[str, Forecast]) -> Forecast:
    """A total of nothing but new leaves."""
    reason = "the sum of the forecasts below it, all of which begin, end or borrow"
    return replace(
        made,
        engine=EngineUsed(NAME, Configuration(NAME).name, "champion", reason),
        history=summed_histories([one.history for one in new.values()], made.frequency),
        history_start=min(one.history_start for one in new.values()),
        history_end=min(one.history_end for one in new.values()),
        signals=[],
        events=(),
        backtest=untested(NAME, made.ds.size, made.levels),
    )


def summed_histories(histories: Sequence[pd.DataFrame], frequency: str) -> pd.DataFrame:
    """`ds`, `y` of those that were sold at all, as `summed`."""
    sold = [pd.Series(one["y"].to_numpy(), index=pd.DatetimeIndex(one["ds"])) for one in histories if len(one)]
    return summed(sold, frequency) if sold else pd.DataFrame({"ds": pd.DatetimeIndex([]), "y": []}, dtype=float)
