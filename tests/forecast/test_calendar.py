"""Moving holidays: which period of past years is the same in the calendar, and what forecasts make of it."""

import numpy as np
import pytest

from forecast import frequency as freq
from forecast.aligned import followed
from forecast.calendar import CLOSE, Alignment, aligned, alignment
from forecast.engines.base import Problem
from forecast.engines.fast import Fit
from forecast.errors import OptionError
from forecast.experts import Experts, experts, smoothed
from forecast.origins import Origins, ending_at, last_only
from forecast.season import holidays_signal
from forecast.series import Series

YEAR = {"W-SUN": 52.1775, "W-MON": 52.1775, "D": 364.0}


def labels(frequency: str, periods: int, before: str = "2018-12-30") -> np.ndarray:
    return freq.following(np.datetime64(before), periods, frequency)


def off(frequency: str, country: str, day: str, then: str) -> int:
    """By how many days `then` lies elsewhere in the analogue of the period of `day` than `day` in that."""
    ds = labels(frequency, 420 if frequency != "D" else 2900, "2018-12-31" if frequency == "W-MON" else "2018-12-30")
    years = int(day[:4]) - int(then[:4])
    first, after = freq.spans(ds, frequency)
    at = int(np.searchsorted(after, np.datetime64(day), side="right"))
    place = aligned(ds, frequency, YEAR[frequency], country, 3).past[years - 1, at]
    return int(((np.datetime64(then) - first[place]) - (np.datetime64(day) - first[at])).astype(int))


@pytest.mark.parametrize("frequency", ["W-SUN", "W-MON", "D"])
@pytest.mark.parametrize("country", ["US", "DE", "BR"])
def test_easter_goes_back_to_easter(frequency: str, country: str) -> None:
    easter = ["2020-04-12", "2021-04-04", "2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20"]
    for at in (3, 4, 5):
        assert [off(frequency, country, easter[at], easter[at - k]) for k in (1, 2, 3)] == [0, 0, 0]


@pytest.mark.parametrize("frequency", ["W-SUN", "W-MON", "D"])
def test_thanksgiving_and_black_friday_go_back_to_theirs(frequency: str) -> None:
    assert off(frequency, "US", "2024-11-28", "2023-11-23") == 0
    assert off(frequency, "US", "2024-11-29", "2023-11-24") == 0
    assert off(frequency, "DE", "2024-11-29", "2023-11-24") == 0


@pytest.mark.parametrize("year", [2021, 2022, 2023, 2024, 2025])
@pytest.mark.parametrize("years", [1, 2])
def test_days_around_christmas_go_back_to_their_date(year: int, years: int) -> None:
    for day in ("12-24", "12-25", "12-26"):
        assert off("D", "US", f"{year}-{day}", f"{year - years}-{day}") == 0


@pytest.mark.parametrize("frequency", ["W-SUN", "W-MON"])
@pytest.mark.parametrize("year", [2021, 2022, 2023, 2024, 2025])
def test_the_week_of_christmas_goes_back_to_the_one_with_the_most_days_in_common(frequency: str, year: int) -> None:
    for years in (1, 2):
        assert abs(off(frequency, "US", f"{year}-12-25", f"{year - years}-12-25")) <= 3


MOON = [
    ("CN", "2025-01-29", "2024-02-10"),
    ("CN", "2024-02-10", "2022-02-01"),
    ("TR", "2024-04-10", "2023-04-21"),
    ("IN", "2024-10-31", "2023-11-12"),
]


@pytest.mark.parametrize("frequency", ["W-SUN", "W-MON", "D"])
@pytest.mark.parametrize(("country", "day", "then"), MOON)
def test_feasts_of_the_moon_go_back_to_theirs(frequency: str, country: str, day: str, then: str) -> None:
    assert abs(off(frequency, country, day, then)) <= (0 if frequency == "D" else 3)


@pytest.mark.parametrize("country", ["US", "CN", "SA", "IN", "GR", "JP"])
@pytest.mark.parametrize("frequency", ["W-SUN", "D"])
def test_every_period_has_one_analogue_about_k_years_ago(country: str, frequency: str) -> None:
    ds = labels(frequency, 2000 if frequency == "D" else 300)
    found = aligned(ds, frequency, YEAR[frequency], country, 3)
    lag = np.arange(ds.size) - found.past
    kept = found.past >= 0
    for k in (1, 2, 3):
        days = lag[k - 1][kept[k - 1]] * (7 if frequency != "D" else 1)
        assert np.all(np.abs(days - 365.2425 * k) < 24 + 13 * k)
    assert (found.past[:, found.near == 0] == found.usual[:, found.near == 0]).all()


def test_days_keep_their_weekday_but_close_to_a_holiday() -> None:
    ds = labels("D", 1500)
    for country in ("US", "CN"):
        found = aligned(ds, "D", 364.0, country, 2)
        lag = np.arange(ds.size) - found.past[0]
        off = (lag % 7 != 0) & (found.past[0] >= 0)
        assert off.mean() < 0.15
        assert (found.near[off] != 0).all()
        assert (lag[(found.near == 0) & (found.past[0] >= 0)] == 364).all()


def test_a_holiday_that_was_not_kept_has_the_usual_analogue() -> None:
    found = aligned(labels("D", 1500), "D", 364.0, "US", 1)
    first = int((np.datetime64("2021-06-19") - np.datetime64("2018-12-31")).astype(int))
    assert found.past[0, first] == first - 364  # the first Juneteenth
    assert found.past[0, first + 365] == first


def test_years_before_the_records_of_a_country_do() -> None:
    found = aligned(labels("W-SUN", 300, "1961-01-01"), "W-SUN", 52.1775, "US", 3)
    assert (found.past[0, 60:] >= 0).all()


def test_months_quarters_and_other_seasons_are_not_aligned() -> None:
    assert alignment(labels("MS", 60, "2018-12-01"), "MS", (12.0,), "US", 6) is None
    assert alignment(labels("QS", 20, "2018-10-01"), "QS", (4.0,), "US", 2) is None
    assert alignment(labels("W-SUN", 200), "W-SUN", (26.0,), "US", 8) is None
    assert alignment(labels("W-SUN", 200), "W-SUN", (), "US", 8) is None


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(OptionError, match="ISO 3166"):
        alignment(labels("W-SUN", 200), "W-SUN", (52.1775,), "Atlantis", 8)


def sales(n: int, horizon: int, effect: float) -> tuple[np.ndarray, Alignment]:
    """Log weekly sales with a yearly season and a peak in the weeks of Easter, and their alignment."""
    ds = labels("W-SUN", n + horizon)
    noise = np.random.default_rng(5).normal(size=n + horizon)
    easter = np.isin(ds, np.array(["2019-04-21", "2020-04-12", "2021-04-04", "2022-04-17", "2023-04-09"], "M8[D]"))
    z = 0.2 * np.sin(np.arange(n + horizon) / 8.3) + 0.03 * noise + effect * easter
    found = alignment(ds, "W-SUN", (52.1775,), "US", horizon)
    assert found is not None
    return z[:n], found


def at(z: np.ndarray, found: Alignment | None, grid: Origins) -> Experts:
    return experts(smoothed(z, (52.1775,), found), grid)


def test_forecasts_follow_a_holiday_that_moves() -> None:
    n = 222  # the week of Easter 2023 is the second one ahead
    z, found = sales(n, 8, effect=0.5)
    grid = last_only(n, 8)
    with_calendar, without = at(z, found, grid), at(z, None, grid)
    assert without.calendar is None
    assert with_calendar.calendar is not None
    easter = int(np.flatnonzero(labels("W-SUN", n + 8)[n:] == np.datetime64("2023-04-09"))[0])
    moved = with_calendar.forecasts() - without.forecasts()
    np.testing.assert_allclose(moved, with_calendar.calendar, atol=1e-12)
    assert np.median(with_calendar.calendar[easter]) > 0.2
    assert (with_calendar.calendar[found.near[n:] == 0] == 0).all()


def test_sales_without_holidays_are_hardly_moved() -> None:
    z, found = sales(222, 8, effect=0.0)
    share = followed(z, smoothed(z, (52.1775,)).plain, found).share
    assert share[CLOSE, -1] < 0.1
    assert (share[0] == 0).all()


@pytest.mark.parametrize(("horizon", "steps"), [(8, (1, 3, 8)), (60, (1, 20, 50, 52, 60)), (1, (1,))])
def test_nothing_ahead_of_an_origin_is_seen(horizon: int, steps: tuple[int, ...]) -> None:
    n, cut = 240, 200
    z, found = sales(n, horizon, effect=0.5)
    other = z.copy()
    other[cut:] += np.random.default_rng(1).normal(size=n - cut)
    grid = ending_at(n, 1, steps, 0)
    before, after = at(z, found, grid).forecasts(), at(other, found, grid).forecasts()
    np.testing.assert_array_equal(before[..., :cut], after[..., :cut])


def test_the_last_origin_alone_says_the_same_as_among_others() -> None:
    n, steps = 240, (1, 4, 8)
    z, found = sales(n, 8, effect=0.5)
    among, alone = at(z, found, ending_at(n, 1, steps, 0)).forecasts(), at(z, found, last_only(n, 8)).forecasts()
    np.testing.assert_allclose(among[..., -1], alone[np.array(steps) - 1, :, 0], atol=1e-12)


def test_the_calendar_is_a_driver_of_its_own_and_drivers_add_up() -> None:
    n, horizon = 222, 8
    z, _ = sales(n, horizon, effect=0.5)
    ds, observed = labels("W-SUN", n + horizon), np.ones(n, dtype=bool)
    fit = Fit(Problem(ds, z, observed, (52.1775,), (), horizon, "W-SUN", "US"))
    terms = fit.path().terms
    steps = np.array(fit.grid.steps) - 1
    np.testing.assert_allclose(np.sum(list(terms.values()), axis=0)[steps], fit.base[:, -1], atol=1e-12)
    assert terms["calendar"].max() > 0.2


def test_a_horizon_longer_than_the_history_is_no_matter() -> None:
    z, found = sales(110, 150, effect=0.5)
    assert np.isfinite(at(z, found, last_only(110, 150)).forecasts()).all()


def test_a_history_of_less_than_a_year_has_no_calendar() -> None:
    z, found = sales(240, 8, effect=0.5)
    assert at(z[:50], found, last_only(50, 8)).calendar is None


def test_the_calendar_as_a_signal_counts_holidays_of_the_whole_span() -> None:
    series = Series(labels("W-SUN", 60), np.ones(60), "W-SUN", (52.1775,))
    signal = holidays_signal(series, 8, "US")
    assert signal["future_known"].all()
    assert str(signal["ds"].iloc[0].date()) == "2018-12-31"
    assert signal["ds"].iloc[-1] == np.datetime64("2018-12-30") + 7 * 68
    days = signal.loc[signal["value"] == 1, "ds"].astype(str).tolist()
    assert {"2019-07-04", "2019-11-28", "2019-12-25", "2020-01-01"} <= set(days)
    assert signal["value"].sum() == len(days)
