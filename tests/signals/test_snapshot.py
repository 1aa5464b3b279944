"""Published snapshots and the readers of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from signals import publish as publish_module
from signals import snapshot as snapshot_module
from signals.home import Home
from signals.snapshot import window_label
from signals.store import (
    Store,
    StoreEmpty,
    UnknownCategory,
    UnknownSignal,
    VersionNotPublished,
    open_snapshot,
)
from tests.signals.store_frames import NOW, append, batch, categories, observations, periods, sales, signals, stored


def test_an_empty_home_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(StoreEmpty, match="groundswell import sales FILE"):
        open_snapshot(tmp_path)


def test_a_first_publication_that_is_cut_off_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def cut(path: Path, text: str) -> None:
        with pytest.raises(StoreEmpty):
            open_snapshot(tmp_path)
        seen.append(text)
        raise KeyboardInterrupt

    with Store.open(tmp_path) as store:
        store.append(batch(sales([1])), NOW)
        with monkeypatch.context() as patch:
            patch.setattr(publish_module, "write_durably", cut)
            with pytest.raises(KeyboardInterrupt):
                store.publish()
        assert seen == ["snap-000000000001.duckdb"]
        with pytest.raises(StoreEmpty):
            open_snapshot(tmp_path)
        store.publish()
    assert list(open_snapshot(tmp_path).sales("Shoes")["quantity"]) == [1]
    assert sorted(p.name for p in Home(tmp_path).snapshots.iterdir()) == ["CURRENT", "snap-000000000001.duckdb"]


def test_sales_are_frames_of_fixed_columns_and_types(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([3, 1, 2]).iloc[::-1]))
    frame = snapshot.sales("Shoes")
    assert list(frame.columns) == ["start", "end", "quantity", "known_at", "known_basis"]
    assert list(frame["quantity"]) == [3, 1, 2]
    nothing = snapshot.sales("Shoes", as_of=datetime(2020, 1, 1))
    assert nothing.empty
    assert list(nothing.dtypes) == list(frame.dtypes) == ["datetime64[us]"] * 2 + ["float64", "datetime64[us]", "str"]


def test_as_of_takes_moments_with_a_zone(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1])), batch(sales([2])))
    east = timezone(timedelta(hours=5))
    for moment in (NOW, NOW.replace(tzinfo=UTC), (NOW + timedelta(hours=5)).replace(tzinfo=east), pd.Timestamp(NOW)):
        assert list(snapshot.sales("Shoes", as_of=moment)["quantity"]) == [1]


def test_a_data_version_answers_as_it_did_then(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1, 2])), batch(sales([9, 8, 7])))
    assert list(snapshot.sales("Shoes", data_version=1)["quantity"]) == [1, 2]
    assert snapshot.sales("Shoes", data_version=0).empty
    for version in (-1, 3):
        with pytest.raises(VersionNotPublished, match=f"data_version {version} was asked for.*versions 0 to 2"):
            snapshot.sales("Shoes", data_version=version)


def test_unknown_names_come_with_a_suggestion(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1], "Clothing stores"), signals=signals("google_trends/boots/US")))
    for read in (snapshot.sales, snapshot.category, snapshot.candidates):
        with pytest.raises(UnknownCategory, match="did you mean 'Clothing stores'") as error:
            read("clothing store")
        assert error.value.near == ["Clothing stores"]
    with pytest.raises(UnknownCategory, match="groundswell categories lists them"):
        snapshot.sales("zzz")
    with pytest.raises(UnknownSignal, match="did you mean 'google_trends/boots/US'"):
        snapshot.observations(["google_trends/boots/US", "google_trends/boots"])


def test_categories_come_with_the_extent_of_their_sales(tmp_path: Path) -> None:
    rows = batch(sales([1, 2, 3]), categories=categories("Hats", "Shoes"))
    snapshot = stored(tmp_path, rows, batch(sales([1, 2, None])))
    frame = snapshot.categories()
    assert list(frame["category"]) == ["Hats", "Shoes"]
    assert list(frame["periods"]) == [0, 2]
    assert frame["end"][1] == periods(2)["end"][1]
    hats, shoes = snapshot.category("Hats"), snapshot.category("Shoes")
    assert (hats.periods, hats.start, hats.unit) == (0, None, None)
    assert (shoes.periods, shoes.start, shoes.frequency) == (2, periods(1)["start"][0], "W-SUN")


def test_signals_come_with_the_extent_of_their_data(tmp_path: Path) -> None:
    rows = batch(signals=signals("a", "b", unit="index"), observations=observations([1, 2, None], "a"))
    frame = stored(tmp_path, rows).signals().set_index("signal")
    assert list(frame["observations"]) == [2, 0]
    assert frame.loc["a", "last"] == periods(2)["start"][1]
    assert frame.loc["a", "last_known_at"] == periods(2)["end"][1]
    assert list(frame["future_known"]) == [False, False]
    assert list(frame["aggregation"]) == ["mean", "mean"]


def test_candidates_are_a_category_s_own_and_everybody_s(tmp_path: Path) -> None:
    pairs = pd.DataFrame({"category": ["*", "Shoes"], "signal": ["b", "a"]})
    names = categories("Hats", "Shoes")
    snapshot = stored(tmp_path, batch(categories=names, signals=signals("a", "b")), batch(candidates=pairs))
    assert snapshot.candidates("Shoes") == ["a", "b"]
    assert snapshot.candidates("Hats") == ["b"]
    assert snapshot.candidates("Shoes", data_version=1) == []


def test_observations_of_several_signals(tmp_path: Path) -> None:
    both = pd.concat([observations([1, 2], "b"), observations([3], "a")])
    snapshot = stored(tmp_path, batch(signals=signals("a", "b", "c"), observations=both))
    frame = snapshot.observations(["b", "a", "c"])
    assert list(frame.columns) == ["signal", "start", "end", "value", "known_at", "known_basis"]
    assert list(zip(frame["signal"], frame["value"], strict=True)) == [("a", 3), ("b", 1), ("b", 2)]
    assert snapshot.observations([]).empty
    assert list(snapshot.observations(["b"], vintages=True)["value"]) == [1, 2]


def test_a_signal_scaled_by_its_window_is_read_as_one_window(tmp_path: Path) -> None:
    first, second = window_label(datetime(2026, 3, 1)), window_label(datetime(2026, 4, 1))
    snapshot = stored(
        tmp_path,
        batch(signals=signals(scale="window"), observations=observations([50, 100, 80], window=first)),
        batch(observations=observations([25, 20], skip=2, window=second)),
    )
    assert list(snapshot.observations(["rain"])["value"]) == [25, 20]
    assert list(snapshot.observations(["rain"], as_of=datetime(2026, 3, 2))["value"]) == [50, 100, 80]
    assert list(snapshot.observations(["rain"], data_version=1)["value"]) == [50, 100, 80]
    assert list(snapshot.observations(["rain"], as_of=datetime(2026, 1, 20))["value"]) == [50, 100], "a backfill"
    assert snapshot.signals()["observations"].item() == 2, "what is not read is not counted"


def test_a_period_that_was_still_running_is_not_read(tmp_path: Path) -> None:
    running = observations([1, 2], is_partial=[False, True], known_at=pd.DatetimeIndex([datetime(2026, 1, 15)] * 2))
    over = observations([3], skip=1, is_partial=False, known_at=pd.DatetimeIndex([datetime(2026, 1, 20)]))
    snapshot = stored(tmp_path, batch(signals=signals(), observations=running), batch(observations=over))
    assert list(snapshot.observations(["rain"], as_of=datetime(2026, 1, 16))["value"]) == [1]
    assert list(snapshot.observations(["rain"])["value"]) == [1, 3]
    assert list(snapshot.observations(["rain"], vintages=True)["value"]) == [1, 3]


def test_cursors_are_kept_by_version(tmp_path: Path) -> None:
    def through(day: datetime) -> object:
        return pd.DataFrame({"signal": ["rain"], "through": pd.DatetimeIndex([day]).as_unit("us")})

    first, second = datetime(2026, 3, 1), datetime(2026, 4, 1)
    snapshot = stored(tmp_path, batch(signals=signals(), cursors=through(first)), batch(cursors=through(second)))
    assert snapshot.cursors() == {"rain": pd.Timestamp(second)}
    assert snapshot.cursors(data_version=1) == {"rain": pd.Timestamp(first)}


def test_refresh_moves_forward_and_reads_are_not_blocked_by_the_owner(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([1])))
    assert not snapshot.refresh()
    with Store.open(tmp_path) as store:
        store.append(batch(sales([2])))
        assert list(snapshot.sales("Shoes")["quantity"]) == [1]
        assert store.publish() == 2
        assert snapshot.data_version == 1
        assert snapshot.refresh()
        assert list(snapshot.sales("Shoes")["quantity"]) == [2]
    assert snapshot.data_version == 2


def test_three_snapshots_are_kept_and_a_deleted_one_serves_its_readers(tmp_path: Path) -> None:
    old = stored(tmp_path, batch(sales([0.0] * 3)))
    for quantity in range(1, 5):
        append(tmp_path, batch(sales([float(quantity)] * 3)))
    names = sorted(p.name for p in Home(tmp_path).snapshots.iterdir())
    assert names == ["CURRENT", *(f"snap-{v:012d}.duckdb" for v in (3, 4, 5))]
    assert list(old.sales("Shoes")["quantity"]) == [0, 0, 0]
    assert old.refresh()
    assert old.data_version == 5


def test_publish_does_nothing_when_nothing_changed(tmp_path: Path) -> None:
    append(tmp_path, batch(sales([1])))
    before = {p.name: p.stat().st_ino for p in Home(tmp_path).snapshots.iterdir()}
    append(tmp_path, batch(sales([1])))
    assert {p.name: p.stat().st_ino for p in Home(tmp_path).snapshots.iterdir()} == before


def test_a_publish_that_fails_leaves_the_old_snapshot_and_no_leftovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = stored(tmp_path, batch(sales([1])))
    monkeypatch.setattr("signals.publish._SUMMARIES", "SELECT error('disk full')")
    with pytest.raises(duckdb.Error, match="disk full"):
        append(tmp_path, batch(sales([2])))
    monkeypatch.undo()
    assert not snapshot.refresh()
    with Store.open(tmp_path) as store:
        assert not list(Home(tmp_path).snapshots.glob(".tmp-*"))
        assert store.publish() == 2
    assert snapshot.refresh()


def test_a_snapshot_deleted_between_reading_its_name_and_opening_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, batch(sales([1])))
    original = snapshot_module._View
    opened: list[str] = []

    def late(home: Home, name: str) -> object:
        if not opened:
            for quantity in range(2, 6):
                append(tmp_path, batch(sales([quantity])))
        opened.append(name)
        return original(home, name)

    monkeypatch.setattr(snapshot_module, "_View", late)
    assert open_snapshot(tmp_path).data_version == 5
    assert len(opened) == 2


def test_many_threads_read_while_the_snapshot_moves(tmp_path: Path) -> None:
    snapshot = stored(tmp_path, batch(sales([0.0] * 50)))

    def read(_: int) -> int:
        snapshot.refresh()
        return snapshot.sales("Shoes")["quantity"].nunique()

    with ThreadPoolExecutor(4) as pool:
        reads = pool.map(read, range(200))
        for quantity in range(1, 6):
            append(tmp_path, batch(sales([float(quantity)] * 50)))
        assert set(reads) == {1}


def test_a_home_with_a_quote_in_its_name(tmp_path: Path) -> None:
    assert list(stored(tmp_path / "Jo's shop", batch(sales([1]))).sales("Shoes")["quantity"]) == [1]
