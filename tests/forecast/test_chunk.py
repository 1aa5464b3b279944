"""Many series at once have the numbers of `forecast()`, to the byte; a series that fails is a row."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from series_makers import signal, weekly_sales, weeks

from forecast import Forecast, forecast
from forecast.chunk import ChunkOptions, forecast_chunk
from forecast.chunk_tables import Chunk

N, HORIZON = 130, 5


def histories() -> dict[str, pd.DataFrame]:
    """Five series of different kinds."""
    gaps = weekly_sales(N, seed=2).drop(index=[7, 8, 60])
    unknown = weekly_sales(N, seed=3)
    unknown.loc[[0, 40, N - 1], "y"] = np.nan
    monthly = pd.DataFrame({"ds": pd.date_range("2015-03-15", periods=60, freq="MS"), "y": np.arange(60.0) % 12 + 5})
    days = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=150), "y": np.arange(150.0) % 7 + 1})
    return {"plain": weekly_sales(N), "gaps": gaps, "unknown": unknown, "monthly": monthly, "days": days}


def long(frames: dict[str, pd.DataFrame], shuffle: bool = False) -> pa.Table:
    frame = pd.concat([one.assign(unique_id=name) for name, one in frames.items()], ignore_index=True)
    if shuffle:
        frame = frame.sample(frac=1.0, random_state=1)
    return pa.Table.from_pandas(frame, preserve_index=False)


def offered(owner: str | None = None, seed: int = 0) -> pd.DataFrame:
    """A signal of weeks with a gap, one of days and one that is planned."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", "2026-11-20")
    frames = [
        signal("rain", rng.normal(size=len(days)), days, aggregation="sum", future_known=False),
        signal("search", rng.normal(size=N), weeks(N), aggregation="mean", future_known=False).drop(index=[30, 31]),
        signal("promo", rng.integers(0, 2, N + 9) * 1.0, weeks(N + 9, "2027-01-17"), aggregation="mean").assign(
            future_known=True
        ),
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame if owner is None else frame.assign(unique_id=owner)


def check(chunk: Chunk, name: str, expected: Forecast) -> None:
    """The rows of a series hold what `forecast()` says, to the byte."""
    answer = expected.to_dict()
    rows = chunk.periods.filter(pc.field("category") == name).to_pylist()
    assert len(rows) == len(answer["forecast"])
    for row, period in zip(rows, answer["forecast"], strict=True):
        assert (str(row["period"]), row["kind"]) == (period["period"], period["kind"])
        assert (row["value"], row["median"]) == (period["value"], period["median"])
        assert {k: [row[f"lo-{k}"], row[f"hi-{k}"]] for k in period["intervals"]} == period["intervals"]
        assert dict(row["contributions"]) == period["contributions"]
    [one] = chunk.series.filter(pc.field("category") == name).to_pylist()
    assert (one["status"], one["problem"]) == ("forecast", None)
    quality = answer["quality"]
    assert {score: one[score] for score in quality if score != "coverage"} == {
        score: value for score, value in quality.items() if score != "coverage"
    }
    assert dict(one["coverage"]) == quality["coverage"]
    assert json.loads(one["signals"]) == answer["signals"]
    assert one["admitted"] == [s["signal"] for s in answer["signals"] if s["admitted"]]
    assert (one["warnings"], one["configuration"]) == (answer["warnings"], answer["engine"]["configuration"])
    assert [str(one["history_start"]), str(one["history_end"])] == [answer["history"][k] for k in ("start", "end")]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", ["plain", "gaps", "unknown", "monthly", "days"])
def test_each_series_is_forecast_as_alone(name: str, shuffle: bool) -> None:
    chunk = forecast_chunk(long(histories(), shuffle), ChunkOptions(horizon=HORIZON))
    check(chunk, name, forecast(histories()[name], HORIZON))


def test_signals_for_all_and_of_one_series() -> None:
    own = offered("plain", seed=5).assign(signal=lambda frame: "own " + frame["signal"])
    table = pa.Table.from_pandas(pd.concat([offered(), own], ignore_index=True), preserve_index=False)
    chunk = forecast_chunk(long(histories()), ChunkOptions(horizon=HORIZON, levels=(50, 95)), table)
    both = pd.concat([offered(), own.drop(columns="unique_id")], ignore_index=True)
    check(chunk, "plain", forecast(histories()["plain"], HORIZON, signals=both, levels=(50, 95)))
    check(chunk, "gaps", forecast(histories()["gaps"], HORIZON, signals=offered(), levels=(50, 95)))


def test_candidates_choose_among_the_signals() -> None:
    table = pa.Table.from_pandas(offered(), preserve_index=False)
    candidates = pa.table({"category": ["plain", "plain", "days"], "signal": ["rain", "promo", "rain"]})
    chunk = forecast_chunk(long(histories()), ChunkOptions(horizon=HORIZON), table, candidates)
    chosen = offered().query("signal != 'search'")
    check(chunk, "plain", forecast(histories()["plain"], HORIZON, signals=chosen))
    check(chunk, "gaps", forecast(histories()["gaps"], HORIZON))


def test_a_candidate_that_no_signal_is_called_is_a_warning() -> None:
    table = pa.Table.from_pandas(offered(), preserve_index=False)
    candidates = pa.table({"category": ["plain", "plain", "plain"], "signal": ["rain", "snow", "promotion"]})
    chunk = forecast_chunk(long(histories()), ChunkOptions(horizon=HORIZON), table, candidates)
    rows = {row["category"]: row for row in chunk.series.to_pylist()}
    said = "candidates name signals that have no row for this series: promotion, snow"
    assert rows["plain"]["warnings"][0] == said
    assert said not in rows["gaps"]["warnings"]
    values = chunk.periods.filter(pc.equal(chunk.periods["category"], "plain"))["value"].to_pylist()
    expected = forecast(histories()["plain"], HORIZON, signals=offered().query("signal == 'rain'"))
    assert values == [period["value"] for period in expected.to_dict()["forecast"]]


def test_a_moment_hides_what_came_later() -> None:
    table = pa.Table.from_pandas(offered(), preserve_index=False)
    chunk = forecast_chunk(long(histories()), ChunkOptions(horizon=HORIZON, as_of="2026-10-14"), table)
    check(chunk, "plain", forecast(histories()["plain"], HORIZON, signals=offered(), as_of="2026-10-14"))


@pytest.mark.parametrize("part", ["sales", "signals"])
def test_versions_are_told_apart(part: str) -> None:
    def versions(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        known = frame.assign(known_at=frame["ds"] + pd.Timedelta(days=9))
        later = known.assign(known_at=known["known_at"] + pd.Timedelta(days=30), **{column: known[column] * 1.01})
        return pd.concat([known, later], ignore_index=True)

    history, signals = weekly_sales(N), offered()
    history, signals = (versions(history, "y"), signals) if part == "sales" else (history, versions(signals, "value"))
    table = pa.Table.from_pandas(signals, preserve_index=False)
    chunk = forecast_chunk(long({"plain": history}), ChunkOptions(horizon=HORIZON), table)
    check(chunk, "plain", forecast(history, HORIZON, signals=signals))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frame: frame.head(1), "history.ds: got 1 period"),
        (lambda frame: pd.concat([frame, frame.tail(1)]), "twice"),
        (lambda frame: frame.assign(y=np.nan), "known period"),
        (lambda frame: frame.assign(y=np.inf), "infinity"),
        (lambda frame: frame.assign(ds=frame["ds"].where(frame.index != 3)), "no date in row 3"),
        (lambda frame: frame.assign(ds=frame["ds"] + pd.to_timedelta(frame.index % 3, unit="D")), "wanted daily"),
    ],
    ids=["one period", "twice", "nothing known", "infinity", "no date", "odd dates"],
)
def test_a_series_that_fails_is_a_row_with_its_reason(spoil: Callable[[pd.DataFrame], pd.DataFrame], said: str) -> None:
    frames = {"bad": spoil(weekly_sales(N)), "plain": weekly_sales(N)}
    chunk = forecast_chunk(long(frames), ChunkOptions(horizon=HORIZON))
    bad, good = chunk.series.to_pylist()
    assert (bad["category"], bad["status"]) == ("bad", "failed")
    assert said in bad["problem"]
    assert good["status"] == "forecast"
    assert set(chunk.periods["category"].to_pylist()) == {"plain"}
    check(chunk, "plain", forecast(frames["plain"], HORIZON))


def test_a_chunk_of_failures_has_the_same_columns() -> None:
    good = forecast_chunk(long({"plain": weekly_sales(N)}), ChunkOptions(horizon=HORIZON))
    bad = forecast_chunk(long({"plain": weekly_sales(1)}), ChunkOptions(horizon=HORIZON))
    assert bad.periods.schema == good.periods.schema
    assert bad.series.schema == good.series.schema
    assert bad.periods.num_rows == 0


def test_signals_that_are_wrong_fail_their_series_only() -> None:
    own = offered("plain").assign(value=np.inf)
    table = pa.Table.from_pandas(own, preserve_index=False)
    frames = {name: histories()[name] for name in ("plain", "days")}
    bad, good = forecast_chunk(long(frames), ChunkOptions(horizon=HORIZON), table).series.to_pylist()
    assert (bad["status"], good["status"]) == ("failed", "forecast")
    assert "signals" in bad["problem"]
