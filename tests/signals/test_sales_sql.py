"""One SELECT over a database: what is run, what comes back, and what is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pytest

from signals.refused import ImportRefused
from signals.sales_config import Address
from signals.sales_sql import Limits, _array, checked, run_query

LIMITS = Limits(20.0, 1000)


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "erp.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE line (item TEXT, day TEXT, qty NUMERIC, photo BLOB)")
        rows = [("Boots", f"2026-09-{day:02d}", day, b"\xff") for day in (6, 13, 20, 27)]
        connection.executemany("INSERT INTO line VALUES (?, ?, ?, ?)", rows)
    return f"sqlite:///{path}"


def run(url: str, query: str, home: Path = Path("/nowhere/home"), limits: Limits = LIMITS):
    return run_query(Address(url), query, "erp", home, limits)


def test_the_result_is_a_table_with_a_hash(database: str) -> None:
    answer = run(database, "SELECT item AS category, day, qty FROM line ORDER BY day;")
    assert answer.read().data.to_pylist()[0] == {"category": "Boots", "day": "2026-09-06", "qty": 6}
    assert answer.content == run(database, "SELECT item AS category, day, qty FROM line ORDER BY day").content
    assert answer.content != run(database, "SELECT item AS category, day, qty + 1 AS qty FROM line").content


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ';' AS a -- no; comment",
        "with x as (select 1 as a) select * from x;",
        "/* SELECT */ SELECT\n1 AS a",
        '(SELECT 1 AS "a;b")',
    ],
)
def test_a_single_select_is_taken(query: str) -> None:
    assert checked(query) == query.removesuffix(";")


@pytest.mark.parametrize(
    "query",
    ["", ";", "DELETE FROM line", "SELECT 1; DROP TABLE line", "-- SELECT\nDROP TABLE line", "EXPLAIN SELECT 1"],
)
def test_anything_else_is_refused(query: str) -> None:
    with pytest.raises(ImportRefused, match="not a single SELECT"):
        checked(query)


def test_nothing_can_be_written(database: str) -> None:
    with pytest.raises(ImportRefused, match=r"cannot read from sqlite"):
        run(database, "WITH x AS (SELECT 1) DELETE FROM line")
    assert run(database, "SELECT count(*) AS n FROM line").read().data.to_pylist() == [{"n": 4}]


def test_signs_that_drivers_read_as_parameters_are_left_alone(database: str) -> None:
    found = run(database, "SELECT ':x %s %(y)s ?' AS text, 7 % 4 AS rest").read().data.to_pylist()
    assert found == [{"text": ":x %s %(y)s ?", "rest": 3}]


def test_a_result_without_rows_is_refused(database: str) -> None:
    with pytest.raises(ImportRefused, match="erp has no rows"):
        run(database, "SELECT * FROM line WHERE qty < 0")


def test_bytes_flags_and_doubled_names_are_refused(database: str) -> None:
    with pytest.raises(ImportRefused, match="column 'photo': the result holds bytes"):
        run(database, "SELECT * FROM line")
    with pytest.raises(ImportRefused, match="two columns named 'item'"):
        run(database, "SELECT item, day AS item FROM line")


def test_limits_hold(database: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with pytest.raises(ImportRefused, match="more than max_rows = 1,000"):
        run(database, endless)
    with pytest.raises(ImportRefused, match=r"longer than timeout = 0\.2 seconds"):
        run(database, endless.replace("SELECT i FROM", "SELECT max(i) FROM"), limits=Limits(0.2, 1000))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2], pa.int64()),
        ([1, 2**70], pa.float64()),
        ([Decimal("1.5"), 2, None], pa.float64()),
        (["a", None], pa.string()),
        ([date(2026, 9, 6)], pa.date32()),
        ([datetime(2026, 9, 6)], pa.timestamp("us")),
        ([datetime(2026, 9, 6, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        ([UUID(int=1)], pa.string()),
        ([None, None], pa.null()),
    ],
)
def test_each_column_has_one_type(values: list[object], kind: pa.DataType) -> None:
    assert _array("x", values).type == kind


@pytest.mark.parametrize(
    "values",
    [[1, "a"], [True, 1], [memoryview(b"a")], [{"a": 1}], [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)]],
)
def test_other_values_are_refused_with_their_column(values: list[object]) -> None:
    with pytest.raises(ImportRefused, match="column 'x'"):
        _array("x", values)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "it is no URL of a database"),
        ("sqlite:////absent.db", "there is no such file"),
        ("sqlite:///relative.db", "there is no such file"),
        ("sqlite://", "there is no such file"),
        ("foxpro://db/x", "knows no database 'foxpro'"),
        ("oracle+oracledb://me:pw@db/x", "Install it: pip install 'oracledb'"),
    ],
)
def test_a_database_that_cannot_be_used_is_told(url: str, said: str) -> None:
    with pytest.raises(ImportRefused, match="cannot read from") as refused:
        run(url, "SELECT 1")
    assert said in str(refused.value)
    assert ":pw" not in str(refused.value)


def test_what_the_database_says_is_one_sentence(database: str) -> None:
    with pytest.raises(ImportRefused, match="no such table: absent") as refused:
        run(database, "SELECT * FROM absent")
    assert "\n" not in str(refused.value)
    assert "sqlalche.me" not in str(refused.value)


def test_a_file_of_the_home_is_refused(tmp_path: Path, database: str) -> None:
    with pytest.raises(ImportRefused, match="lies in the home"):
        run(database, "SELECT 1", home=tmp_path)
