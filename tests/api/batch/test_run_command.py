"""`groundswell run`: many series from files or the store, resumed after a kill, to the byte what `forecast()` says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

import api.batch.plan
from api.batch.parts import PERIODS, SERIES, do_part
from api.cli import cli
from api.service import forecast_category
from forecast import forecast
from signals.store import open_snapshot
from tests.api.batch.made import sales, signals, write
from tests.api.stores import CATEGORIES
from tests.api.workers import wait_for


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done in this process, in chunks of three."""

    def run(plan: Any, numbers: list[int], processes: int) -> Iterator[Any]:
        return (do_part(plan, number) for number in numbers)

    monkeypatch.setattr("api.batch.pool.run_pool", run)
    monkeypatch.setattr(api.batch.plan, "CHUNK", 3)


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["run", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def table(out: Path, kind: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in sorted((out / kind).glob("part-*.parquet")))


def check(out: Path, name: str, expected: Any) -> None:
    """The rows of one series hold the numbers of a forecast."""
    rows = table(out, PERIODS).filter(pc.field("category") == name).to_pylist()
    answer = expected.to_dict()["forecast"]
    assert [(row["value"], row["median"], dict(row["contributions"])) for row in rows] == [
        (period["value"], period["median"], period["contributions"]) for period in answer
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson"])
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_files_of_each_form_are_forecast(tmp_path: Path, form: str, order: str) -> None:
    frame = sales(7)
    mixed = frame if order == "sorted" else frame.sample(frac=1.0, random_state=2)
    file = write(mixed, tmp_path / f"sales.{form}")
    result = run(file, "--out", tmp_path / "out", "--horizon", 4, "--json")
    told = orjson.loads(result.stdout)
    assert (told["state"], told["series"], told["made"], told["failed"], told["chunks"]) == ("done", 7, 7, 0, 3)
    for name in ("S0000", "S0004", "S0006"):
        check(tmp_path / "out", name, forecast(frame[frame["category"] == name], 4))
    assert not (tmp_path / "out" / ".stage").exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_signals_of_each_series_and_for_all(tmp_path: Path, form: str) -> None:
    frame, names = sales(5), [f"S{i:04d}" for i in range(5)]
    own, common = signals(names), signals()
    for kind, given in {"own": own, "common": common}.items():
        files = write(frame, tmp_path / "sales.parquet"), write(given, tmp_path / f"{kind}.{form}")
        run(files[0], "--signals", files[1], "--out", tmp_path / kind, "--horizon", 3)
    for name in names[1:4]:
        history = frame[frame["category"] == name]
        mine = own[own["category"] == name].drop(columns="category")
        check(tmp_path / "own", name, forecast(history, 3, signals=mine))
        check(tmp_path / "common", name, forecast(history, 3, signals=common))


@pytest.mark.usefixtures("here")
def test_candidates_choose_the_signals(tmp_path: Path) -> None:
    frame = sales(5)
    candidates = pd.DataFrame({"category": ["S0001"], "signal": ["rain"]})
    files = [
        write(one, tmp_path / f"{name}.csv")
        for name, one in {"sales": frame, "signals": signals(), "candidates": candidates}.items()
    ]
    run(files[0], "--signals", files[1], "--candidates", files[2], "--out", tmp_path / "out", "--horizon", 2)
    rows = {row["category"]: row for row in table(tmp_path / "out", SERIES).to_pylist()}
    assert [one["signal"] for one in orjson.loads(rows["S0001"]["signals"])] == ["rain"]
    assert orjson.loads(rows["S0002"]["signals"]) == []


@pytest.mark.usefixtures("here")
def test_candidates_that_nothing_is_called_are_told_of(tmp_path: Path) -> None:
    candidates = pd.DataFrame({"category": ["S0001", "S001"], "signal": ["rian", "rain"]})
    files = [
        write(one, tmp_path / f"{name}.csv")
        for name, one in {"sales": sales(2), "signals": signals(), "candidates": candidates}.items()
    ]
    out = tmp_path / "out"
    result = run(files[0], "--signals", files[1], "--candidates", files[2], "--out", out, "--horizon", 2)
    said = "candidates name categories that have no sales: S001"
    assert f"note: {said}\n" in result.stderr
    assert orjson.loads((out / "manifest.json").read_bytes())["warnings"] == [said]
    rows = {row["category"]: row for row in table(out, SERIES).to_pylist()}
    assert "candidates name signals that have no row for this series: rian" in rows["S0001"]["warnings"]
    assert not any("candidates" in warning for warning in rows["S0000"]["warnings"])
    assert "--candidates chooses among" in run(files[0], "--candidates", files[2], "--out", out, code=2).stderr


@pytest.mark.usefixtures("here")
def test_the_manifest_names_the_files_that_were_given(tmp_path: Path) -> None:
    files = write(sales(2), tmp_path / "sales.csv"), write(signals(), tmp_path / "signals.csv")
    run(files[0], "--signals", files[1], "--out", tmp_path / "out", "--horizon", 2)
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["source"] == {"sales": [str(files[0])], "signals": [str(files[1])]}


@pytest.mark.usefixtures("here")
def test_a_series_that_fails_is_a_row(tmp_path: Path) -> None:
    frame = pd.concat([sales(3), sales(1, 1).assign(category="short")])
    result = run(write(frame, tmp_path / "sales.csv"), "--out", tmp_path / "out")
    assert "3 of 4 series forecast" in result.stdout
    assert "1 could not be" in result.stdout
    [row] = table(tmp_path / "out", SERIES).filter(pc.field("status") == "failed").to_pylist()
    assert (row["category"], "1 period" in row["problem"]) == ("short", True)


@pytest.mark.usefixtures("here")
def test_nothing_forecast_is_a_failure(tmp_path: Path) -> None:
    result = run(write(sales(2, 1), tmp_path / "sales.csv"), "--out", tmp_path / "out", code=1)
    assert "no series could be forecast" in result.stderr


@pytest.mark.usefixtures("here")
def test_the_store_is_forecast_as_one_category_is(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("--home", home, "--out", out, "--horizon", 2)
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    assert sorted(set(table(out, PERIODS)["category"].to_pylist())) == sorted(CATEGORIES)
    snapshot, moment = open_snapshot(home), manifest["source"]["as_of"]
    for name in CATEGORIES:
        check(out, name, forecast_category(snapshot, name, 2, as_of=moment))
    assert "another --out" in run("--home", home, "--out", out, "--horizon", 2, code=2).stderr  # of a later moment
    (out / SERIES / "part-00000.parquet").unlink()
    (out / "manifest.json").write_bytes(orjson.dumps(manifest | {"state": "running"}))
    run("--home", home, "--out", out, "--horizon", 2)
    assert orjson.loads((out / "manifest.json").read_bytes())["source"]["as_of"] == moment


@pytest.mark.usefixtures("here")
def test_a_database_is_asked_by_the_query_of_the_home(tmp_path: Path) -> None:
    frame = sales(4)
    file = tmp_path / "erp.sqlite"
    engine = sa.create_engine(f"sqlite:///{file}")
    frame.assign(ds=frame["ds"].dt.strftime("%Y-%m-%d")).to_sql("lines", engine, index=False)
    engine.dispose()
    query = "SELECT category, ds AS day, y AS n FROM lines"
    source = f'[[sales]]\nname = "erp"\ndatabase = "sqlite:///{file}"\nquery = "{query}"'
    (tmp_path / "home").mkdir()
    toml = tmp_path / "home" / "groundswell.toml"
    toml.write_text(f'{source}\ndate = "day"\nquantity = "n"\n', encoding="utf-8")
    run("--home", tmp_path / "home", "--sql", "erp", "--out", tmp_path / "out", "--horizon", 2)
    check(tmp_path / "out", "S0002", forecast(frame[frame["category"] == "S0002"], 2))
    assert orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())["source"] == {"sql": "erp"}
    assert "there are: erp" in run("--home", tmp_path / "home", "--sql", "crm", "--out", tmp_path / "no", code=2).stderr


@pytest.mark.usefixtures("here")
def test_a_database_is_asked_again_after_its_answer_was_refused(tmp_path: Path) -> None:
    lines = sales(1).assign(ds=lambda frame: frame["ds"].dt.strftime("%Y-%m-%d"))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'erp.sqlite'}")
    toml = f'[[sales]]\nname = "erp"\ndatabase = "sqlite:///{tmp_path / "erp.sqlite"}"\n'
    toml += 'query = "SELECT category, ds AS day, y AS n FROM lines"\ndate = "day"\nquantity = "n"\n'
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "groundswell.toml").write_text(toml, encoding="utf-8")
    command = ("--home", tmp_path / "home", "--sql", "erp", "--out", tmp_path / "out", "--horizon", 2)
    lines.assign(y="much").to_sql("lines", engine, index=False)
    assert "row 1, column 'y': 'much' is no number" in run(*command, code=2).stderr
    lines.to_sql("lines", engine, index=False, if_exists="replace")
    engine.dispose()
    run(*command)
    check(tmp_path / "out", "S0000", forecast(sales(1), 2))


@pytest.mark.usefixtures("here")
def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    file, out = write(sales(7), tmp_path / "sales.csv"), tmp_path / "out"
    run(file, "--out", out)
    before = {part: part.stat().st_mtime_ns for part in out.rglob("part-*.parquet")}
    lost = out / SERIES / "part-00001.parquet"
    lost.unlink()
    told = orjson.loads(run(file, "--out", out, "--json").stdout)
    assert (told["made"], told["resumed_chunks"]) == (7, 2)
    after = {part: part.stat().st_mtime_ns for part in out.rglob("part-*.parquet")}
    assert {part.name for part in after if after[part] != before[part]} == {lost.name}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("change", ["data", "options"])
def test_another_run_is_not_mixed_in(tmp_path: Path, change: str) -> None:
    file, out = write(sales(3), tmp_path / "sales.csv"), tmp_path / "out"
    run(file, "--out", out, "--horizon", 2)
    if change == "data":
        write(sales(4), file)
    horizon = 3 if change == "options" else 2
    assert "another --out" in run(file, "--out", out, "--horizon", horizon, code=2).stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("category,ds\nA,2026-01-01\n", "wanted one named y or quantity"),
        ("category,ds,y\nA,2026-01-01,3\nA,2026-01-08,much\n", "sales.csv: line 3, column 'y': 'much' is no number"),
        ("category;ds;y\nA;2026-01-01;1,5\n", "sales.csv: line 2, column 'y': '1,5' is no number. Write numbers as"),
        ("category;ds;y\nA;2026-01-01;1,5\nA;2026-01-08;?\n", "line 3, column 'y': '?' is no number (and 1 more line)"),
        ("category,ds,y\nA,2026-01-01,true\n", "sales.csv: line 2, column 'y': 'true' is no number"),
        ("category,ds,y\nA,2026-01-01,3\nA,once,3\n", "sales.csv: line 3, column 'ds': 'once' is no date. Write dates"),
        ("category,ds,y\nA,2026-02-30,3\n", "sales.csv: line 2, column 'ds': '2026-02-30' is no date"),
        ("category,ds,y\nA,2026-01-01,3\nA,2026-01-08,3,4\n", "sales.csv: line 3: the row has 4 values"),
        ("category,ds,y\n", "the sales have no rows; give at least one in "),
        ("", "sales.csv is empty: 0 bytes"),
        ("category,ds,y\n,2026-01-01,3\nA,2026-01-01,3\n", "1 rows of the sales have no category"),
    ],
    ids=[
        "no column", "no number", "comma", "worse than a comma", "no numbers", "no date", "no day", "ragged", "no rows",
        "nothing", "no name",
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "sales.csv"
    file.write_text(text, encoding="utf-8")
    result = run(file, "--out", tmp_path / "out", code=2)
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"category": "A", "ds": "2026-01-01", "y": 3}\n\n{"category": "A", "ds": "2026-01-08", "y": "much"}\n',
         "sales.ndjson: line 3, column 'y': 'much' is no number"),
        ('{"category": "A", "ds": "2026-01-01", "y": 3}\n{"category"', "sales.ndjson: line 2: the line is no JSON"),
        ('{"category": "A", "ds": "2026-01-01", "y": 3}\n[1]\n', "sales.ndjson: line 2: the line is no JSON object"),
    ],
)  # fmt: skip
def test_a_wrong_line_of_ndjson_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "sales.ndjson"
    file.write_text(text, encoding="utf-8")
    assert said in run(file, "--out", tmp_path / "out", code=2).stderr


def test_a_parquet_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    frame = sales(1, 3)
    file = write(frame.assign(y=["1", "much", "3"]), tmp_path / "text.parquet")
    assert "text.parquet: row 2, column 'y': 'much' is no number" in run(file, "--out", tmp_path / "o", code=2).stderr
    file = write(frame.assign(y=[True, False, True]), tmp_path / "flags.parquet")
    said = "flags.parquet: the column y of the sales holds BOOLEAN; wanted numbers"
    assert said in run(file, "--out", tmp_path / "o", code=2).stderr
    file.write_bytes(b"PAR1")
    assert "flags.parquet cannot be read as Parquet" in run(file, "--out", tmp_path / "o", code=2).stderr


@pytest.mark.usefixtures("here")
def test_what_a_refused_run_has_read_is_not_used_by_the_next(tmp_path: Path) -> None:
    wrong, out = sales(2).assign(y=1.0), tmp_path / "out"
    files = write(wrong, tmp_path / "sales.csv"), write(signals().assign(value="much"), tmp_path / "signals.csv")
    assert "signals.csv: line 2" in run(files[0], "--signals", files[1], "--out", out, code=2).stderr
    assert not out.exists()
    write(sales(2), files[0])
    write(signals(), files[1])
    run(files[0], "--signals", files[1], "--out", out, "--horizon", 2)
    history = sales(2).query("category == 'S0001'")
    check(out, "S0001", forecast(history, 2, signals=signals()))


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_damaged_manifest_is_told_of(tmp_path: Path, text: str) -> None:
    file, out = write(sales(1), tmp_path / "sales.csv"), tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text(text, encoding="utf-8")
    assert f"{out / 'manifest.json'} is damaged" in run(file, "--out", out, code=2).stderr


def test_wrong_use(tmp_path: Path) -> None:
    file = write(sales(1), tmp_path / "sales.csv")
    assert "exclude each other" in run(file, "--sql", "x", "--out", tmp_path / "o", code=2).stderr
    assert "for series in files" in run("--frequency", "D", "--out", tmp_path / "o", code=2).stderr
    assert "takes series in files" in run("--on", "spark", "--out", tmp_path / "o", code=2).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    assert "files that are no run" in run(file, "--out", tmp_path / "full", code=2).stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--calendar", "XX", "calendar: got XX; wanted an ISO 3166 country code"),
        ("--frequency", "H", "frequency: got H; wanted one of D, "),
        ("--engine", "slow", "engine: got slow; wanted one of "),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    file = write(sales(1), tmp_path / "sales.csv")
    assert said in run(file, option, value, "--out", tmp_path / "out", code=2).stderr
    assert not (tmp_path / "out").exists()


def test_a_moment_that_has_not_come_is_refused_before_anything_is_written(home: Path, tmp_path: Path) -> None:
    result = run("--home", home, "--as-of", "2099-01-01", "--out", tmp_path / "out", code=2)
    assert "as_of: got 2099-01-01 00:00 UTC; wanted a moment that has come" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.heavy
def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    file = write(sales(1000), tmp_path / "sales.parquet")
    whole, out = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", "from api.cli import main; main()", "run", str(file), "--processes", "1", "--out"]
    with subprocess.Popen([*command, str(out)], start_new_session=True) as process:
        wait_for(lambda: len(list(out.glob("series/part-*"))) >= 1)
        os.kill(process.pid, signal.SIGKILL)  # of the parent alone: its processes must end by themselves
        process.wait(30)
    subprocess.run([*command, str(whole)], check=True)
    subprocess.run([*command, str(out)], check=True)
    told = orjson.loads((out / "manifest.json").read_bytes())
    assert (told["made"], 1 <= told["resumed_chunks"] < 4) == (1000, True)
    assert not list(out.rglob(".part-*"))
    for kind in (PERIODS, SERIES):
        assert table(out, kind).equals(table(whole, kind))


@pytest.mark.heavy
def test_two_processes_write_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(sales(40), tmp_path / "sales.parquet")
    monkeypatch.setattr(api.batch.plan, "CHUNK", 10)
    for processes in (1, 2):
        run(file, "--out", tmp_path / str(processes), "--processes", processes)
    for kind in (PERIODS, SERIES):
        assert table(tmp_path / "1", kind).equals(table(tmp_path / "2", kind))
