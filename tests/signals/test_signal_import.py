from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from signals.refused import ImportRefused
from signals.signal_import import prepare_signals
from signals.store import open_snapshot, submit

NOW = datetime(2026, 11, 23, 9)


def weeks(count, last="2026-11-22"):
    return pd.date_range(end=last, periods=count, freq="W-SUN")


def long(signal="rain", days=None, **columns):
    days = weeks(8) if days is None else days
    return pd.DataFrame({"signal": signal, "date": days, "value": np.arange(len(days), dtype=float), **columns})


def prepare(data, **options):
    return prepare_signals(data, **{"now": NOW, **options})


def described(prepared):
    return prepared.batch.signals.set_index("signal")


def refused(data, problem, **options):
    with pytest.raises(ImportRefused, match=problem) as refusal:
        prepare(data, **options)
    assert refusal.value.remedy
    return refusal.value


def test_long_table():
    prepared = prepare(pd.concat([long(), long("wind")]))
    assert prepared.mapping == {"signal": "signal", "date": "date", "value": "value"}
    assert prepared.batch.observations.groupby("signal").size().to_dict() == {"rain": 8, "wind": 8}
    assert prepared.batch.candidates.values.tolist() == [["*", "rain"], ["*", "wind"]]


def test_wide_table_has_a_signal_a_column_each_with_its_cadence():
    days = pd.date_range("2026-06-01", "2026-11-22")
    frame = pd.DataFrame({"date": days, "rain": 1.5, "units": 2, "cpi": np.where(days.day == 1, 3.0, np.nan)})
    prepared = prepare(frame)
    assert described(prepared)["cadence"].to_dict() == {"cpi": "MS", "rain": "D", "units": "D"}
    assert prepared.mapping["value"] == "rain, units, cpi"


def test_defaults():
    row = described(prepare(long())).loc["rain"]
    assert (row["source"], row["aggregation"], row["scale"], row["future_known"]) == ("file", "mean", "absolute", False)
    assert pd.isna(row["publication_lag"])


def test_columns_describe_each_signal():
    wind = long("wind", unit="m/s", aggregation="mean", publication_lag="2 days", future_known="no")
    frame = pd.concat([long(unit="mm", aggregation="sum", publication_lag="1", future_known="true"), wind])
    signals = described(prepare(frame))
    assert signals["unit"].to_dict() == {"rain": "mm", "wind": "m/s"}
    assert signals["aggregation"].to_dict() == {"rain": "sum", "wind": "mean"}
    assert signals["publication_lag"].dt.days.to_dict() == {"rain": 1, "wind": 2}
    assert signals["future_known"].to_dict() == {"rain": True, "wind": False}


def test_what_the_user_says_wins_over_columns():
    prepared = prepare(long(unit="mm", region="US"), unit="inch", source="weather", aggregation="sum", lag_days=4)
    row = described(prepared).loc["rain"]
    assert (row["unit"], row["region"], row["source"], row["aggregation"]) == ("inch", "US", "weather", "sum")
    assert (row["publication_lag"].days, prepared.batch.lag.days) == (4, 4)


def test_known_signals_keep_what_the_store_says_of_them():
    row = described(prepare(long(days=["2026-11-22"]), known_signals={"rain": "W-SUN"})).loc["rain"]
    assert row["cadence"] == "W-SUN"
    assert row[["source", "aggregation", "scale", "future_known"]].isna().all()


def test_contradicting_descriptions_are_refused():
    error = refused(long(unit=["mm"] * 7 + ["inch"]), "has unit 'inch' here and 'mm' on row 1")
    assert (error.row, error.column) == (8, "unit")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"aggregation": "median"}, "aggregation is 'median'"),
        ({"scale": "log"}, "scale is 'log'"),
        ({"publication_lag": "soon"}, "'soon' is not a number of days"),
        ({"future_known": "perhaps"}, "'perhaps' is neither true nor false"),
    ],
)
def test_wrong_descriptions_are_refused(columns, problem):
    assert refused(long(**columns), problem).row == 1


def test_future_known_signals_run_ahead_and_others_may_not():
    ahead = long(days=weeks(16, "2027-01-03"))
    assert prepare(ahead, future_known=True).rows == 16
    assert "--future-known" in refused(ahead, "2026-12-06 lies in the future").remedy
    assert prepare(long(days=weeks(9, "2026-11-29"))).rows == 8


def test_category_column_makes_candidates_of_one_series():
    frame = pd.concat([long(category="Shoes"), long(category="Hats")])
    prepared = prepare(frame)
    assert prepared.rows == 8
    assert prepared.batch.candidates.values.tolist() == [["Hats", "rain"], ["Shoes", "rain"]]


def test_one_signal_with_a_value_for_each_category_is_refused():
    frame = pd.concat([long(category="Shoes"), long(category="Hats").assign(value=5.0)])
    refused(frame, "signal 'rain' on 2026-10-04 is 0 for 'Shoes', but 5 for 'Hats'|is 5 for 'Hats', but 0 for 'Shoes'")


def test_unknown_category_is_refused_with_the_nearest():
    error = refused(long(category="Shoe"), "there is no category 'Shoe'", known_categories=["Shoes", "Hats"])
    assert error.remedy == "Did you mean 'Shoes'?"
    assert prepare(long(category="*"), known_categories=["Shoes"]).rows == 8


def test_values_without_a_name_need_one():
    frame = long().drop(columns="signal")
    refused(frame, "does not say which signal its values belong to")
    assert described(prepare(frame, signal="=Rain")).index.tolist() == ["Rain"]


def test_known_at_makes_vintages():
    frame = pd.concat([long(known_at="2026-11-22T23:00Z"), long(known_at="2026-11-23T05:00Z")], ignore_index=True)
    assert prepare(frame).rows == 16
    refused(long(known_at="2026-12-01"), "lies in the future")


def test_blank_withdraws_in_a_long_table_and_says_nothing_in_a_wide_one():
    frame = long()
    frame.loc[3, "value"] = np.nan
    assert prepare(frame).batch.observations["value"].isna().sum() == 1
    assert prepare(frame.drop(columns="signal").rename(columns={"value": "rain"})).rows == 7


def test_irregular_dates_need_a_frequency():
    days = pd.to_datetime(["2026-05-01", "2026-07-04", "2026-10-03"])
    refused(long("holiday", days), "show neither days, weeks, months nor quarters")
    prepared = prepare(long("holiday", days), frequency="D", gaps="zero")
    assert prepared.rows == 156


def test_signals_are_not_added_up():
    days = pd.date_range("2026-06-01", "2026-11-22")
    refused(long(days=days), "several values in one period of W-SUN", frequency="W-SUN")


def test_wrong_aggregation_is_refused():
    refused(long(), "--aggregation is 'max'", aggregation="max")


def test_table_without_numbers_is_refused():
    refused(pd.DataFrame({"date": weeks(3), "text": "abc"}), "no column holds numbers")


def test_store_takes_the_batch_once(tmp_path):
    batch = prepare(long(lag_days=None), lag_days=2).batch
    assert [submit(tmp_path, batch).inserted for _ in range(2)] == [8, 0]
    kept = open_snapshot(tmp_path).observations(["rain"])
    assert kept["known_at"].iloc[0] == kept["end"].iloc[0] + pd.Timedelta(days=2)
