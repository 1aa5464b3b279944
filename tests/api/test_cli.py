"""The `groundswell` command in one process: what it prints, stores and refuses."""

from __future__ import annotations

import csv
import errno
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli import cli
from api.commands.running import load_demo
from signals.store import open_snapshot

SALES = "category,week,units\n" + "".join(
    f"{name},2025-{month:02d}-01,{100 + month}\n" for name in ("Boots", "Hats") for month in range(1, 13)
)
SIGNALS = "signal,date,value\n" + "".join(f"rain,2025-{month:02d}-01,{month % 5}\n" for month in range(1, 13))


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def done(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "sales.csv").write_text(SALES)
    (tmp_path / "signals.csv").write_text(SIGNALS)
    return tmp_path


def test_sales_and_signals_are_imported_once(files: Path) -> None:
    home = files / "home"
    first = done("--home", home, "import", "sales", files / "sales.csv", "--unit", "pairs")
    assert "quantity       units\n" in first
    assert first.endswith("24 rows: 24 new, 0 unchanged; data version 1\n")
    second = done("--home", home, "import", "sales", files / "sales.csv", "--unit", "pairs")
    assert second.endswith("24 rows: 0 new, 24 unchanged; data version 1\n")
    assert done("--home", home, "import", "signals", files / "signals.csv").endswith("data version 2\n")
    assert [row["signal"] for row in json.loads(done("--home", home, "signals", "--json"))] == ["rain"]


def test_a_forecast_of_another_engine_says_which_and_why(files: Path) -> None:
    home = files / "home"
    done("--home", home, "import", "sales", files / "sales.csv")
    told = done("--home", home, "forecast", "Boots", "--engine", "seasonal_naive", "--as-of", "2026-01-15")
    assert "\nEngine: seasonal_naive, asked for by name.\n" in told
    assert "Engine:" not in done("--home", home, "forecast", "Boots", "--as-of", "2026-01-15")


def test_a_dry_run_stores_nothing(files: Path) -> None:
    home = files / "home"
    assert "nothing stored (--dry-run)" in done("--home", home, "import", "sales", files / "sales.csv", "--dry-run")
    assert run("--home", home, "categories").exit_code == 1


def test_an_import_can_answer_a_program(files: Path) -> None:
    answer = json.loads(done("--home", files / "home", "import", "sales", files / "sales.csv", "--json"))
    assert answer["mapping"] == {"category": "category", "date": "week", "quantity": "units"}
    assert answer["result"] == {"data_version": 1, "inserted": 24, "unchanged": 0, "withdrawn": 0}


def test_a_refused_file_is_one_line_and_leaves_nothing(files: Path) -> None:
    (files / "bad.csv").write_text(SALES + "Boots,2025-12-01,many\n")
    result = run("--home", files / "home", "import", "sales", files / "bad.csv")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: line 26, column 'units'")
    assert result.stderr.count("\n") == 1
    assert run("--home", files / "home", "categories").exit_code == 1


def test_a_forecast_is_readable(home: Path) -> None:
    text = done("--home", home, "forecast", "Boots", "--horizon", 4)
    lines = text.splitlines()
    assert lines[0] == "Boots, pairs (W-SUN)"
    assert "80 % interval" in lines[3]
    assert len([line for line in lines if line.startswith("20")]) == 4
    assert "past origins it missed by" in text
    assert "not used  weather: " in text


def test_a_forecast_as_json_is_the_api_s_answer(home: Path) -> None:
    answer = json.loads(CliRunner().invoke(cli, ["--home", str(home), "forecast", "Boots", "--json"]).stdout)
    assert len(answer["forecast"]) == 8
    assert (answer["category"], answer["data_version"]) == ("Boots", 1)


def test_a_forecast_as_csv(home: Path) -> None:
    result = run("--home", home, "forecast", "Boots", "--csv", "--level", 50, "--horizon", 3)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0]) == ["ds", "mean", "median", "lo-50", "hi-50"]
    assert len(rows) == 3


def test_a_forecast_shows_its_drivers_and_what_members_are_worth(home: Path) -> None:
    shown = done("--home", home, "forecast", "Boots", "--engine", "detailed", "--horizon", 3)
    answer = json.loads(
        run("--home", home, "forecast", "Boots", "--engine", "detailed", "--horizon", 3, "--json").stdout
    )
    (drivers,) = [line for line in shown.splitlines() if line.startswith("In all ")]
    total, level = (float(re.sub("[^0-9.]", "", text)) for text in drivers.split(",")[0].split(": "))
    assert total == pytest.approx(sum(row["value"] for row in answer["forecast"]), abs=1)
    assert level == pytest.approx(sum(row["contributions"]["level"] for row in answer["forecast"]), abs=1)
    table = shown[shown.index("member ") :].splitlines()[1:]
    names = [row["name"] for row in answer["engine"]["record"]]
    assert names[0] == "stack"
    assert [line.split()[0] for line in table[: len(names)]] == names


def test_as_of_is_a_moment_in_utc(home: Path) -> None:
    answer = json.loads(run("--home", home, "forecast", "Boots", "--json", "--as-of", "2026-03-01").stdout)
    assert answer["as_of"] == "2026-03-01T00:00:00Z"
    for moment in ("March", "0001-01-01T00:00:00+14:00"):
        assert run("--home", home, "forecast", "Boots", "--as-of", moment).exit_code == 2


def test_a_backtest_shows_each_lead_time(home: Path) -> None:
    told = run("--home", home, "backtest", "Boots", "--horizon", 3, "--origins", 9)
    assert "every lead time counts here" in told.stderr
    text = told.stdout
    assert "Tested on 9 past origins" in text
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["1", "2", "3"]
    answer = json.loads(run("--home", home, "backtest", "Boots", "--horizon", 3, "--json").stdout)
    assert [row["h"] for row in answer["by_lead_time"]] == [1, 2, 3]


def test_categories_and_settings_are_listed(home: Path) -> None:
    assert "Hats/Caps & more" in done("--home", home, "categories")
    told = json.loads(done("--home", home, "settings", "--json"))
    assert told["home"] == {"value": str(home), "source": "--home"}
    assert told["port"] == {"value": 8000, "source": "default"}


def test_a_report_is_written_whole(home: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    out = tmp_path / "new" / "report.html"
    text = done("--home", home, "report", "--out", out, "--category", "Boots", "--horizon", 2)
    assert text.endswith(f"Report: {out}\n")
    assert out.read_text().rstrip().endswith("</html>")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["forecast", "Boot"], 1, "error: no category is called 'Boot'; did you mean 'Boots'?"),
        (["forecast", "Boots", "--engine", "magic"], 2, "error: engine: got magic"),
        (["forecast", "Boots", "--json", "--csv"], 2, "exclude each other"),
        (["forecast", "Boots", "--horizon", "0"], 2, "0 is not in the range"),
        (["forecast"], 2, "Missing argument 'CATEGORY'"),
        (["report", "--out", "/nowhere/report.html"], 2, "the directory '/nowhere' does not exist; make it first"),
        (["demo", "--out", "/nowhere/report.html"], 2, "the directory '/nowhere' does not exist"),
        (["forecast", "Boots", "--as-of", "2999-01-01"], 2, "error: as_of: got 2999-01-01 00:00 UTC; wanted a moment"),
        (["forecast", "Boots", "--as-of", "1999-01-01"], 1, "error: nothing was known of Boots by 1999-01-01 00:00"),
        (["backtest", "Boots", "--as-of", "1999-01-01"], 1, "its first sales became known on 20"),
        (["forecast", "Boots", "--as-of", "1700000000"], 2, "is no moment; write it like"),
        (["forecast", "Boots", "--home", ""], 2, "an empty text names no directory"),
        (["import", "sales", __file__, "--wait", "nan"], 2, "'nan' is not in the range 0<=x<=86400"),
        (["forecast", "Cap"], 1, "error: no category is called 'Cap'; did you mean 'Hats/Caps & more'?"),
        (["serve", "--host", "0.0.0.0"], 1, "--insecure-no-auth"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_errors_are_one_line_with_a_remedy(args: list[str], code: int, message: str, home: Path) -> None:
    result = run("--home", home, *args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_home_may_be_named_after_any_command(home: Path, tmp_path: Path) -> None:
    assert "Boots" in done("categories", "--home", home)
    assert "Boots" in done("--home", tmp_path, "categories", "--home", home)
    (tmp_path / "sales.csv").write_text(SALES)
    assert "24 new" in done("import", "sales", tmp_path / "sales.csv", "--home", tmp_path / "other")
    assert run("serve", "--home", home, "--host", "0.0.0.0").exit_code == 1


def test_no_home_is_the_working_directory_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "an empty text names no directory" in run("--home", "", "categories").stderr
    monkeypatch.setenv("GROUNDSWELL_HOME", "")
    assert run("categories").stderr == "error: setting home is '' (GROUNDSWELL_HOME); allowed: a directory\n"


def test_lead_times_without_a_score_are_one_line(home: Path) -> None:
    text = done("--home", home, "backtest", "Boots", "--horizon", 200)
    rows = [line for line in text.splitlines() if line.split() and line.split()[0].isdigit()]
    assert "n/a" not in text
    assert f"{200 - len(rows) + 1} of 200 lead times have no score" in text


def test_every_engine_is_offered() -> None:
    from forecast.engines import names

    text = " ".join(done("forecast", "--help").split())
    assert f"The engine that forecasts: {', '.join(names())} or" in text


def test_a_damaged_snapshot_is_one_line_and_mended_by_the_next_import(files: Path) -> None:
    home = files / "home"
    done("--home", home, "import", "sales", files / "sales.csv")
    for damaged in (home / "snapshots" / "CURRENT", next((home / "snapshots").glob("snap-*"))):
        damaged.write_bytes(b"\xfftorn")
        result = run("--home", home, "forecast", "Boots")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith("error: the published data in ")
        assert "24 unchanged" in done("--home", home, "import", "sales", files / "sales.csv")
        assert run("--home", home, "forecast", "Boots").exit_code == 0


def test_stored_but_not_published_is_told_as_such(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("signals.store.write_snapshot", full)
    result = run("--home", files / "home", "import", "sales", files / "sales.csv")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "error: the data IS stored, as data version 1, but could not be published" in result.stderr


def test_an_empty_home_says_how_to_import(tmp_path: Path) -> None:
    result = run("--home", tmp_path, "forecast", "Boots")
    assert (result.exit_code, "groundswell import sales" in result.stderr) == (1, True)


def test_a_bad_setting_is_wrong_use(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDSWELL_PORT", "http")
    result = run("--home", home, "settings")
    assert result.exit_code == 2
    assert (
        result.stderr == "error: setting port is 'http' (GROUNDSWELL_PORT); allowed: a whole number from 1 to 65535\n"
    )


def test_a_defect_keeps_its_traceback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("api.commands.common.open_newest", broken)
    assert isinstance(run("--home", home, "categories").exception, ZeroDivisionError)


def test_the_demo_forecasts_every_category_and_can_be_repeated(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    text = done("demo", "--home", tmp_path / "home", "--out", out)
    assert re.match(r"[\d,]+ sales and [\d,]+ signal values in ", text)
    assert "6 categories" in text
    assert "No signal helps" in text
    assert out.stat().st_size > 1_000_000  # plotly.js is inside
    load_demo(tmp_path / "home")
    assert open_snapshot(tmp_path / "home").data_version == 2


def test_the_demo_does_not_mix_with_other_data(home: Path, tmp_path: Path) -> None:
    result = run("--home", home, "demo", "--out", tmp_path / "report.html")
    assert result.exit_code == 1
    assert result.stderr.endswith("which is not the demo's: choose another --home\n")


@pytest.mark.parametrize(
    "command",
    [
        "jobs list", "jobs totals", "jobs retry --dead", "jobs cancel x", "tidy", "audit", "keys list", "keys rotate x",
        "keys revoke x", "scenario list", "signals status", "sales status",
    ],
)  # fmt: skip
def test_a_home_that_is_not_there_is_refused_and_not_made(tmp_path: Path, command: str) -> None:
    typo = tmp_path / "typo"
    result = run("--home", typo, *command.split())
    assert (result.exit_code, result.stderr) == (1, f"error: {typo} is no directory: name the home with --home\n")
    assert not typo.exists()


def test_alone_it_prints_its_help() -> None:
    assert "Commands:\n" in done()


def test_help_needs_no_heavy_package() -> None:
    heavy = ("pandas", "numpy", "fastapi", "pydantic", "duckdb")
    code = f"import sys, api.cli; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_a_closed_pipe_ends_quietly(home: Path) -> None:
    code = "from api.cli import main; main()"
    command: list[Any] = [sys.executable, "-c", code, "--home", home, "forecast", "Boots", "--csv", "--horizon", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "api.cli", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("groundswell, version ")
