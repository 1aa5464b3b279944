"""Scenarios in words: what they compile to, and the one error that each wrong word gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from series_makers import autocorrelated, signal, weekly_sales, weeks

from forecast import Change, SignalsError
from forecast.changes import Paths, change_of, days_of, paths
from forecast.problem import Sources
from forecast.regressors import read
from forecast.scenario import Conditional
from forecast.series import versions
from forecast.transform import choose

N, HORIZON = 150, 6
LABELS = pd.date_range("2026-11-22", periods=HORIZON, freq="W-SUN")
PLAN = np.r_[np.tile([0.0, 0.0, 1.0], N // 3), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]


def compiled(*changes: Change) -> Paths:
    past = versions(weekly_sales(N), None, None)
    offered = pd.concat(
        [
            signal("search", np.exp(autocorrelated(N, 1)), weeks(N), future_known=False),
            signal("mobility", autocorrelated(N, 2), weeks(N), future_known=False),
            signal("promotion", PLAN, weeks(N + HORIZON, "2026-12-27"), future_known=True),
            signal("gone", np.ones(1), pd.DatetimeIndex(["2031-01-05"]), future_known=False),
        ]
    )
    series = past.read(None)
    problem = Sources(past, tuple(read(offered)), HORIZON).problem(series, choose(series.y), None)
    return paths(changes, Conditional(problem, series), series)


def test_one_value_holds_in_all_periods_that_are_meant() -> None:
    path = compiled(Change("promotion", "2026-W48", "2026-W49", values=[1])).values["promotion"]
    assert path.to_dict() == {LABELS[1]: 1.0, LABELS[2]: 1.0}


def test_values_may_differ_from_period_to_period() -> None:
    path = compiled(Change("promotion", "2026-11-23", "2026-12-13", values=[0.1, 0.2, 0.3])).values["promotion"]
    assert path.tolist() == [0.1, 0.2, 0.3]
    assert path.index.tolist() == LABELS[1:4].tolist()


def test_a_factor_multiplies_what_is_expected() -> None:
    found = compiled(Change("search", "2026-12", factor=1.2), Change("promotion", "2026-11-29", factor=0.5)).values
    last = np.exp(autocorrelated(N, 1))[-1]
    np.testing.assert_allclose(found["search"], 1.2 * last)
    assert found["search"].index[0] == LABELS[2]  # the week to 6 December has days of it
    assert found["promotion"].tolist() == [0.5]  # the planned 1


def test_the_level_of_a_past_period_is_its_mean() -> None:
    found = compiled(Change("mobility", "2026-11-29", level_of="2025-04")).values["mobility"]
    x = pd.Series(autocorrelated(N, 2), index=weeks(N))
    assert found.tolist() == [pytest.approx(x["2025-04-06":"2025-05-04"].mean())]  # type: ignore[misc]
    span = compiled(Change("mobility", "2026-11-29", level_of="2025-04-06..2025-04-13")).values["mobility"]
    assert span.tolist() == [pytest.approx(x["2025-04-06":"2025-04-13"].mean())]  # type: ignore[misc]


def test_changes_of_one_signal_in_other_periods_are_one_path() -> None:
    found = compiled(
        Change("promotion", "2026-12-20", values=[0.7]),
        Change("promotion", "2026-11-29", values=[0.3]),
    ).values["promotion"]
    assert found.to_dict() == {LABELS[1]: 0.3, LABELS[4]: 0.7}


def test_periods_outside_the_horizon_are_left_out_and_told() -> None:
    found = compiled(Change("mobility", "2026-12", "2027-01", values=[1, 2, 3, 4, 5, 6, 7, 8, 9]))
    assert found.values["mobility"].tolist() == [1, 2, 3, 4]
    assert found.notes == (
        "5 of the 9 periods in which mobility is changed lie outside the horizon, where they change nothing",
    )


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-W53", "2026-12-28", "2027-01-03"),
        ("2026-11-30", "2026-11-30", "2026-11-30"),
    ],
)
def test_days_that_a_text_means(text: str, first: str, last: str) -> None:
    assert days_of(text, "first") == (np.datetime64(first), np.datetime64(last))


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"signal": "weather"}, "signal", "mobility, promotion, search"),
        ({"signal": "gone"}, "signal", "mobility, promotion, search"),
        ({"first": "next week"}, "first", "such as 2026-11-30, 2026-W48"),
        ({"first": "2026-02-30"}, "first", "such as 2026-11-30, 2026-W48"),
        ({"first": "2025-W53"}, "first", "such as 2026-11-30, 2026-W48"),
        ({"first": "２026-11"}, "first", "such as 2026-11-30, 2026-W48"),
        ({"first": 2026}, "first", "such as 2026-11-30, 2026-W48"),
        ({"first": "2031-01-01"}, "first", "periods of the horizon, 2026-11-22 to 2026-12-27"),
        ({"first": "2020-04"}, "first", "periods of the horizon, 2026-11-22 to 2026-12-27"),
        ({"last": "2026-11-01"}, "last", "a period that is not before 2026-W48"),
        ({"values": []}, "values", "a list of one value"),
        ({"values": [1.0, 2.0]}, "values", "a list of one value"),
        ({"values": "12"}, "values", "a list of one value"),
        ({"values": [float("nan")]}, "values", "finite numbers"),
        ({"values": [True]}, "values", "finite numbers"),
        ({"values": [1e300]}, "values", "finite numbers up to 1e+15"),
        ({"values": None, "factor": -1}, "factor", "a number from 0 to 1000"),
        ({"values": None, "factor": 1.2}, "factor", "mobility was as low as"),
        ({"values": None, "level_of": "long ago"}, "level_of", "or two of them"),
        ({"values": None, "level_of": "2020..2021..2022"}, "level_of", "or two of them"),
        ({"values": None, "level_of": "2019-04"}, "level_of", "known values of mobility, 2024-01-07 to 2026-11-15"),
        ({"values": None}, "", "one of values, factor, level_of"),
        ({"factor": 1.0}, "", "one of values, factor, level_of"),
    ],
)
def test_each_wrong_word_has_one_clear_error(change: dict[str, Any], field: str, told: str) -> None:
    given = {"signal": "mobility", "first": "2026-W48", "values": [1.0]} | change
    with pytest.raises(SignalsError) as error:
        compiled(Change("promotion", "2026-W50", values=[1]), Change(**given))
    assert error.value.field == f"changes.1.{field}".rstrip(".")
    assert told in error.value.allowed


def test_a_period_is_changed_once() -> None:
    with pytest.raises(SignalsError, match="2026-11-29 twice; wanted each period of a signal once"):
        compiled(Change("mobility", "2026-W48", values=[1]), Change("mobility", "2026-11", values=[1]))


def test_a_scenario_has_changes() -> None:
    with pytest.raises(SignalsError, match="changes: got 0 changes; wanted 1 to 50 changes"):
        compiled()


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("search/boots +20% 2026-W48..2026-W51", Change("search/boots", "2026-W48", "2026-W51", factor=1.2)),
        ("rainy days -12.5 % 2026-12", Change("rainy days", "2026-12", factor=0.875)),
        ("x x1.5 2026-11-30", Change("x", "2026-11-30", factor=1.5)),
        ("promotion =1 2026-W48", Change("promotion", "2026-W48", values=[1.0])),
        ("mobility =-1,2.5,3e1 2026-W48..2026-W50", Change("mobility", "2026-W48", "2026-W50", values=[-1, 2.5, 30])),
        ("mobility like 2020-04 2026", Change("mobility", "2026", level_of="2020-04")),
        ("mobility like 2020-03..2020-05 2026", Change("mobility", "2026", level_of="2020-03..2020-05")),
    ],
)
def test_a_change_is_read_from_a_line(text: str, change: Change) -> None:
    assert change_of(text) == change


@pytest.mark.parametrize(
    "text", ["", "mobility", "mobility 2026-W48", "mobility +20 2026-W48", "x =a 2026", "x =1 soon"]
)
def test_a_line_that_says_no_change_is_refused(text: str) -> None:
    with pytest.raises(SignalsError, match=r"change: got .*; wanted a signal, then"):
        change_of(text)
