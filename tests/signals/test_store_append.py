"""What the store makes of a batch: when a value became known, what is new, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from signals.store import BatchRefused, Store, StoreEmpty, open_snapshot
from tests.signals.store_frames import (
    NOW,
    append,
    batch,
    categories,
    observations,
    periods,
    sales,
    signals,
    stored,
)


def test_imported_history_counts_as_known_at_the_end_of_its_periods_plus_the_lag(tmp_path: Path) -> None:
    frame = stored(tmp_path, batch(sales([1, 2]), lag=timedelta(days=2))).sales("Shoes")
    assert list(frame["known_at"]) == list(periods(2)["end"] + pd.Timedelta(days=2))
    assert set(frame["known_basis"]) == {"assumed_lag"}


def test_nothing_is_known_before_it_was_seen(tmp_path: Path) -> None:
    soon = NOW.replace(year=2026, month=1, day=14)
    frame = stored(tmp_path, batch(sales([1, 2])), now=soon).sales("Shoes")
    assert list(frame["known_at"]) == [pd.Timestamp("2026-01-12"), pd.Timestamp(soon)]
    assert list(frame["known_basis"]) == ["assumed_lag", "observed"]


def test_a_period_ends_at_midnight_of_the_category_s_own_time_zone(tmp_path: Path) -> None:
    zones = categories("Shoes", timezone="America/New_York")
    frame = stored(tmp_path, batch(sales([1]), categories=zones)).sales("Shoes")
    assert frame["known_at"][0] == pd.Timestamp("2026-01-12 05:00")


def test_the_same_rows_again_change_nothing(tmp_path: Path) -> None:
    first, second = append(tmp_path, batch(sales([1, 2, None])), batch(sales([1, 2, None])))
    assert (first.inserted, first.unchanged, first.withdrawn, first.data_version) == (2, 1, 0, 1)
    assert (second.inserted, second.unchanged, second.withdrawn, second.data_version) == (0, 3, 0, 1)


def test_a_corrected_value_is_a_version_known_now_and_the_old_one_stays(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1, 2])), batch(sales([1, 5])))
    versions = snapshot.sales("Shoes", vintages=True)
    assert list(versions["quantity"]) == [1, 2, 5]
    assert versions["known_at"][2] == pd.Timestamp(NOW) + pd.Timedelta(minutes=1)
    assert versions["known_basis"][2] == "observed"
    assert list(snapshot.sales("Shoes", as_of=NOW)["quantity"]) == [1, 2]


def test_a_withdrawn_value_does_not_come_back(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1, 2])), batch(sales([None, 2])), batch(sales([None, 2])))
    assert list(snapshot.sales("Shoes")["quantity"]) == [2]
    versions = snapshot.sales("Shoes", vintages=True)
    assert list(versions["quantity"].isna()) == [False, True, False]
    assert list(snapshot.sales("Shoes", as_of=NOW)["quantity"]) == [1, 2]


def test_a_withdrawn_value_can_be_given_again(tmp_path: Path) -> None:
    results = append(tmp_path, batch(sales([1])), batch(sales([None])), batch(sales([1])))
    assert [(r.inserted, r.withdrawn) for r in results] == [(1, 0), (0, 1), (1, 0)]
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [1]


def test_published_vintages_keep_their_dates_and_only_changes_are_kept(tmp_path: Path) -> None:
    days = pd.to_datetime(["2026-02-01", "2026-03-01", "2026-04-01"]).as_unit("us")
    versions = pd.concat(sales([q], known_at=[day]) for q, day in zip([1, 1, 3], days, strict=True))
    first, again = append(tmp_path, batch(versions), batch(versions))
    frame = open_snapshot(tmp_path).sales("Shoes", vintages=True)
    assert (first.inserted, again.inserted) == (2, 0)
    assert list(frame["known_at"]) == [days[0], days[2]]
    assert set(frame["known_basis"]) == {"published"}


def test_a_late_vintage_is_compared_with_what_was_known_in_its_own_time(tmp_path: Path) -> None:
    def known(quantity: float, day: str) -> pd.DataFrame:
        return sales([quantity], known_at=pd.to_datetime([day]).as_unit("us"))

    snapshot = stored(tmp_path, batch(known(5, "2026-04-01")), batch(known(5, "2026-02-01")))
    assert list(snapshot.sales("Shoes", as_of=datetime(2026, 3, 1))["quantity"]) == [5]
    assert snapshot.sales("Shoes", as_of=datetime(2026, 3, 1), data_version=1).empty


def test_an_undated_change_never_hides_behind_the_version_that_it_replaces(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1])), batch(sales([2])))
    with Store.open(tmp_path) as store:
        store.append(batch(sales([3])), now=NOW - timedelta(days=1))
        store.publish()
    snapshot.refresh()
    assert list(snapshot.sales("Shoes")["quantity"]) == [3]


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        with pytest.raises(BatchRefused, match="neither in the store nor in this batch"):
            store.append(batch(sales([1]), observations=observations([1], "nobody")), NOW)
        assert store.data_version == 0
        assert store.publish() == 0
    with pytest.raises(StoreEmpty, match="import sales first"):
        open_snapshot(tmp_path)


def test_a_refused_batch_is_on_record(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        with pytest.raises(BatchRefused):
            store.append(batch(sales([1]), observations=observations([1], "nobody")), NOW)
        log = store._connection.sql("SELECT status, error FROM batch").fetchall()
    assert log[0][0] == "refused"
    assert "'nobody'" in log[0][1]


def test_rows_without_a_known_category_are_refused_by_name(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    with Store.open(tmp_path) as store, pytest.raises(BatchRefused, match="category 'Boots' is neither"):
        store.append(batch(sales([1], "Boots"), categories=categories("Shoes")), NOW)
    append(tmp_path, batch(sales([2]), categories=None))  # known from before: no row needed


def test_two_values_for_one_period_and_moment_are_refused(tmp_path: Path) -> None:
    twice = pd.concat([sales([1, 2]), sales([3], skip=1)])
    with Store.open(tmp_path) as store:
        with pytest.raises(BatchRefused, match=r"'Shoes' has two different rows \(2.0 and 3.0\).*2026-01-12") as error:
            store.append(batch(twice), NOW)
        assert "keep one of them" in str(error.value)
        assert store.append(batch(pd.concat([sales([1, 2]), sales([2], skip=1)])), NOW).inserted == 2


def test_a_dated_and_an_undated_row_that_meet_in_one_moment_are_refused(tmp_path: Path) -> None:
    both = pd.concat([sales([1], known_at=pd.DatetimeIndex([NOW]).as_unit("us")), sales([2])])
    with Store.open(tmp_path) as store, pytest.raises(BatchRefused, match="two different rows"):
        store.append(batch(both), NOW)


def test_metadata_left_out_keeps_what_is_known(tmp_path: Path) -> None:
    with_unit = categories("Shoes", unit="pairs", attributes='{"item": "1000"}')
    first, second = append(tmp_path, batch(sales([1]), categories=with_unit), batch(sales([1])))
    record = open_snapshot(tmp_path).category("Shoes")
    assert (record.unit, record.attributes, record.timezone) == ("pairs", '{"item": "1000"}', "UTC")
    assert first.data_version == second.data_version == 1


def test_metadata_has_versions_too(tmp_path: Path) -> None:
    changes = [batch(sales([1]), categories=categories("Shoes", unit=unit)) for unit in ("pairs", "boxes")]
    snapshot = stored(tmp_path, *changes)
    assert snapshot.category("Shoes").unit == "boxes"
    assert snapshot.category("Shoes", data_version=1).unit == "pairs"
    assert list(snapshot.categories()["unit"]) == ["boxes"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (categories("Shoes", frequency="MS"), "has the frequency W-SUN in the store and MS here"),
        (pd.DataFrame({"category": ["Boots"]}), "'Boots' is new and has no frequency"),
        (categories("Boots", timezone="Europe/Bonn"), "no time zone is called 'Europe/Bonn'"),
        (categories("Boots", "Boots", unit=["a", "b"]), "'Boots' is described twice"),
    ],
)
def test_contradictory_metadata_is_refused(tmp_path: Path, rows: pd.DataFrame, message: str) -> None:
    append(tmp_path, batch(sales([1])))
    with Store.open(tmp_path) as store, pytest.raises(BatchRefused, match=message):
        store.append(batch(categories=rows), NOW)


def test_candidates_must_name_what_exists(tmp_path: Path) -> None:
    pairs = pd.DataFrame({"category": ["*", "Shoes"], "signal": ["rain", "weather"]})
    with Store.open(tmp_path) as store:
        with pytest.raises(BatchRefused, match="candidates: signal 'weather'"):
            store.append(batch(sales([1]), signals=signals("rain"), candidates=pairs), NOW)
        both = signals("rain", "weather")
        assert store.append(batch(sales([1]), signals=both, candidates=pairs), NOW).data_version == 1
        assert store.append(batch(candidates=pairs), NOW).data_version == 1


def test_a_value_that_is_no_longer_partial_is_a_version(tmp_path: Path) -> None:
    partial = batch(signals=signals(), observations=observations([7], is_partial=True))
    whole = batch(signals=signals(), observations=observations([7], is_partial=False))
    assert [r.inserted for r in append(tmp_path, partial, whole, whole)] == [1, 1, 0]


def test_a_signal_s_own_lag_wins_over_that_of_the_batch(tmp_path: Path) -> None:
    own = signals("own", "plain", publication_lag=pd.array([timedelta(days=3), None], dtype="timedelta64[us]"))
    values = pd.concat([observations([1], "own"), observations([1], "plain")])
    frame = stored(tmp_path, batch(signals=own, observations=values, lag=timedelta(days=10))).observations(
        ["own", "plain"]
    )
    late = frame["known_at"] - frame["end"]
    assert dict(zip(frame["signal"], late, strict=True)) == {"own": timedelta(days=3), "plain": timedelta(days=10)}


def test_undated_plans_count_as_known_a_year_ahead(tmp_path: Path) -> None:
    planned = batch(signals=signals("plan", future_known=True), observations=observations([1], "plan"))
    frame = stored(tmp_path, planned).observations(["plan"])
    assert frame["end"][0] - frame["known_at"][0] == pd.Timedelta(days=365)
