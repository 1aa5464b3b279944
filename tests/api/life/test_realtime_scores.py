"""Real sales as they were printed week by week: scores against the first print and the last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from api.life.ladder import steps_of, sums
from api.life.scores import Chosen, losses, scores
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.life.past import issue, score

TASK = Path(__file__).parents[4] / "shared" / "bench" / "tasks" / "us_spending_realtime"

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.shared,
    pytest.mark.skipif(not TASK.exists(), reason="the shared benchmark is not there"),
]
NAME = "Grocery and food stores"
MOMENTS = pd.date_range("2021-03-03 12:00", periods=26, freq="14D")


def fill(home: Path) -> pd.DataFrame:
    """One series with all its vintages, and its signals; the sales."""
    sales, values = (
        pd.read_parquet(TASK / f"{name}.parquet").query("series == @NAME") for name in ("sales", "signals")
    )
    sales = sales.drop_duplicates(["ds", "known_at"], keep="last")  # two prints of one day
    assert len(sales)
    day, week = pd.Timedelta(days=1), pd.Timedelta(days=7)
    spans = {"start": sales["ds"] + day - week, "end": sales["ds"] + day}
    sold = sales.rename(columns={"series": "category", "y": "quantity"}).assign(**spans, source="test")
    seen = values.assign(start=values["ds"] + day - week, end=values["ds"] + day)
    names = seen["signal"].unique()
    submit(home, Batch(
        "test",
        sales=sold[["category", "start", "end", "quantity", "known_at", "source"]],
        categories=pd.DataFrame({"category": [NAME], "frequency": ["W-SUN"]}),
        signals=pd.DataFrame({"signal": names, "source": "test", "aggregation": "mean", "future_known": False}),
        observations=seen[["signal", "start", "end", "value", "known_at"]],
        candidates=pd.DataFrame({"category": NAME, "signal": names}),
    ))  # fmt: skip
    return sales


def test_scores_follow_the_prints(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    sales = fill(tmp_path).sort_values(["ds", "known_at"])
    issue(settings, [moment.to_pydatetime() for moment in MOMENTS], NAME)
    done = score(settings)
    assert done.forecasts == len(MOMENTS)
    first, latest = scores(settings, Chosen(basis="first")), scores(settings, Chosen())
    assert len(first) == len(latest) > 100
    printed, by_now = (sales.drop_duplicates("ds", keep=keep).set_index("ds")["y"] for keep in ("first", "last"))
    assert first["actual"].tolist() == printed[first["period"]].tolist()
    assert latest["actual"].tolist() == by_now[latest["period"]].tolist()
    assert np.abs(first["actual"] - latest["actual"]).mean() > 0.1  # they were revised
    for _, row in latest.iterrows():
        known = sales[sales["known_at"] <= row["as_of"]].drop_duplicates("ds", keep="last").set_index("ds")["y"]
        assert (row["origin"], row["naive"]) == (known.index[-1], known.iloc[-1])
    steps = {one.step: one for one in steps_of(sums(settings, Chosen()))}
    error = (latest["system"] - latest["actual"]).abs().sum() / latest["actual"].sum()
    assert steps["system"].wape == pytest.approx(error)
    assert steps["system"].origins == latest["origin"].nunique()
    everything = losses(settings, NAME, lead=None)
    assert len(losses(settings, NAME, lead=None, moment=MOMENTS[13].to_pydatetime())) < len(everything)
