"""Plans of several periods, split over a tree and over its periods: they add up exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import OptionError
from forecast import frequency as freq
from forecast.plans import partial_periods, spans_of, split
from forecast.tree import tree_of

TREE = tree_of({"boots": "shoes", "sandals": "shoes", "shoes": "all", "hats": "all"})
MONTHS = freq.consecutive(np.datetime64("2027-01-01"), 15, "MS")
WEEKS = freq.consecutive(np.datetime64("2026-11-29"), 70, "W-SUN")
SOLD = np.random.default_rng(3).uniform(1, 9, size=(3, 70))


def wide(plan: dict[str, float], ds: freq.Days, frequency: str, sold: np.ndarray, name: str = "all") -> pd.DataFrame:
    rows = split(TREE, name, plan, sold, ds, frequency)
    return rows.pivot(index="ds", columns="unique_id", values="plan")


def test_a_year_of_months_is_split_as_the_forecasts_are() -> None:
    sold = SOLD[:, :15]
    found = wide({"2027": 450_000.0}, MONTHS, "MS", sold)
    assert len(found) == 12
    assert found["all"].sum() == 450_000
    np.testing.assert_allclose(found["all"], 450_000 * sold[:, :12].sum(axis=0) / sold[:, :12].sum(), rtol=1e-12)
    np.testing.assert_allclose(found["boots"] + found["sandals"], found["shoes"])
    np.testing.assert_allclose(found["hats"], 450_000 * sold[2, :12] / sold[:, :12].sum(), rtol=1e-12)


def test_quarters_and_ranges_of_weeks_share_the_weeks_between_them_by_days() -> None:
    found = wide({"2027-Q1": 1000.0, "2027-Q2": 700.0, "2026-W49..2026-W50": 30.0}, WEEKS, "W-SUN", SOLD)
    assert found["all"].sum() == pytest.approx(1730, rel=1e-14)
    between = pd.Timestamp("2027-04-04")  # Monday 29 March to Sunday 4 April
    first = wide({"2027-Q1": 1000.0}, WEEKS, "W-SUN", SOLD)["all"]
    second = wide({"2027-Q2": 700.0}, WEEKS, "W-SUN", SOLD)["all"]
    assert first[between] + second[between] == pytest.approx(found["all"][between])
    at = int(np.searchsorted(WEEKS, np.datetime64("2027-04-04")))
    assert first[between] / first.iloc[-2] == pytest.approx(3 / 7 * SOLD[:, at].sum() / SOLD[:, at - 1].sum())
    spans = spans_of(["2027-Q1"], WEEKS, "W-SUN", ["plan"])
    assert partial_periods(spans, WEEKS, "W-SUN") == [
        "the plan of 2027-Q1 has 3 of 7 days of the period 2027-01-03",
        "the plan of 2027-Q1 has 3 of 7 days of the period 2027-04-04",
    ]


@pytest.mark.parametrize("value", [1000.0, 0.1, 1e9 / 3, 7.0])
def test_the_node_of_a_plan_has_it_to_the_last_digit(value: float) -> None:
    for seed in range(20):
        sold = np.random.default_rng(seed).uniform(0, 100, size=(3, 15))
        one = wide({"2027-02": value}, MONTHS, "MS", sold)
        assert one["all"].tolist() == [value]
        assert one["hats"].iloc[0] + one["shoes"].iloc[0] == pytest.approx(value, rel=1e-15)


def test_where_nothing_is_expected_all_get_the_same() -> None:
    found = wide({"2027-01..2027-02": 80.0}, MONTHS, "MS", np.zeros((3, 15)), "shoes")
    assert found["boots"].sum() == pytest.approx(40)
    assert list(found.columns) == ["boots", "sandals", "shoes"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026", "periods of the horizon, 2027-01-01 to 2028-03-01"),
        ("2028", "periods of the horizon"),
        ("someday", "a day, week, month, quarter or year"),
        ("2027-03..2027-01", "the earlier first"),
        ("2027-01..2027-02..2027-03", "the earlier first"),
        ("2027-Q5", "a day, week, month, quarter or year"),
    ],
)
def test_what_is_no_part_of_the_horizon(text: str, told: str) -> None:
    with pytest.raises(OptionError, match=told) as caught:
        spans_of([text], MONTHS, "MS", ["plan.periods.0.period"])
    assert caught.value.field == "plan.periods.0.period"


def test_no_day_is_planned_twice() -> None:
    with pytest.raises(OptionError, match="each period once"):
        wide({"2027-Q1": 1.0, "2027-03": 2.0}, MONTHS, "MS", SOLD[:, :15])
