"""The stack: what it weighs, what it leaves out and why, and that it computes nothing twice."""

import itertools

import numpy as np
import pandas as pd
import pytest
from series_makers import weekly_sales

from forecast import OptionError, forecast
from forecast.engines import Engine, Kept, Path, Problem, engine
from forecast.engines.detailed import Detailed
from forecast.engines.fast import Fast
from forecast.engines.seasonal_naive import SeasonalNaive
from forecast.engines.stack import APART, apart, weights
from forecast.trading_days import weekday_contrasts


class Last(Engine):
    """The last value, and a count of how often it was asked."""

    name = "last"
    summary = "the last value, again and again"
    uses_signals = False
    backtest_origins = 8

    def __init__(self, off: float = 0.0) -> None:
        self.off, self.asked = off, 0

    def predict(self, problem: Problem) -> Path:
        self.asked += 1
        level = np.full(problem.horizon, problem.z[-1] + self.off)
        return Path({"level": level, "trend": np.zeros(problem.horizon)})


class Far(Last):
    name = "far"

    def predict(self, problem: Problem) -> Path:
        return Path({"level": super().predict(problem).median + 0.4})


class Failing(Last):
    name = "failing"

    def predict(self, problem: Problem) -> Path:
        raise ZeroDivisionError("no pivot")


class Exploding(Last):
    name = "exploding"

    def predict(self, problem: Problem) -> Path:
        return Path({"level": super().predict(problem).median + 99.0})


SALES = weekly_sales(160)


def test_the_parts_add_up_and_the_answer_says_what_was_weighed() -> None:
    result = forecast(SALES, 6, engine=Detailed([Last(), SeasonalNaive()]))
    parts = result.contributions().drop(columns="ds").sum(axis=1)
    np.testing.assert_allclose(parts, result.mean, rtol=1e-9)
    assert "stacked from" in result.engine.reason
    assert result.quality.origins == 8


def test_a_member_that_fails_and_one_that_explodes_are_left_out_with_the_reason() -> None:
    result = forecast(SALES, 4, engine=Detailed([Last(), Failing(), Exploding()]))
    assert result.engine.reason.endswith("stacked from last 1.00")
    assert "the engine failing was left out of the stack: failed: ZeroDivisionError (no pivot)" in result.warnings
    assert any(w.startswith("the engine exploding was left out of the stack: exploded") for w in result.warnings)


def test_the_better_member_weighs_more() -> None:
    rng = np.random.default_rng(0)
    problems = [_walk(n, rng) for n in (60, 64, 68, 72)]
    good, bad = Last(), Far()
    forecasts = np.array([[member.predict(p).median for p in problems] for member in (good, bad)])
    found = weights(forecasts, problems)
    np.testing.assert_allclose(found.sum(axis=0), 1.0)
    assert (found >= 0).all()
    assert found[:, 0].tolist() == [0.5, 0.5]
    assert found[0, -1] > 0.8


def test_others_have_to_improve_on_the_leader() -> None:
    rng = np.random.default_rng(0)
    problems = [_walk(n, rng) for n in (60, 64, 68, 72)]
    forecasts = np.array([[member.predict(p).median for p in problems] for member in (Last(), Far())])
    assert weights(forecasts, problems, [1])[:, 0].tolist() == [0.0, 1.0]
    assert weights(forecasts, problems, [0, 1])[:, 0].tolist() == [0.5, 0.5]
    drawn, free = (weights(forecasts, problems, leaders)[1, -1] for leaders in ([1], []))
    assert free < drawn < 1


def test_the_longer_the_record_the_less_the_leaders_count() -> None:
    problems = [_walk(n, np.random.default_rng(0)) for n in range(40, 73, 4)]
    forecasts = np.array([[member.predict(p).median for p in problems] for member in (Last(), Far())])
    found = weights(forecasts, problems, [1])[1]
    assert found[0] == 1
    assert (np.diff(found) < 0).all()


def _walk(n: int, rng: np.random.Generator) -> Problem:
    z = np.cumsum(np.r_[0.0, np.random.default_rng(7).normal(size=99) * 0.1])[:n]
    ds = np.datetime64("2020-01-05") + 7 * np.arange(n + 4)
    return Problem(ds, z, np.ones(n, dtype=bool), (), (), 4)


def test_weights_of_an_origin_rest_on_nothing_later() -> None:
    rng = np.random.default_rng(0)
    problems = [_walk(n, rng) for n in (60, 62, 64, 72)]
    forecasts = rng.normal(size=(3, 4, 4))
    other = forecasts.copy()
    other[:, 2:] = rng.normal(size=(3, 2, 4))
    np.testing.assert_array_equal(weights(forecasts, problems)[:, :3], weights(other, problems)[:, :3])


def test_leaving_one_out_fits_nothing_again() -> None:
    kept, last = Kept(), Last()
    forecast(SALES, 4, engine=Detailed([last, SeasonalNaive()], kept=kept))
    asked = last.asked
    assert asked == 9
    result = forecast(SALES, 4, engine=Detailed([last], kept=kept))
    assert last.asked == asked
    assert result.engine.reason.endswith("stacked from last 1.00")


def test_a_deadline_leaves_out_what_would_be_late() -> None:
    ticks = itertools.count(step=0.5)
    stack = Detailed([SeasonalNaive(), Last()], deadline_ms=3000, clock=lambda: next(ticks))
    result = forecast(SALES, 4, engine=stack)
    assert "the engine last was left out of the stack: it would not be done by the deadline" in result.warnings


def test_a_history_too_short_for_a_record_weighs_all_the_same() -> None:
    result = forecast(weekly_sales(5), 8, engine=Detailed([Last(), SeasonalNaive()]))
    assert result.engine.reason.endswith("stacked from last 0.50, seasonal_naive 0.50")


def _months(seed: int) -> pd.DataFrame:
    """Seven years and a half of months in which Saturdays sell more than Sundays; level and season change slowly."""
    n = 90
    ds = pd.date_range("2012-01-01", periods=n, freq="MS")
    contrasts = weekday_contrasts(ds.to_numpy().astype("datetime64[D]"))
    assert contrasts is not None
    noise = np.random.default_rng(seed).normal(size=(2, n))
    z = 0.2 * np.sin(2 * np.pi * np.arange(n) / 12) + 0.01 * noise[0].cumsum() + 0.01 * noise[1] + 0.06 * contrasts[5]
    return pd.DataFrame({"ds": ds, "y": 100 * np.exp(z)})


def test_months_reach_the_members_without_their_trading_days() -> None:
    errors: dict[str, float] = {"stack": 0.0, "fast": 0.0}
    for seed in range(8):
        sales = _months(seed)
        for name, chosen in (("stack", Detailed([Fast()])), ("fast", Fast())):
            result = forecast(sales[:84], 6, engine=chosen)
            errors[name] += float(np.abs(result.median - sales["y"][84:].to_numpy()).mean())
            assert "calendar" in result.contributions()
    assert errors["stack"] < 0.95 * errors["fast"]


def test_revised_histories_are_stacked_as_they_were_printed() -> None:
    frame = pd.DataFrame(SALES).assign(known_at=lambda f: f["ds"] + pd.Timedelta(days=3))
    mended = frame.iloc[-30:].assign(y=lambda f: f["y"] * 1.02, known_at=lambda f: f["ds"] + pd.Timedelta(days=24))
    result = forecast(pd.concat([frame, mended]), 4, engine=Detailed([Last(), SeasonalNaive()]))
    assert 0 < result.quality.origins <= 8


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("os.system", "import path"),
        ("sktime.forecasting.nothing.Nothing", "No module named"),
        ("sktime.forecasting.naive.Nothing", "no attribute"),
        ("sktime.forecasting.base.ForecastingHorizon", "no forecaster"),
        ("sktime.forecasting.compose.ForecastX", "without arguments"),
    ],
)
def test_a_path_that_names_no_forecaster_is_refused(path: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        engine(f"sktime:{path}")


def test_members_lie_apart_as_they_did_or_more_or_less() -> None:
    forecasts = np.zeros((2, 6, 3))
    forecasts[1] = np.array([1.0, 1.0, 1.0, 1.25, 9.0, 0.1])[:, None]
    found = apart(forecasts)
    np.testing.assert_allclose(found, [1, 1, 1, 1.25, APART, 1 / APART], rtol=1e-5)
    forecasts[0, 0] = np.nan  # no forecast of every problem, so it is not compared
    assert apart(forecasts).tolist() == [1.0] * 6


class Drifting(Far):
    """Away from the last value by a tenth, and now by what it is told."""

    name = "drifting"

    def predict(self, problem: Problem) -> Path:
        level = np.full(problem.horizon, problem.z[-1])
        return Path({"level": level + (self.off if len(problem) == len(SALES) else 0.1)})


def test_intervals_are_wider_where_members_lie_further_apart_than_they_used_to() -> None:
    near, far = (forecast(SALES, 4, engine=Detailed([Last(), Drifting(off)])).to_frame() for off in (0.1, 0.15))
    width = [np.log(one["hi-80"].to_numpy() / one["lo-80"].to_numpy()) for one in (near, far)]
    assert (width[1] > 1.05 * width[0]).all()


def test_what_each_member_is_worth_is_told_at_the_same_origins() -> None:
    kept = Kept()
    made = forecast(SALES, 6, engine=Detailed([Fast(), Last(), Far(), Failing()], kept=kept))
    record = {one.name: one for one in made.engine.record}
    assert list(record) == ["stack", "fast", "last", "far"]
    assert record["stack"].wape == pytest.approx(made.quality.wape)
    assert sum(one.weight for name, one in record.items() if name != "stack") == pytest.approx(1.0)
    alone = forecast(SALES, 6, engine=Detailed([Last()], kept=kept))
    assert record["last"].wape == pytest.approx(alone.quality.wape)
    fewer = Last()
    without = forecast(SALES, 6, engine=Detailed([Fast(), fewer], kept=kept))
    assert record["far"].wape_without == pytest.approx(without.quality.wape)
    assert fewer.asked == 0  # a record fits nothing again, and neither does this
    shown = made.to_dict()["engine"]
    assert [row["name"] for row in shown["record"]] == list(record)
    assert f"by {100 * record['fast'].wape:.1f} %" in shown["reason"]  # type: ignore[operator]
    assert "record" not in forecast(SALES, 6).to_dict()["engine"]


def test_without_a_past_origin_no_member_has_a_record() -> None:
    assert forecast(SALES[:6], 6, engine=Detailed([Last()])).engine.record == ()
