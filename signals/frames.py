"""From what a connector found to the batch that the store takes; a parser's slip is caught here, not in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from signals.batch import Batch
from signals.connector import COLUMNS, OPTIONAL, Connector, Drift, Observations, Pull, Signal

HALVED, DOUBLED = 0.5, 2.0
OLDEST = datetime(1700, 1, 1)  # a value from before it is a date misread


def check_observations(found: Observations, pull: Pull, signals: Mapping[str, Signal], now: datetime) -> None:
    """Drift where rows are not what the pull may yield: strange signals or columns, twice the same, not finite."""
    frame = found.frame
    if missing := [name for name in COLUMNS if name not in frame]:
        raise Drift("the parser gives no such column", missing[0])
    if strange := [name for name in frame.columns if name not in (*COLUMNS, *OPTIONAL)]:
        raise Drift("the parser gives a column that the store has not", str(strange[0]))
    if others := sorted(set(frame["signal"]) - set(pull.signals)):
        raise Drift("a signal that was not asked for", "signal", others[0])
    key = [name for name in ("signal", "window", "start", "known_at") if name in frame]
    twice = frame.duplicated(key)
    if twice.any():
        row = frame[twice].iloc[0]
        raise Drift("two values for one period", str(row["signal"]), f"{row['start']:%Y-%m-%d}")
    if np.isinf(frame["value"].to_numpy(dtype="float64")).any():
        raise Drift("a value that is not finite", "value")
    if (frame["start"] < OLDEST).any():
        raise Drift(f"a value of a period before {OLDEST:%Y}", "start", str(frame["start"].min()))
    ahead = [name for name in pull.signals if signals[name].future_known]
    early = frame[(frame["start"] > now) & ~frame["signal"].isin(ahead)]
    if len(early):
        raise Drift("a value of a period that has not begun", str(early["signal"].iloc[0]), str(early["start"].iloc[0]))


def check_records(found: Observations, usual: Mapping[str, float | None]) -> dict[str, float]:
    """From how many records values are made, by signal; Drift where that has halved or doubled since the last pull."""
    if "records" not in found.frame:
        return {}
    medians = found.frame.groupby("signal")["records"].median()
    counts = {str(signal): float(count) for signal, count in medians.items()}
    for signal, count in counts.items():
        before = usual.get(signal)
        if before and not HALVED <= count / before <= DOUBLED:
            raise Drift(
                f"values are made from {count:g} records, {before:g} before: the source has changed what it counts; "
                "if that is right, pull it with --accept",
                signal,
            )
    return counts


def batch_of(
    connector: Connector,  # type: ignore[type-arg]
    signals: Sequence[Signal],
    pull: Pull,
    found: Observations,
    categories: Sequence[str],
    payload_sha: str,
    now: datetime,
) -> Batch:
    """Rows, what is said of their signals, whom they may serve, and the cursors: stored together or not at all.

    A period that is not over is partial, whatever the parser says, unless the future of its signal is known.
    """
    named = [signal for signal in signals if signal.signal in pull.signals]
    names = [signal.signal for signal in named]
    rows = found.frame.drop(columns="records", errors="ignore")
    running = (rows["end"] > now) & ~rows["signal"].isin([one.signal for one in named if one.future_known])
    if running.any():
        said = rows["is_partial"] if "is_partial" in rows else pd.Series(pd.NA, rows.index, dtype="boolean")
        rows = rows.assign(is_partial=said.astype("boolean").mask(running, True))
    return Batch(
        connector.name,
        signals=_described(connector, named, found),
        observations=rows if len(rows) else None,
        candidates=pd.DataFrame(
            [(category, name) for category in categories for name in names], columns=["category", "signal"], dtype="str"
        ),
        cursors=pd.DataFrame({"signal": pd.Series(names, dtype="str"), "through": _moments(pull.through, len(names))}),
        payload_sha=payload_sha,
    )


def _described(connector: Connector, signals: Sequence[Signal], found: Observations) -> pd.DataFrame:  # type: ignore[type-arg]
    facts = [found.attributes.get(signal.signal) for signal in signals]
    texts = {
        "signal": [signal.signal for signal in signals],
        "source": [connector.name] * len(signals),
        **{name: [getattr(one, name) or None for one in signals] for name in ("name", "region", "unit", "cadence")},
        **{name: [getattr(one, name) for one in signals] for name in ("aggregation", "scale")},
        "licence": [connector.about.licence] * len(signals),
        "attributes": [json.dumps(dict(fact), sort_keys=True) if fact else None for fact in facts],
    }
    frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in texts.items()})
    lags = pd.Series([signal.publication_lag for signal in signals], dtype="timedelta64[us]")
    ahead = pd.Series([signal.future_known for signal in signals], dtype="boolean")
    # Plans and holidays have no lag of their own: the store takes them to have been known a year ahead.
    return frame.assign(publication_lag=lags.mask(ahead & (lags == pd.Timedelta(0))), future_known=ahead)


def _moments(moment: datetime, count: int) -> pd.Series:
    return pd.Series([pd.Timestamp(moment)] * count, dtype="datetime64[us]")
