"""The finding sentence and the figure of one forecast."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast import forecast, words
from forecast.plot import figure


@pytest.fixture(scope="module")
def result():
    ds = pd.date_range("2023-01-01", periods=120, freq="W-SUN")
    y = 500 + 100 * np.sin(np.arange(120) * 2 * np.pi / 52) + np.random.default_rng(1).normal(0, 10, 120)
    return forecast(pd.DataFrame({"ds": ds, "y": y}), 6, category="Boots", unit="pairs")


def traces(drawn):
    return {trace.name: trace for trace in drawn.data}


def test_figure_draws_history_last_year_forecast_and_ranges(result):
    drawn = traces(figure(result))
    assert set(drawn) == {"Sales", "A year before", "Forecast", "80 % range", "95 % range"}
    frame = result.to_frame()
    np.testing.assert_allclose(drawn["Forecast"].y, frame["mean"])
    np.testing.assert_allclose(drawn["A year before"].y[-6:], result.history["y"].iloc[-52:-46])
    np.testing.assert_allclose(drawn["95 % range"].y[1:7], frame["hi-95"])


def test_figure_opens_on_everything_that_matters(result):
    drawn = figure(result)
    low, high = drawn.layout.yaxis.range
    assert low <= result.to_frame()["lo-95"].min()
    assert high >= max(result.to_frame()["hi-95"].max(), result.history["y"].tail(52).max())
    assert pd.Timestamp(drawn.layout.xaxis.range[1]) > result.to_frame()["ds"].iloc[-1]


def test_figure_marks_nowcasts(result):
    drawn = traces(figure(replace(result, kinds=("nowcast",) * 2 + ("forecast",) * 4)))
    assert list(drawn["Nowcast"].y) == list(result.mean[:2])


def test_figure_without_a_year_of_history_has_no_last_year(result):
    short = replace(result, history=result.history.tail(20))
    assert "A year before" not in traces(figure(short))


def test_figure_takes_levels_that_are_not_whole(result):
    assert "97.5 % range" in traces(figure(replace(result, levels=(50.0, 97.5))))


def test_title_is_the_finding_and_escapes_names(result):
    title = figure(replace(result, category="<b>Boots</b>")).layout.title.text
    assert title.replace("<br>", " ").startswith("&lt;b&gt;Boots&lt;/b&gt;: ")


def test_plot_is_the_same_figure(result):
    assert result.plot().to_json() == figure(result).to_json()


def test_importing_forecast_leaves_plotly_alone():
    code = "import sys, forecast, forecast.plot; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_finding_says_how_much_when_against_last_year_and_why(result):
    parts = {"level": result.mean - 30, "season": np.full(6, 50.0), "search/boots": np.full(6, -20.0)}
    history = result.history.assign(y=result.mean.mean() / 1.25)
    told = words.finding(replace(result, parts=parts, history=history), {"season": "the season"})
    assert told == (
        f"Boots: {result.mean.mean():,.0f} pairs a week expected over the 6 weeks to 25 May 2025, "
        "25 % more than a year before; the largest driver is the season (+50 pairs a week)."
    )


def test_finding_without_last_year_or_drivers(result):
    bare = replace(result, category=None, unit=None, history=result.history.tail(9), parts={"level": result.mean})
    told = words.finding(bare)
    assert told.startswith(f"{result.mean.mean():,.0f} a week expected over ")
    assert told.endswith("with no full year of positive sales to compare with; it rests on its level.")


def test_a_driver_that_rounds_to_nothing_is_no_driver(result):
    told = words.finding(replace(result, parts={"level": result.mean, "trend": np.full(6, -0.3)}))
    assert told.endswith("; it rests on its level.")


def test_a_unit_that_is_a_definition_stands_in_brackets(result):
    parts = {"level": result.mean - 50, "season": np.full(6, 50.0)}
    told = words.finding(replace(result, unit="index, January 2019 = 100", parts=parts))
    assert f"{result.mean.mean():,.0f} (index, January 2019 = 100) a week expected" in told
    assert told.endswith("the largest driver is season (+50 a week).")


@pytest.mark.parametrize(
    ("unit", "amount", "axis"),
    [
        ("pairs", "7 pairs", "pairs a month"),
        ("1000 kg", "7 1000 kg", "1000 kg a month"),
        ("", "7", "sales a month"),
        (None, "7", "sales a month"),
        ("index, 2019 = 100", "7 (index, 2019 = 100)", "index, 2019 = 100, by month"),
    ],
)
def test_amounts_and_axes_take_the_unit_as_it_is(unit, amount, axis):
    assert words.amount(7, unit) == amount
    assert words.axis_label(unit, "MS") == axis


def test_change_against_a_year_of_no_sales_is_unknown(result):
    assert np.isnan(words.year_change_pct(replace(result, history=result.history.assign(y=0.0))))


@pytest.mark.parametrize(
    ("frequency", "label", "span"),
    [
        ("D", "Tue 1 Jul 2025", "the 2 days to Wed 2 Jul 2025"),
        ("W-TUE", "week to 1 Jul 2025", "the 2 weeks to 8 Jul 2025"),
        ("MS", "Jul 2025", "the 2 months to Aug 2025"),
        ("QS", "Q3 2025", "the 2 quarters to Q4 2025"),
    ],
)
def test_periods_have_names(frequency, label, span):
    ds = pd.Series(pd.date_range("2025-07-01", periods=2, freq=frequency))
    assert words.period_label(ds[0], frequency) == label
    assert words.span_label(ds, frequency) == span


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (1234.56, 1, False, "1,234.6"),
        (-0.04, 1, True, "0.0"),
        (3, 0, True, "+3"),
        (-12, 0, False, "−12"),
        (np.nan, 0, False, "n/a"),
    ],
)
def test_numbers_are_written_for_people(value, digits, sign, text):
    assert words.number(value, digits, sign=sign) == text


def test_signal_ids_are_spelled_out():
    assert words.driver_name("google_trends/winter_boots/US") == "google trends: winter boots, US"
    assert words.driver_name("google trends:Vehicle Parts") == "google trends: Vehicle Parts"
    assert words.driver_name("calendar/US") == "public holidays: US"
    assert words.driver_name("/") == "/"
    assert words.driver_name("x", {"x": "Rain in Oslo"}) == "Rain in Oslo"


@pytest.mark.parametrize(("frequency", "back"), [("W-SUN", "2024-07-07"), ("MS", "2024-07-01"), ("D", "2024-07-07")])
def test_last_year_keeps_the_weekday_or_the_month(frequency, back):
    history = pd.DataFrame({"ds": [pd.Timestamp(back)], "y": [7.0]})
    ahead = pd.Series([pd.Timestamp("2025-07-06" if frequency != "MS" else "2025-07-01")])
    assert words.last_year(history, ahead, frequency).tolist() == [7.0]
