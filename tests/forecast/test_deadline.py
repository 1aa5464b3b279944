"""A deadline chooses engine and members by what they cost; asked again with those members, no clock decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from series_makers import weekly_sales

from forecast import Forecast, OptionError, forecast
from forecast.engines import Fast, Path, Problem, Wanted
from forecast.engines.seasonal_naive import SeasonalNaive
from tests.fakes.slow_member import LONG, TOO_SHORT, Slow

SALES = weekly_sales(160)


class Failing(Slow):
    name = "boosting"

    def predict(self, problem: Problem) -> Path:
        raise ZeroDivisionError("no pivot")


@pytest.fixture(autouse=True)
def members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecast.engines._MEMBERS", (Fast, SeasonalNaive, Failing, Slow))
    monkeypatch.setattr(Slow, "asked", 0)
    monkeypatch.setattr(Slow, "seconds", Slow.seconds)  # what a test sets is undone


def answered(sales: Any = SALES, **options: Any) -> Forecast:
    return forecast(sales, 4, **{"engine": "detailed", **options})


def canonical(result: Forecast) -> dict[str, Any]:
    return result.to_dict() | {"timing_ms": None}


def problem_of(frequency: str = "W-SUN", n: int = 160) -> Problem:
    ds = np.datetime64("2020-01-05") + 7 * np.arange(n + 4)
    return Problem(ds, np.arange(float(n)), np.ones(n, dtype=bool), (52.1775,), (), 4, frequency)


def test_a_member_that_would_be_late_is_left_out_after_two_forecasts() -> None:
    result = answered(deadline_ms=TOO_SHORT)
    assert result.engine.members == ("fast", "seasonal_naive", "boosting")
    assert Slow.asked == 2
    assert "the engine theta was left out of the stack: it would not be done by the deadline" in result.warnings
    assert "theta" not in result.engine.reason


def test_a_member_is_not_begun_after_the_deadline() -> None:
    result = answered(deadline_ms=1)
    assert (result.engine.members, Slow.asked) == (("fast",), 0)
    assert sum("it would not be done by the deadline" in warning for warning in result.warnings) == 3


def test_with_the_members_of_before_the_same_answer_comes_however_fast_the_machine_is_now() -> None:
    first = answered(deadline_ms=TOO_SHORT)
    Slow.seconds = 0.0
    assert "theta" in answered(deadline_ms=LONG).engine.members
    asked = Slow.asked
    again = answered(deadline_ms=TOO_SHORT, members=first.engine.members)
    assert canonical(again) == canonical(first)
    assert Slow.asked == asked


def test_with_the_members_of_before_the_same_answer_comes_however_slow_the_machine_is_now() -> None:
    Slow.seconds = 0.0
    first = answered(engine="auto", deadline_ms=LONG)
    assert first.engine.name == "detailed"
    again = answered(engine="auto", deadline_ms=LONG, members=first.engine.members)
    assert canonical(again) == canonical(first)


def test_where_no_other_member_is_in_time_auto_is_the_fast_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecast.engines._MEMBERS", (Fast, Slow))
    result = answered(engine="auto", deadline_ms=TOO_SHORT)
    assert (result.engine.name, result.engine.members) == ("fast", ("fast",))
    assert result.engine.reason == "auto: a deadline of 2000 ms left no other member of the detailed engine in time"
    fast = answered(engine="fast")
    for name in ("forecast", "quality", "signals"):
        assert result.to_dict()[name] == fast.to_dict()[name]
    Slow.seconds = 0.0
    again = answered(engine="auto", deadline_ms=TOO_SHORT, members=result.engine.members)
    assert canonical(again) == canonical(result)


def test_members_without_a_deadline_are_a_smaller_stack() -> None:
    result = answered(members=["seasonal_naive", "fast"])
    assert result.engine.members == ("fast", "seasonal_naive")
    assert not [warning for warning in result.warnings if "left out" in warning]


def test_what_had_been_printed_is_forecast_by_the_same_members_in_the_same_time() -> None:
    frame = pd.DataFrame(SALES).assign(known_at=lambda f: f["ds"] + pd.Timedelta(days=3))
    mended = frame.iloc[-30:].assign(y=lambda f: f["y"] * 1.02, known_at=lambda f: f["ds"] + pd.Timedelta(days=24))
    revised = pd.concat([frame, mended])
    first = answered(revised, deadline_ms=TOO_SHORT)
    assert Slow.asked <= 2, "past origins as they had been printed are not forecast by it either"
    assert canonical(answered(revised, deadline_ms=TOO_SHORT, members=first.engine.members)) == canonical(first)


def test_half_of_the_time_is_for_what_had_been_printed() -> None:
    whole, half = (Wanted("detailed", 1000).engine(problem_of(), twice=twice)[0] for twice in (False, True))
    assert (whole._deadline, half._deadline) == (1.0, 0.5)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("deadline", "problem", "name", "reason"),
    [
        (None, problem_of(), "detailed", "expected to err 1.8 % less than the fast engine, and no deadline was given"),
        (60_000, problem_of("MS"), "detailed", "5.4 % less than the fast engine, and a deadline of 60000 ms allows it"),
        (100, problem_of(), "fast", "a deadline of 100 ms is too short for the detailed engine (2000 ms)"),
        (None, problem_of("D"), "fast", "on sales of the frequency D no gain of the detailed engine was measured"),
        (None, problem_of(n=5), "fast", "the history is too short to weigh the members of the detailed engine"),
    ],
)
def test_auto_chooses_by_the_deadline_and_the_expected_gain(
    deadline: float | None, problem: Problem, name: str, reason: str
) -> None:
    chosen, why = Wanted("auto", deadline).engine(problem, twice=False)
    assert chosen.name == name
    assert why.startswith("auto: ")
    assert why.endswith(reason)


@pytest.mark.parametrize(
    ("options", "field", "told"),
    [
        ({"deadline_ms": 0}, "deadline_ms", "above 0"),
        ({"engine": "fast", "deadline_ms": 500}, "deadline_ms", "only auto and detailed"),
        ({"engine": SeasonalNaive(), "members": ["fast"]}, "members", "none for the engine seasonal_naive"),
        ({"members": []}, "members", "some of fast, seasonal_naive"),
        ({"members": ["fast", "magic"]}, "members", "got magic"),
        ({"engine": "magic", "deadline_ms": 500}, "engine", "one of additive, auto"),
    ],
)
def test_what_no_engine_can_do_is_refused(options: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(OptionError, match=told) as refused:
        answered(**options)
    assert refused.value.field == field
