"""Sources pulled into a store: once, again, on a schedule, and what becomes of failures."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import stamina

from signals.connector import ConfigError
from signals.lock import ingest_lock
from signals.sales_config import load_sales_sources
from signals.sales_sources import SalesResult, check_sales, known_categories, pull_due_sales, pull_sales, sales_status
from signals.store import Store, StoreEmpty, open_snapshot
from tests.fakes.server import BROKEN, Answer, Asked, serving

NOW = datetime(2026, 11, 23, 9)
DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "in").mkdir()
    configure(tmp_path / "home", f'name = "drop"\nfolder = "{tmp_path}/in"')
    return tmp_path / "home"


def configure(home: Path, *tables: str) -> None:
    (home / "groundswell.toml").write_text("".join(f"[[sales]]\n{table}\n" for table in tables))


def drop(home: Path, name: str, first: str, *units: object, age: float = 60.0) -> None:
    path = home.parent / "in" / name
    days = pd.date_range(first, periods=len(units), freq="W-SUN")
    rows = [f"Boots,{day:%Y-%m-%d},{value}\n" for day, value in zip(days, units, strict=True)]
    path.write_text("group,week,units\n" + "".join(rows))
    os.utime(path, (time.time() - age,) * 2)


def pull(home: Path, now: datetime = NOW, name: str | None = None, **more: bool) -> SalesResult:
    sources = {source.name: source for source in load_sales_sources(home)}
    return pull_sales(home, sources[name or next(iter(sources))], now=now, **more)


def known(home: Path, **more: object) -> list[float]:
    return open_snapshot(home).sales("Boots", **more)["quantity"].tolist()


def test_a_folder_is_pulled_and_a_weekly_drop_follows(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    first = pull(home)
    assert (first.status, first.rows, first.counts.inserted) == ("stored", 3, 3)
    drop(home, "b.csv", "2026-10-25", 4)
    second = pull(home)
    assert (second.counts.inserted, second.counts.unchanged) == (1, 3)
    assert known(home) == [1, 2, 3, 4]


def test_a_correction_is_known_since_it_was_pulled(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    pull(home)
    drop(home, "b.csv", "2026-10-18", 9)
    assert pull(home, NOW + DAY).counts.inserted == 1
    assert known(home) == [1, 2, 9]
    assert known(home, as_of=NOW) == [1, 2, 3]


def test_what_has_not_changed_is_not_read_again_that_day(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    pull(home)
    with monkeypatch.context() as patch:
        patch.setattr("signals.sales_sources.prepare_sales", None)
        assert pull(home, NOW + DAY / 4).status == "unchanged"
    assert pull(home, again=True).counts.unchanged == 3


def test_a_period_that_has_ended_meanwhile_is_taken_the_next_day(home: Path) -> None:
    sunday = datetime(2026, 11, 22, 22)
    drop(home, "a.csv", "2026-11-08", 1, 2, 3)
    assert pull(home, sunday).rows == 2
    assert pull(home, sunday + timedelta(hours=3)).counts.inserted == 1


def test_another_way_of_reading_is_a_change(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    pull(home)
    configure(home, f'name = "drop"\nfolder = "{home.parent}/in"\nunit = "pairs"')
    assert pull(home).status == "stored"
    assert open_snapshot(home).category("Boots").unit == "pairs"


def test_a_file_that_vanishes_withdraws_nothing(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    drop(home, "b.csv", "2026-10-25", 4)
    pull(home)
    (home.parent / "in" / "a.csv").unlink()
    result = pull(home)
    assert result.notes[0] == "1 file gone since the last pull (a.csv); what was known stays known."
    assert known(home) == [1, 2, 3, 4]


def test_a_gap_left_by_a_vanished_file_is_not_taken_for_zero(home: Path) -> None:
    configure(home, f'name = "drop"\nfolder = "{home.parent}/in"\ngaps = "zero"')
    for number, first in enumerate(("2026-10-04", "2026-10-11", "2026-10-18")):
        drop(home, f"{number}.csv", first, 5)
    pull(home, again=True)
    (home.parent / "in" / "1.csv").unlink()
    assert "1.csv has vanished" in pull(home).error
    assert known(home) == [5, 5, 5]
    assert pull(home, again=True).status == "stored"


def test_half_a_file_is_waited_for_and_tried_again_at_once(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3, age=0)
    assert pull(home).status == "waiting"
    assert sales_status(home)[0].due is None
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    assert [result.status for result in pull_due_sales(home, NOW)] == ["stored"]


def test_a_wrong_row_stores_nothing_of_the_source(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    drop(home, "b.csv", "2026-10-25", 4, "many")
    result = pull(home)
    assert result.status == "failed"
    assert result.error.startswith("b.csv, line 3, column 'units'")
    with pytest.raises(StoreEmpty):
        open_snapshot(home)


def test_a_failure_is_forgotten_when_it_is_mended(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, "many")
    pull(home)
    assert sales_status(home)[0].state.error
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    assert pull(home).status == "stored"
    assert sales_status(home)[0].state.error == ""


def test_a_check_stores_nothing(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    result = check_sales(home, load_sales_sources(home)[0], NOW)
    assert (result.status, result.rows, result.mapping["quantity"]) == ("stored", 3, "units")
    assert known_categories(home) == {}
    assert sales_status(home)[0].state.status == "new"


def test_each_source_is_pulled_when_it_is_due(home: Path) -> None:
    place = f'folder = "{home.parent}/in"'
    configure(home, f'name = "hourly"\n{place}\nevery = "1 hour"', f'name = "daily"\n{place}')
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    assert [one.name for one in pull_due_sales(home, NOW)] == ["hourly", "daily"]
    assert pull_due_sales(home, NOW + timedelta(minutes=59)) == []
    assert [one.name for one in pull_due_sales(home, NOW + timedelta(hours=1))] == ["hourly"]
    assert sales_status(home)[1].due == NOW + DAY


def test_one_failure_does_not_stop_the_others(home: Path) -> None:
    place = f'folder = "{home.parent}/in"'
    configure(home, 'name = "a"\nurl_variable = "NOT_SET"', 'name = "b"\nfolder = "/absent"', f'name = "c"\n{place}')
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    results = pull_due_sales(home, NOW)
    assert [result.status for result in results] == ["failed", "failed", "stored"]
    assert [bool(one.state.error) for one in sales_status(home)] == [True, True, False]


def test_a_defect_is_told_as_a_failure_without_secrets(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise RuntimeError("https://x/a.csv?sig=S3CRET")

    monkeypatch.setenv("SALES_URL", "https://x/a.csv?sig=S3CRET")
    monkeypatch.setattr("signals.sales_sources.land", defect)
    configure(home, 'name = "a"\nurl_variable = "SALES_URL"')
    assert pull(home).error == "https://x/a.csv?***"
    assert "S3CRET" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_two_pulls_of_a_source_do_not_run_at_once(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    pull(home)
    with ingest_lock(home / "state" / "sales-drop.lock"):
        result = pull(home)
    assert (result.status, result.error) == ("waiting", f"process {os.getpid()} pulls it now")


def test_the_owner_of_the_store_is_handed_what_was_pulled(home: Path) -> None:
    drop(home, "a.csv", "2026-10-04", 1, 2, 3)
    with Store.open(home) as store:
        result = pull_sales(home, load_sales_sources(home)[0], now=NOW, timeout=0)
        assert (result.status, result.done) == ("pending", False)
        assert store.drain_inbox()[0].inserted == 3
    assert pull(home).counts.unchanged == 3


def test_a_url_is_pulled_and_its_failure_told(home: Path) -> None:
    def week(asked: Asked) -> Answer:
        return Answer(
            b"group,week,units\nBoots,2026-10-04,1\nBoots,2026-10-11,2\nBoots,2026-10-18,3\n", 200, "text/csv"
        )

    with serving(week) as fake, stamina.set_testing(True, attempts=5):
        configure(home, f'name = "blob"\nurl = "{fake.url}/sales.csv"')
        assert pull(home).counts.inserted == 3
        fake.faults.next += [BROKEN] * 9
        assert "answered 500" in pull(home).error
    assert sales_status(home)[0].state.data_version == 1
    assert len(list((home / "raw" / "sales" / "blob").iterdir())) == 1


def test_a_database_is_pulled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home.parent / "erp.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE line (item TEXT, day TEXT, qty REAL)")
        connection.executemany(
            "INSERT INTO line VALUES ('Boots', ?, ?)", [(f"2026-10-{d:02d}", d) for d in (4, 11, 18)]
        )
    monkeypatch.setenv("ERP", f"sqlite:///{path}")
    configure(home, 'name = "erp"\ndatabase_variable = "ERP"\nquery = "SELECT * FROM line ORDER BY day"')
    assert pull(home).counts.inserted == 3
    assert pull(home).status == "unchanged"
    assert known(home) == [4, 11, 18]


def test_a_mistake_in_the_file_is_raised(home: Path) -> None:
    configure(home, 'name = "a"')
    with pytest.raises(ConfigError):
        pull_due_sales(home, NOW)
