"""Sales from a real PostgreSQL: types, read-only, timeout, and what is said when it cannot be reached."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from signals.refused import ImportRefused
from signals.sales_config import Address, load_sales_sources
from signals.sales_sources import pull_sales
from signals.sales_sql import Limits, run_query
from signals.store import open_snapshot

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed (Debian package postgresql)"),
]
PASSWORD = "s3cr/t@1"
NOW = datetime(2026, 11, 23, 9)
LIMITS = Limits(20.0, 1000)
SETUP = """
CREATE TABLE line (item text, sold timestamptz, qty numeric(12,3), ok boolean, photo bytea,
                   id uuid DEFAULT gen_random_uuid());
INSERT INTO line SELECT 'Boots', day + interval '23 hours 30 minutes', n, true, 'x'
FROM generate_series(timestamptz '2026-10-03 00:00+00', timestamptz '2026-10-24 00:00+00', interval '7 days')
     WITH ORDINALITY AS weeks(day, n);
CREATE ROLE reader LOGIN PASSWORD 's3cr/t@1';
GRANT SELECT, INSERT ON line TO reader;
"""


def program(name: str, *args: object) -> None:
    """Run a program of PostgreSQL, which refuses to work for root."""
    user = "postgres" if os.geteuid() == 0 else None
    assert PROGRAMS is not None
    subprocess.run(
        [PROGRAMS / name, *map(str, args)], user=user, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    folder = Path(tempfile.mkdtemp(prefix="groundswell-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    try:
        program("initdb", "-D", folder / "data", "-U", "admin", "-A", "trust", "--no-sync")
        (folder / "data" / "pg_hba.conf").write_text("local all admin trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        options = f"-c listen_addresses=127.0.0.1 -c port={number} -c unix_socket_directories={folder} -c fsync=off"
        program("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
        program("psql", "-h", folder, "-p", number, "-U", "admin", "-d", "postgres", "-c", SETUP)
        yield number
        program("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def place(port: int) -> Address:
    text = f"postgresql+psycopg://reader:s3cr%2Ft%401@127.0.0.1:{port}/postgres"
    return Address(text, (PASSWORD, "s3cr%2Ft%401"))


def refused(place: Address, query: str, tmp_path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(ImportRefused) as error:
        run_query(place, query, "erp", tmp_path, limits)
    assert "s3cr" not in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_sales_are_pulled_on_the_days_of_their_time_zone(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERP_PASSWORD", PASSWORD)
    (tmp_path / "groundswell.toml").write_text(
        f'[[sales]]\nname = "erp"\ndatabase = "postgresql+psycopg://reader@127.0.0.1:{port}/postgres"\n'
        'password_variable = "ERP_PASSWORD"\ntimezone = "Europe/Berlin"\n'
        'query = "SELECT item AS category, sold, sum(qty) AS units FROM line GROUP BY 1, 2 ORDER BY 1, 2"\n'
    )
    result = pull_sales(tmp_path, load_sales_sources(tmp_path)[0], now=NOW)
    assert (result.status, result.error) == ("stored", "")
    found = open_snapshot(tmp_path).sales("Boots")
    # 23:30 UTC on a Saturday is Sunday in Berlin, the last day of the week.
    assert found["end"].dt.strftime("%F").tolist() == ["2026-10-05", "2026-10-12", "2026-10-19", "2026-10-26"]
    assert found["quantity"].tolist() == [1, 2, 3, 4]


def test_types_come_as_they_are(place: Address, tmp_path: Path) -> None:
    query = "SELECT item, sold::date AS day, qty, id FROM line ORDER BY sold"
    data = run_query(place, query, "erp", tmp_path, LIMITS).read().data
    assert [str(field.type) for field in data.schema] == ["string", "date32[day]", "double", "string"]
    assert "holds bytes" in refused(place, "SELECT photo FROM line", tmp_path)
    assert "holds flags" in refused(place, "SELECT ok FROM line", tmp_path)


@pytest.mark.parametrize(
    "query",
    [
        "WITH gone AS (INSERT INTO line (item) VALUES ('x') RETURNING item) SELECT * FROM gone",
        "SELECT set_config('transaction_read_only', 'off', false), nextval('absent')",
    ],
)
def test_nothing_can_be_written(query: str, place: Address, tmp_path: Path) -> None:
    assert "cannot read from postgresql" in refused(place, query, tmp_path)
    data = run_query(place, "SELECT count(*) AS n FROM line", "erp", tmp_path, LIMITS).read().data
    assert data.to_pylist() == [{"n": 4}]


def test_limits_hold(place: Address, tmp_path: Path) -> None:
    assert "more than max_rows" in refused(place, "SELECT * FROM generate_series(1, 9999) AS n", tmp_path)
    slow = replace(LIMITS, seconds=0.3)
    assert "longer than timeout" in refused(place, "SELECT pg_sleep(30)::text AS t", tmp_path, slow)


def test_many_rows_come_in_pieces(place: Address, tmp_path: Path) -> None:
    query = "SELECT CASE WHEN n > 60000 THEN n + 0.5 END AS n FROM generate_series(1, 120000) AS n"
    data = run_query(place, query, "erp", tmp_path, Limits(20.0, 200_000)).read().data
    assert data.num_rows == 120_000
    assert data["n"].null_count == 60_000


def test_signs_that_drivers_read_as_parameters_are_left_alone(place: Address, tmp_path: Path) -> None:
    query = "SELECT count(*) AS n, ':x' AS t FROM line WHERE item LIKE 'Bo%' AND qty::int % 2 = 0"
    data = run_query(place, query, "erp", tmp_path, LIMITS).read().data
    assert data.to_pylist() == [{"n": 2, "t": ":x"}]


def test_a_database_that_cannot_be_reached_is_told_without_the_password(place: Address, tmp_path: Path) -> None:
    wrong = replace(place, text=place.text.replace("%401", "%402"))
    assert "password authentication failed" in refused(wrong, "SELECT 1", tmp_path)
    absent = replace(place, text=place.text.replace(str(sa.make_url(place.text).port), "1"))
    assert "Connection refused" in refused(absent, "SELECT 1", tmp_path)
    assert "relation" in refused(place, "SELECT * FROM absent", tmp_path)
