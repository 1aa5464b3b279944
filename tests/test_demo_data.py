"""The simulated demo retailer: its files are what the script writes, in the shape that docs/demo.md claims."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

DEMO = Path(__file__).parent.parent / "data" / "demo"
FILES = ("sales.csv", "signals.csv", "truth.json")
SNAPSHOT = pd.Timestamp("2026-11-23T06:00:00Z")
LAST_WEEK = pd.Timestamp("2026-11-08")


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    return pd.read_csv(DEMO / "sales.csv", parse_dates=["week", "known_at"])


@pytest.fixture(scope="module")
def signals() -> pd.DataFrame:
    return pd.read_csv(DEMO / "signals.csv", parse_dates=["date", "known_at"])


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DEMO / "truth.json").read_text(encoding="utf-8"))
    return loaded


def test_the_script_writes_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DEMO / "simulate.py"), "--out", str(tmp_path)], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), f"{name}: run python data/demo/simulate.py"


def test_files_are_small_and_say_that_they_are_simulated(signals: pd.DataFrame, truth: dict[str, Any]) -> None:
    assert sum((DEMO / name).stat().st_size for name in FILES) < 1_000_000
    assert set(signals["source"]) == {"simulated"}
    assert truth["simulated"] is True
    for page in (DEMO / "README.md", DEMO.parent / "README.md", DEMO.parent.parent / "docs" / "demo.md"):
        assert "simulated" in page.read_text(encoding="utf-8")


def test_six_categories_of_five_years_of_weeks_without_a_gap(sales: pd.DataFrame, truth: dict[str, Any]) -> None:
    assert len(truth["categories"]) == 6
    assert set(sales["category"]) == set(truth["categories"])
    expected = pd.date_range(end=LAST_WEEK, periods=261, freq="W-SUN")
    for _, rows in sales.groupby("category"):
        assert list(rows["week"].drop_duplicates()) == list(expected)
    assert (sales["units"] > 0).all()


def test_sales_are_published_ten_days_late_and_then_revised(sales: pd.DataFrame) -> None:
    figures = sales.sort_values("known_at").groupby(["category", "week"])["units"].agg(["first", "last", "size"])
    late = sales.groupby(["category", "week"], as_index=False)["known_at"].min()
    delay = late["known_at"].dt.tz_localize(None) - late["week"]
    assert delay.between(pd.Timedelta(days=10), pd.Timedelta(days=11)).all()
    settled = figures[figures.index.get_level_values("week") <= LAST_WEEK - pd.Timedelta(weeks=8)]
    assert set(settled["size"]) == {2, 3}
    off = (settled["first"] / settled["last"] - 1).abs()
    assert off.between(0.0095, 0.0305).all()  # 1 to 3 percent, give or take the rounding to whole units


def test_nothing_in_the_files_became_known_after_the_snapshot(sales: pd.DataFrame, signals: pd.DataFrame) -> None:
    assert sales["known_at"].max() <= SNAPSHOT
    assert signals["known_at"].max() <= SNAPSHOT
    observed = signals[~signals["future_known"]]
    assert (observed["known_at"].dt.tz_localize(None) > observed["date"]).all()


def test_each_signal_comes_at_its_own_pace(signals: pd.DataFrame) -> None:
    reach = signals.groupby("signal")["date"].max()
    assert reach["mobility"] == pd.Timestamp("2026-11-20")  # three days late
    assert reach["social/sneakers"] == reach["search/winter_jackets"] == pd.Timestamp("2026-11-22")  # the next morning
    step = signals.groupby("signal")["date"].agg(lambda dates: dates.diff().max().days)
    daily = {"mobility", "social/sneakers"}
    assert {name: int(days) for name, days in step.items()} == {name: 1 if name in daily else 7 for name in reach.index}
    assert not signals.duplicated(["signal", "date"]).any()


def test_promotions_and_holidays_are_known_half_a_year_ahead(signals: pd.DataFrame) -> None:
    planned = signals[signals["future_known"]]
    assert {name.split("/")[0] for name in planned["signal"]} == {"promotions", "public_holidays"}
    assert (planned.groupby("signal")["date"].max() >= LAST_WEEK + pd.Timedelta(weeks=26)).all()
    ahead = planned["date"] - planned["known_at"].dt.tz_localize(None)
    assert ahead.min() > pd.Timedelta(weeks=29)


def test_easter_moves_in_the_holiday_signal(signals: pd.DataFrame) -> None:
    days = signals[signals["signal"] == "public_holidays"].set_index("date")["value"]
    sundays = ["2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28"]
    for easter in pd.to_datetime(sundays):
        assert days[easter] == 1, "Good Friday falls in the week that Easter Sunday ends"
        assert days[easter + pd.Timedelta(weeks=1)] >= 1, "Easter Monday falls in the next"


def test_truth_names_every_offered_signal_and_one_placebo(signals: pd.DataFrame, truth: dict[str, Any]) -> None:
    for category, offered in truth["categories"].items():
        in_file = signals.loc[signals["category"].isin(["*", category]), "signal"]
        assert set(in_file) == set(offered)
        assert offered[truth["placebo"]] == {"driver": False}
    drivers = {c: [s for s, known in offered.items() if known["driver"]] for c, offered in truth["categories"].items()}
    assert truth["no_help"] == [category for category, names in drivers.items() if not names]
    assert len(truth["no_help"]) == 1


def test_the_simulated_pandemic_empties_restaurants_and_returns_at_the_end(
    sales: pd.DataFrame, signals: pd.DataFrame
) -> None:
    mobility = signals[signals["signal"] == "mobility"].set_index("date")["value"]
    assert mobility["2023-04-01":"2023-05-10"].mean() < -50
    assert mobility["2026-11-14":].mean() < -12, "and it falls again where the files end"
    meals = sales[sales["category"] == "Restaurant meals"].groupby("week")["units"].last()
    closed = meals["2023-04-02":"2023-05-14"].mean() / meals["2022-04-03":"2022-05-15"].mean()
    assert 0.5 < closed < 0.75


def test_the_documented_truth_is_the_simulated_truth(truth: dict[str, Any]) -> None:
    page = (DEMO.parent.parent / "docs" / "demo.md").read_text(encoding="utf-8")
    rows = []
    for category, offered in truth["categories"].items():
        for signal, known in offered.items():
            if known["driver"]:
                name = f"**`{signal}`**" if known["strong"] else f"`{signal}`"
                sign = "−" if known["effect"] < 0 else ""
                rows.append(f"| {category} | {name} | {known['lag_weeks']} | {sign}{known['swing_pct']} % |")
    assert "\n".join(rows) + "\n" in page
