"""The store's signals in calls without dates: joined by item, laid on rolling buckets, as known at the work date."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.erp.bc_calendar import Buckets
from signals.store import Batch, submit
from tests.api.erp.exchange import answer, asked, today

SIGNAL = "promotions"
EARLY = pd.Timestamp("2000-01-01")


def days_between(first: dt.date, last: dt.date) -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq="D", unit="us")


def promoted(days: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One in three days, in no rhythm that a season could know: 0 or 1 a day."""
    blocks = days.to_numpy().astype("datetime64[D]").astype(int) // 9
    return (np.random.default_rng(5).random(200_000)[blocks] < 1 / 3).astype(float)


def store(home: Path, known_at: pd.Timestamp, calendar: str | None = None) -> None:
    """A category "Garden" for the item 1896-S, with one signal that is known ahead, from `known_at` on."""
    days = days_between(today() - dt.timedelta(days=9000), today() + dt.timedelta(days=500))
    observations = pd.DataFrame(
        {
            "signal": SIGNAL,
            "start": days,
            "end": days + pd.Timedelta(days=1),
            "value": promoted(days),
            "known_at": pd.Series([known_at] * len(days), dtype="datetime64[us]"),
        }
    )
    category = {
        "category": "Garden",
        "frequency": "D",
        "unit": "pieces",
        "timezone": None,
        "calendar": calendar,
        "parent": None,
        "attributes": json.dumps({"item": ["1896-S", 70000]}),
    }
    submit(
        home,
        Batch(
            "test",
            categories=pd.DataFrame([category]),
            signals=pd.DataFrame({"signal": [SIGNAL], "source": "test", "aggregation": "sum", "future_known": True}),
            observations=observations,
            candidates=pd.DataFrame({"category": ["Garden"], "signal": [SIGNAL]}),
        ),
    )


def sales(seasonality: int, work_date: dt.date, periods: int, ahead: int) -> tuple[list[float], list[float]]:
    """Sales of the buckets before and after a work date that follow the promotions of their true days."""
    buckets = Buckets(seasonality, work_date + dt.timedelta(days=1))
    edges = buckets.first_days(np.arange(-periods, ahead + 1))
    days = days_between(edges[0].item(), edges[-1].item())
    total = np.diff(np.append(0, np.cumsum(promoted(days)))[(edges - edges[0]).astype(int)])
    length = np.diff(edges).astype(int)
    noise = np.random.default_rng(1).normal(0, 1, len(total))
    quantity = np.round(100 * np.exp(1.2 * (total / length - 1 / 3)) + noise, 3)
    return quantity[:periods].tolist(), quantity[periods:].tolist()


def kept(client: TestClient, item: str) -> dict[str, Any]:
    issued = client.app.state.ledger.last(item)  # type: ignore[attr-defined]
    found: dict[str, Any] = json.loads(issued.answer)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("garden")
    store(path, EARLY, calendar="US")
    return path


@pytest.mark.parametrize("seasonality", [52, 12])
@pytest.mark.parametrize("anchor", ["2026-11-24", "2026-05-30", "2026-08-30"])
def test_a_forecast_follows_a_signal_over_its_true_days(
    seasonality: int, anchor: str, home: Path, client_of: Callable[..., TestClient]
) -> None:
    past, future = sales(seasonality, dt.date.fromisoformat(anchor), 120, 6)
    with client_of(home) as client:
        rows = answer(client, asked(past, "1896-S", 6, seasonality), f"?anchor={anchor}")
        without = answer(client, asked(past, "UNKNOWN", 6, seasonality), f"?anchor={anchor}")
        answered = kept(client, "1896-S")
        unknown = kept(client, "UNKNOWN")
    assert [s["signal"] for s in answered["signals"] if s["admitted"]] == [SIGNAL]
    assert (answered["unit"], answered["data_version"]) == ("pieces", 1)
    assert (unknown["signals"], unknown["unit"], unknown["data_version"]) == ([], None, None)
    error, alone = (np.abs(np.array([row[2] for row in found]) - future).mean() for found in (rows, without))
    assert error < alone / 2


@pytest.mark.parametrize("item", ["1896-S", "1896-s", "garden", "GARDEN", "70000"])
def test_an_item_is_known_by_name_or_attribute_in_any_case(
    item: str, home: Path, client_of: Callable[..., TestClient]
) -> None:
    with client_of(home) as client:
        for seasonality in (365, 52, 12, 4):
            answer(client, asked([5.0, 7, 6, 8, 9, 7] * 4, item, seasonality=seasonality))
            assert {SIGNAL, "calendar/US"} == {signal["signal"] for signal in kept(client, item)["signals"]}


def test_years_are_forecast_without_signals_and_say_so(home: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(home) as client:
        assert len(answer(client, asked([5.0, 7, 6, 8, 9, 7], "1896-S", seasonality=1))) == 3
        answered = kept(client, "1896-S")
    assert answered["signals"] == []
    assert answered["frequency"] == "YS"
    assert "no signals are used for years" in answered["warnings"][-1]


def test_what_became_known_after_the_work_date_is_not_used(
    tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    work_date = today() - dt.timedelta(days=40)
    store(tmp_path, pd.Timestamp(work_date) + pd.Timedelta(days=2))
    past, _ = sales(52, work_date, 120, 6)
    with client_of(tmp_path) as client:
        answer(client, asked(past, "1896-S", 6, 52), f"?anchor={work_date}")
        before = kept(client, "1896-S")
        answer(client, asked(past, "1896-S", 6, 52), f"?anchor={work_date + dt.timedelta(days=2)}")
        after = kept(client, "1896-S")
    assert before["signals"] == []
    assert before["as_of"] == f"{work_date + dt.timedelta(days=1)}T00:00:00Z"
    # Where the week before or after a promotion is felt too, that is told as a signal of its own.
    assert after["signals"][0]["signal"] == SIGNAL
    assert {signal["signal"] for signal in after["signals"]} <= {SIGNAL, f"{SIGNAL} (before)", f"{SIGNAL} (after)"}


def test_a_damaged_store_only_takes_the_signals_away(
    tmp_path: Path, client_of: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    store(tmp_path, EARLY)
    for snapshot in (tmp_path / "snapshots").glob("*.duckdb"):
        snapshot.write_bytes(b"not a database")
    with client_of(tmp_path) as client:
        assert len(answer(client, asked([5.0, 7, 6, 8, 9, 7], "1896-S"))) == 3
    assert "forecasts are made without signals: " in caplog.text
