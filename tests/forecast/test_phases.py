"""A category that begins or ends: what is sold of its level, and what past sales say of that."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast import OptionError, Phases, forecast, phase_of
from forecast.phases import BEGINS, ENDS

WEEKS = pd.date_range("2024-01-07", periods=60, freq="W-SUN")
STEADY = pd.DataFrame({"ds": WEEKS, "y": 100.0 + np.arange(60) % 3})
DAY = np.timedelta64(1, "D")


def phases(begins: str | None = None, ends: str | None = None) -> Phases:
    return Phases(begins and phase_of(begins, "phase_in"), ends and phase_of(ends, "phase_out"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-12-07", "2026-12-07", "2026-12-07"),
        ("2026-W50", "2026-12-07", "2026-12-13"),
        ("2026-W50..2027-01", "2026-12-07", "2027-01-31"),
    ],
)
def test_how_a_phase_is_written(text: str, first: str, last: str) -> None:
    found = phase_of(text, "phase_in")
    assert (str(found.first), str(found.last)) == (first, last)


@pytest.mark.parametrize("text", ["", "soon", "2027-01..2026-W50", "2026-01..2026-02..2026-03", "2026-13"])
def test_what_is_no_phase(text: str) -> None:
    with pytest.raises(OptionError, match="phase_in: got"):
        phase_of(text, "phase_in")


def test_of_a_week_as_much_as_its_days() -> None:
    made = forecast(STEADY, 6)
    first = made.ds[2]  # a Sunday, the last day of its week
    share = phases(str(first)).applied(made).mean / made.mean
    np.testing.assert_allclose(share, [0, 0, 1 / 7, 1, 1, 1])
    share = phases(ends=str(first)).applied(made).mean / made.mean
    np.testing.assert_allclose(share, [1, 1, 1, 0, 0, 0])


def test_it_rises_and_falls_by_the_same_step_every_day() -> None:
    made = forecast(STEADY, 6)
    begins = f"{made.ds[1] - 6 * DAY}..{made.ds[2]}"
    np.testing.assert_allclose(phases(begins).applied(made).mean / made.mean, [0, 4 / 14, 11 / 14, 1, 1, 1])
    np.testing.assert_allclose(phases(ends=begins).applied(made).mean / made.mean, [1, 11 / 14, 4 / 14, 0, 0, 0])


def test_what_is_taken_off_is_a_driver_and_the_interval_goes_with_it() -> None:
    made = forecast(STEADY, 6)
    found = phases(str(made.ds[1]), str(made.ds[4])).applied(made)
    parts = found.contributions()
    np.testing.assert_allclose(parts.drop(columns="ds").sum(axis=1), found.mean, atol=1e-9)
    np.testing.assert_allclose(parts[BEGINS], made.mean * [-1, -6 / 7, 0, 0, 0, 0])
    np.testing.assert_allclose(parts[ENDS], made.mean * [0, 0, 0, 0, 0, -1])
    assert (found.grid[[0, 5]] == 0).all()
    np.testing.assert_allclose(found.grid[2], made.grid[2])
    assert {BEGINS, ENDS} <= {row.driver for row in found.importance}
    assert found.warnings[-2:] == [
        f"sales begin on {made.ds[1]}: the level is that of after it",
        f"sales end on {made.ds[4]}: nothing is sold after it",
    ]


def test_sales_of_a_beginning_tell_the_whole_level() -> None:
    """Half of the first weeks' level is the same level, and the history that is shown is the one that was."""
    begins = f"{WEEKS[0] - pd.Timedelta(days=6):%Y-%m-%d}..{WEEKS[19]:%Y-%m-%d}"
    share = np.append((np.arange(20) * 7 + 4) / 140, np.ones(40))
    sold = STEADY.assign(y=STEADY["y"] * share)
    asked = phases(begins)
    full = asked.at_full_level(sold, "W-SUN")
    kept = STEADY[share >= 0.2]
    np.testing.assert_allclose(full["y"], kept["y"])
    found = asked.applied(forecast(full, 4))
    np.testing.assert_allclose(found.mean, forecast(kept, 4).mean)
    np.testing.assert_allclose(found.history["y"], sold["y"][share >= 0.2])


def test_what_is_still_to_begin_has_the_level_of_what_was_sold_before() -> None:
    asked = phases("2026-01")
    pd.testing.assert_frame_equal(asked.at_full_level(STEADY, "W-SUN"), STEADY)
    pd.testing.assert_series_equal(asked.applied(forecast(STEADY, 4)).history["y"], STEADY["y"])


@pytest.mark.parametrize("ends", [f"{WEEKS[39]:%Y-%m-%d}", f"{WEEKS[20]:%Y-%m-%d}..{WEEKS[39]:%Y-%m-%d}"])
def test_sales_that_go_on_after_the_end_are_counted_as_they_are_and_told(ends: str) -> None:
    asked, plain = phases(ends=ends), forecast(STEADY, 4)
    pd.testing.assert_frame_equal(asked.at_full_level(STEADY, "W-SUN"), STEADY)
    found = asked.applied(forecast(asked.at_full_level(STEADY, "W-SUN"), 4))
    assert (found.mean == 0).all()
    np.testing.assert_allclose(found.parts[ENDS], -plain.mean)
    assert found.quality == plain.quality
    told = f"sales go on after their end {asked.ends}: {STEADY['y'][40:].sum():,.0f} in 20 weeks; is that day right?"
    assert told in found.warnings
    assert not any("quality is" in text for text in found.warnings)


def test_a_few_pieces_left_after_a_fall_do_not_undo_it() -> None:
    ends = f"{WEEKS[30] - pd.Timedelta(days=6):%Y-%m-%d}..{WEEKS[49]:%Y-%m-%d}"
    left = np.r_[np.ones(30), 1 - (np.arange(20) * 7 + 3) / 140, np.zeros(10)]
    sold = STEADY.assign(y=STEADY["y"] * left + np.r_[np.zeros(50), np.ones(10)])
    asked = phases(ends=ends)
    full = asked.at_full_level(sold, "W-SUN")
    some = left >= 0.2
    np.testing.assert_allclose(full["y"][some], STEADY["y"][some])
    np.testing.assert_allclose(full["y"][50:], 1)
    found = asked.applied(forecast(full, 4))
    np.testing.assert_allclose(found.history["y"], sold["y"])
    assert any(
        text.startswith("sales go on") and "10 in 10 weeks" in text.replace("10.0", "10") for text in found.warnings
    )
    assert any("quality is that of the whole level" in text for text in found.warnings)


def test_after_the_last_day_nothing_is_left_to_the_last_digit() -> None:
    made = forecast(STEADY, 12)
    found = phases(ends=f"{made.ds[1] - 6 * DAY}..{made.ds[5]}").applied(made)
    assert (found.mean[6:] == 0).all()
    assert (found.grid[6:] == 0).all()
    assert (np.diff(found.grid, axis=1) >= 0).all()


def test_a_month_counts_its_days() -> None:
    months = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=24, freq="MS"), "y": 100.0})
    made = forecast(months, 3)
    share = phases("2026-02-15").applied(made).mean / made.mean
    np.testing.assert_allclose(share, [0, 14 / 28, 1])


def test_without_a_phase_there_is_nothing_to_do() -> None:
    assert not Phases()
    assert phases("2026-12")
