"""The law of the store to its end: rows known after T, randomised or deleted, change no byte of a forecast as of T."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast import forecast
from signals.store import Batch, Store, open_snapshot
from tests.signals.store_frames import NOW, categories, signals

WEEKS = 150
START = pd.date_range("2023-11-06", periods=WEEKS, freq="7D", unit="us")
DAY = pd.Timedelta(days=1)


def history(name: str, label: str, value: str, lag_days: int, seed: int) -> pd.DataFrame:
    """A seasonal series published `lag_days` after each week, and revised sixty days later."""
    rng = np.random.default_rng(seed)
    level = 100 + 20 * np.sin(2 * np.pi * np.arange(WEEKS) / 52) + rng.normal(0, 5, WEEKS)
    first = pd.DataFrame({name: label, "start": START, "end": START + 7 * DAY, value: level})
    first["known_at"] = first["end"] + lag_days * DAY
    revised = first.assign(**{value: level * rng.uniform(0.9, 1.1, WEEKS)}, known_at=first["known_at"] + 60 * DAY)
    both = pd.concat([first, revised])
    return both[both["known_at"] <= NOW]


def perturbed(rows: pd.DataFrame, value: str, as_of: datetime, seed: int) -> pd.DataFrame:
    """The same rows; of those known after `as_of` a third deleted, a third withdrawn, a third changed."""
    rng = np.random.default_rng(seed)
    fate = np.where(rows["known_at"] > as_of, rng.integers(1, 4, len(rows)), 0)
    changed = rows[value].mask(fate == 2).mask(fate == 3, rng.uniform(0, 1e6, len(rows)))
    return rows.assign(**{value: changed})[fate != 1]


def answer(sales: pd.DataFrame, observations: pd.DataFrame, as_of: datetime) -> str:
    """Fingerprint of a forecast from a store that holds these rows."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        with Store.open(home) as store:
            meta = {"categories": categories("Shoes"), "signals": signals("search interest")}
            store.append(Batch("test", sales=sales, observations=observations, **meta), NOW)
            store.publish()
        snapshot = open_snapshot(home)
        past = snapshot.sales("Shoes", as_of, vintages=True)
        history = pd.DataFrame({"ds": past["end"] - DAY, "y": past["quantity"], "known_at": past["known_at"]})
        outside = snapshot.observations(["search interest"], as_of, vintages=True).drop(columns="known_basis")
        result = forecast(history, 8, signals=outside, frequency="W-SUN", as_of=pd.Timestamp(as_of), category="Shoes")
    assert len(result.to_frame()) == 8
    canonical = {key: part for key, part in result.to_dict().items() if key != "timing_ms"}
    return hashlib.sha256(json.dumps(canonical).encode()).hexdigest()


@settings(max_examples=4, deadline=None)
@given(week=st.integers(110, WEEKS - 4), seed=st.integers(0, 1000))
def test_a_forecast_as_of_t_rests_on_what_was_known_by_t(week: int, seed: int) -> None:
    as_of = (START[week] + 2 * DAY).to_pydatetime()
    sales = history("category", "Shoes", "quantity", 10, seed)
    observations = history("signal", "search interest", "value", 1, seed + 1)
    kept = answer(sales, observations, as_of)
    changed = (perturbed(sales, "quantity", as_of, seed), perturbed(observations, "value", as_of, seed))
    assert len(changed[0]) < len(sales)  # some of the future was there to be lost
    assert len(changed[1]) < len(observations)
    assert answer(*changed, as_of) == kept
