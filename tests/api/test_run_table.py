"""The results of a run as rows, whatever each of its requests asked for."""

from __future__ import annotations

import datetime as dt

import orjson
import pyarrow as pa

from api.ledger import Issued
from api.run_table import Result, schema_of, table_of
from tests.api.odata_rows import answer_of, period_of


def made(number: int, *weeks: str, **intervals: list[float]) -> Result:
    levels = {name[1:]: ends for name, ends in intervals.items()}
    answer = answer_of(f"fc_{number}", f"C{number}", [period_of(week, 10.0, intervals=levels) for week in weeks])
    return number, f"C{number}", Issued(f"fc_{number}", f"C{number}", orjson.dumps(answer), b"{}")


def test_rows_come_in_the_order_asked_for_with_nulls_where_nothing_was_said() -> None:
    results = [
        made(3, "2026-11-29", "2026-12-06", _80=[8.0, 12.0]),
        (4, None, b'{"status": 422}'),
        made(5, "2026-12-06", _50=[9.0, 11.0]),
    ]
    table = table_of(results)
    assert table.schema == schema_of([50.0, 80.0])
    assert table["number"].to_pylist() == [3, 3, 4, 5]
    assert table["category"].to_pylist() == ["C3", "C3", None, "C5"]
    assert table["period"].to_pylist() == [dt.date(2026, 11, 29), dt.date(2026, 12, 6), None, dt.date(2026, 12, 6)]
    assert table["lo-50"].to_pylist() == [None, None, None, 9.0]
    assert table["hi-80"].to_pylist() == [12.0, 12.0, None, None]
    shares = [("level", 9.0), ("google_trends/boots/US", 1.0)]
    assert table["contributions"].to_pylist() == [shares, shares, None, shares]
    assert table["problem"].to_pylist() == [None, None, '{"status": 422}', None]


def test_a_chunk_without_any_forecast_has_rows_too() -> None:
    table = table_of([(0, "C0", b"{}"), (1, None, b"{}")])
    assert table.drop_columns(["number", "category", "problem"]) == pa.table(
        {name: pa.nulls(2, kind) for name, kind in zip(schema_of([]).names, schema_of([]).types, strict=True)}
    ).drop_columns(["number", "category", "problem"])
    assert len(table_of([])) == 0
