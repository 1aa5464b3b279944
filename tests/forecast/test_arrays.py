"""Consecutive values without a frame are forecast to the byte as the same values in a frame."""

import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecast import ForecastError, SignalValues, Values, forecast

LABELS = {"D": "2023-01-02", "W-SUN": "2023-01-08", "W-WED": "2023-01-04", "MS": "2015-03-01", "QS": "2004-04-01"}
RNG = np.random.default_rng(11)


def made(frequency: str, count: int, seed: int = 0) -> tuple[dt.date, np.ndarray]:
    values = np.random.default_rng(seed).normal(100, 10, count)
    values[3] = np.nan
    return dt.date.fromisoformat(LABELS[frequency]), values


def frame(frequency: str, start: dt.date, values: np.ndarray, name: str) -> pd.DataFrame:
    return pd.DataFrame({"ds": pd.date_range(start, periods=len(values), freq=frequency), name: values})


def answer(*args: Any, **options: Any) -> str:
    found = forecast(*args, **options).to_dict()
    found.pop("timing_ms")
    return json.dumps(found)


@pytest.mark.parametrize("frequency", LABELS)
@pytest.mark.parametrize("as_of", [None, "2023-06-14T06:00:00"])
def test_the_answer_is_that_of_frames(frequency: str, as_of: str | None) -> None:
    start, sales = made(frequency, 60)
    names = {"rain": ("D", 500, False, "mean"), "promo": ("W-SUN", 120, True, "sum"), "gdp": ("QS", 90, False, "mean")}
    arrays, frames = [], []
    for seed, (name, (cadence, count, planned, how)) in enumerate(names.items()):
        first, values = made(cadence, count, seed)
        arrays.append(
            SignalValues(
                signal=name, start=first, frequency=cadence, values=values, future_known=planned, aggregation=how
            )
        )
        frames.append(frame(cadence, first, values, "value").assign(signal=name, future_known=planned, aggregation=how))
    ours = answer(Values(start=start, frequency=frequency, values=sales), 3, signals=arrays, as_of=as_of)
    theirs = answer(frame(frequency, start, sales, "y"), 3, signals=pd.concat(frames), as_of=as_of, frequency=frequency)
    assert ours == theirs


def test_values_may_be_a_list_with_gaps() -> None:
    values = [float(i % 7) for i in range(40)]
    listed: list[float | None] = [*values]
    listed[5] = None
    arrays = np.array(values)
    arrays[5] = np.nan
    found = [answer(Values(start=dt.date(2024, 1, 1), frequency="D", values=given), 2) for given in (listed, arrays)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": dt.date(2023, 1, 9)}, "history.start"),
        ({"frequency": "MS", "start": dt.date(2023, 1, 9)}, "history.start"),
        ({"frequency": "QS", "start": dt.date(2023, 2, 1)}, "history.start"),
        ({"frequency": "h"}, "frequency"),
        ({"values": []}, "history.values"),
        ({"values": [[1.0, 2.0]]}, "history.values"),
        ({"values": ["a", "b"]}, "history.values"),
        ({"values": [1.0, np.inf]}, "history.values"),
        ({"values": [1.0, 1e101]}, "history.values"),
        ({"values": [1.0, None, None]}, "history"),
    ],
)
def test_a_wrong_history_is_named(change: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"start": dt.date(2023, 1, 8), "frequency": "W-SUN", "values": RNG.normal(9, 1, 50)}
    with pytest.raises(ForecastError) as raised:
        forecast(Values(**given | change), 2)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": dt.date(2023, 1, 9)}, "signals[rain].start"),
        ({"values": [np.inf]}, "signals[rain].values"),
        ({"aggregation": "max"}, "signals[rain].aggregation"),
        ({"signal": "level"}, "signals.signal"),
    ],
)
def test_a_wrong_signal_is_named(change: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"start": dt.date(2023, 1, 8), "frequency": "W-SUN", "values": RNG.normal(9, 1, 50)}
    with pytest.raises(ForecastError) as raised:
        forecast(Values(**given), 2, signals=[SignalValues(**{"signal": "rain"} | given | change)])
    assert raised.value.field == field


def test_another_frequency_than_that_of_the_values_is_refused() -> None:
    history = Values(start=dt.date(2023, 1, 8), frequency="W-SUN", values=RNG.normal(9, 1, 50))
    with pytest.raises(ForecastError, match=r"frequency: got D; wanted that of the history"):
        forecast(history, 2, frequency="D")


def test_what_many_forecasts_share_is_out_of_reach() -> None:
    history = Values(start=dt.date(2024, 1, 7), frequency="W-SUN", values=np.arange(1.0, 61.0))
    first = forecast(history, 4)
    expected = first.ds.copy()
    first.ds[:] = np.datetime64("1970-01-01")
    assert (forecast(history, 4).ds == expected).all()
    with pytest.raises(ValueError, match="read-only"):
        history.labels[0] = np.datetime64("1970-01-01")
