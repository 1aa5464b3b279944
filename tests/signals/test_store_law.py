"""The law of the store: rows known after T change no read as of T, rows stored later no answer given before."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.store import Batch, Snapshot, Store, open_snapshot
from tests.signals.store_frames import FIRST_WEEK, NOW, categories, signals

T = datetime(2026, 6, 1)

Row = tuple[str, int, int, float | None]  # series, period, day on which it became known, value

row = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(0, 3),
    st.integers(100, 200),
    st.none() | st.integers(0, 3).map(float),
)
batches = st.lists(st.lists(row, max_size=8, unique_by=lambda r: r[:3]), min_size=1, max_size=3)


def frame(rows: list[Row], name: str, value: str) -> pd.DataFrame:
    start = [FIRST_WEEK + timedelta(weeks=period) for _, period, _, _ in rows]
    columns = {
        name: pd.Series([series for series, *_ in rows], dtype="str"),
        "start": pd.Series(start, dtype="datetime64[us]"),
        "end": pd.Series([moment + timedelta(weeks=1) for moment in start], dtype="datetime64[us]"),
        value: pd.Series([quantity for *_, quantity in rows], dtype="float64"),
        "known_at": pd.Series([datetime(2026, 1, 1) + timedelta(days=r[2]) for r in rows], dtype="datetime64[us]"),
    }
    return pd.DataFrame(columns)


def build(home: str, parts: list[list[Row]], *late: Batch) -> Snapshot:
    with Store.open(Path(home)) as store:
        names = Batch("test", categories=categories("a", "b"), signals=signals("a", "b"))
        store.append(names, NOW)
        for rows in parts:
            sales, observations = frame(rows, "category", "quantity"), frame(rows, "signal", "value")
            store.append(Batch("test", sales=sales, observations=observations), NOW)
        for batch in late:
            store.append(batch, NOW + timedelta(days=1))
        store.publish()
    return open_snapshot(Path(home))


def answers(snapshot: Snapshot, as_of: datetime | None = None, data_version: int | None = None) -> bytes:
    text = ""
    for vintages in (False, True):
        for name in ("a", "b"):
            text += snapshot.sales(name, as_of, data_version, vintages).to_csv()
        text += snapshot.observations(["a", "b"], as_of, data_version, vintages).to_csv()
    return text.encode()


def known_later(known: Row) -> bool:
    return datetime(2026, 1, 1) + timedelta(days=known[2]) > T


@settings(max_examples=12, deadline=None)
@given(parts=batches, data=st.data())
def test_rows_known_after_t_change_no_read_as_of_t(parts: list[list[Row]], data: st.DataObject) -> None:
    def other(known: Row) -> list[Row]:
        if not known_later(known):
            return [known]
        new = data.draw(st.none() | st.just("gone") | st.integers(4, 9).map(float))
        return [] if new == "gone" else [(*known[:3], new)]  # type: ignore[list-item]

    perturbed = [[new for known in rows for new in other(known)] for rows in parts]
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        assert answers(build(one, parts), T) == answers(build(two, perturbed), T)


@settings(max_examples=8, deadline=None)
@given(parts=batches, later=batches, undated=st.booleans())
def test_what_is_stored_later_changes_no_answer_of_an_earlier_data_version(
    parts: list[list[Row]], later: list[list[Row]], undated: bool
) -> None:
    def late(rows: list[Row]) -> Batch:
        sales, observations = frame(rows, "category", "quantity"), frame(rows, "signal", "value")
        if undated:
            sales, observations = (
                f.drop_duplicates(subset=[*f.columns[:2]]).assign(known_at=None) for f in (sales, observations)
            )
        return Batch("test", sales=sales, observations=observations)

    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        before, after = build(one, parts), build(two, parts, *map(late, later))
        version = before.data_version
        assert answers(before, T) == answers(after, T, version)
        assert answers(before) == answers(after, None, version)


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(row, max_size=16, unique_by=lambda r: r[:3]), cut=st.integers(0, 16))
def test_a_read_gives_the_last_version_that_was_known(rows: list[Row], cut: int) -> None:
    rows.sort(key=lambda r: r[2])  # as news arrive: a repeated value is no version, so a late vintage could undo it
    expected: dict[tuple[str, int], float | None] = {}
    for series, period, day, value in rows:
        if not known_later((series, period, day, value)):
            expected[series, period] = value
    with TemporaryDirectory() as home:
        snapshot = build(home, [rows[:cut], rows[cut:]])
        for name in ("a", "b"):
            read = snapshot.sales(name, T)
            weeks = [(start - FIRST_WEEK).days // 7 for start in read["start"]]
            values = {period: v for (series, period), v in expected.items() if series == name and v is not None}
            assert dict(zip(weeks, read["quantity"], strict=True)) == values
