"""Overrides on every face: OData, Business Central, exports, runs, tables, reports, the client and the command line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.client import Client, Refused
from api.database import ROWS_FILE, engine_at, reading, rows_engine_of, writing
from api.fold import begin, fold_some
from api.odata.tables import fold_state
from api.settings import Settings
from tests.api.erp.exchange import answer as business_central
from tests.api.erp.exchange import asked
from tests.api.stores import CATEGORIES
from tests.api.test_client import through
from tests.api.test_overrides import BOOTS, made, published, set_, week
from tests.api.workers import wait_for


@pytest.fixture
def client(own: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(own), raise_server_exceptions=False) as client:
        yield client


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(settings.home), *words])


def done(settings: Settings, *words: str) -> str:
    result = run(settings, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_odata_serves_the_published_value_and_says_so(client: TestClient, own: Settings) -> None:
    one = set_(client, value=200)
    forecast = made(client)
    rows = client.get("/odata/v4/Forecasts?$orderby=Period").json()["value"]
    assert [row["IsOverridden"] for row in rows] == ["published" in row for row in forecast["forecast"]]
    assert [row["SystemQuantity"] for row in rows] == pytest.approx([row["value"] for row in forecast["forecast"]])
    (row,) = [row for row in rows if row["IsOverridden"]]
    (system,) = published(forecast)
    assert row["ForecastedQuantity"] == 200
    assert [row["Lower80"], row["Upper80"]] == pytest.approx(system["published"]["intervals"]["80"])
    assert [row["LowerBound"], row["SystemLowerBound"]] == pytest.approx(
        [system["published"]["intervals"]["80"][0], system["intervals"]["80"][0]]
    )
    assert [row["Overrides"], row["OverrideLayer"], row["OverrideAuthor"], row["OverrideReason"]] == [
        one["override"], "planner", "Ann", "promotion",
    ]  # fmt: skip
    others = [row for row in rows if not row["IsOverridden"]]
    assert all(row["ForecastedQuantity"] == row["SystemQuantity"] and row["Overrides"] is None for row in others)


def test_rows_of_an_earlier_version_are_made_anew(client: TestClient, own: Settings) -> None:
    made(client)
    client.get("/odata/v4/Forecasts/$count")
    engine = rows_engine_of(own)
    with writing(engine) as connection:
        connection.execute(sa.text("CREATE TABLE forecast_row (number INTEGER)"))
        connection.execute(sa.text("DELETE FROM published_row"))
        connection.execute(fold_state.update().where(fold_state.c.name.like("begun%")).values(name="begun"))
    begin(own)
    assert fold_some(own) == 1
    assert engine is engine_at(f"sqlite:///{(own.home / ROWS_FILE).absolute()}", *_rows_metadata())
    with reading(engine) as connection:
        assert "forecast_row" not in sa.inspect(connection).get_table_names()
        assert connection.execute(sa.text("SELECT count(*) FROM published_row")).scalar() == 9  # with the nowcasts


def _rows_metadata() -> tuple[sa.MetaData]:
    from api.database import rows_metadata

    return (rows_metadata,)


def test_business_central_gets_what_is_published(client: TestClient) -> None:
    weeks = [100.0 + number % 4 for number in range(104)]
    body = asked(weeks, item=BOOTS, horizon=3, seasonality=52)
    system = business_central(client, body)
    set_(client, f"{week(0)}..{week(6)}", value=500)
    found = business_central(client, body)
    assert [row[2] for row in found] == [500, 500, 500]
    for row, before in zip(found, system, strict=True):
        assert row[3] == pytest.approx(before[3] * 500 / before[2], rel=1e-3)
    receipt = client.get("/v1/forecasts", params={"category": BOOTS}).json()["items"][0]["receipt"]
    kept = client.get(f"/v1/forecasts/{receipt}").json()
    assert [row["published"]["value"] for row in kept["forecast"]] == [500, 500, 500]
    assert [row["value"] for row in kept["forecast"]] == pytest.approx([row[2] for row in system], rel=1e-3)


def test_an_export_has_what_is_published_and_says_whose_it_is(client: TestClient, own: Settings) -> None:
    (own.home / "groundswell.toml").write_text(
        '[exports.demand-planning]\ndimensions = { Product = "item" }\n', encoding="utf-8"
    )
    set_(client, value=777)
    result = run(own, "export", "demand-planning", "--horizon", "4", "--category", BOOTS)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("777") == 1
    assert "note: 1 of 3 quantities are overrides, of Ann" in result.stderr


def test_tables_and_runs_have_both(client: TestClient, own: Settings, worker: Callable[..., None]) -> None:
    one = set_(client, value=200)
    request = {"category": BOOTS, "horizon": 6, "levels": [80]}
    text = client.post("/v1/forecasts", json=request, headers={"Accept": "text/csv"}).text.splitlines()
    assert "lo-80,hi-80,published,published-lo-80,published-hi-80,overrides,contribution-" in text[0]
    assert sum(one["override"] in line for line in text) == 1
    plain = client.post("/v1/forecasts", json=request | {"overrides": "none"}, headers={"Accept": "text/csv"}).text
    assert "published" not in plain
    worker(own.home)
    place = client.post("/v1/runs", json={"horizon": 6, "levels": [80]}).headers["location"].partition("/v1/")[2]
    wait_for(lambda: client.get(f"/v1/{place}").json()["status"] == "succeeded")
    lines = client.get(f"/v1/{place}/csv").text.splitlines()
    assert lines[0].startswith("Time,Value,Median,Lower80,Upper80,Category,Unit,Receipt,Kind,SystemValue,Overrides,")
    (mine,) = [line for line in lines if one["override"] in line]
    assert mine.split(",")[1] == "200.0"
    assert mine.endswith(",Ann")
    parquet = client.get(f"/v1/{place}/results", headers={"Accept": "application/vnd.apache.parquet"}).content
    rows = pq.read_table(io.BytesIO(parquet)).to_pylist()
    assert {row["category"] for row in rows} == set(CATEGORIES)
    assert [row["published"] for row in rows if row["overrides"]] == [200]
    assert all(row["published"] == row["value"] for row in rows if not row["overrides"])
    ndjson = client.get(f"/v1/{place}/results", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert sum(len(published(json.loads(line)["forecast"])) for line in ndjson) == 1


def test_a_report_shows_both_with_the_author(client: TestClient, own: Settings, tmp_path: Path) -> None:
    set_(client, f"{week(-3)}..{week(4)}", value=4321)
    out = tmp_path / "report.html"
    done(own, "report", "--out", str(out), "--category", BOOTS)
    page = out.read_text(encoding="utf-8")
    assert re.search(r"published: 4,321.0.pairs, by Ann", page), re.findall("published: [^<]*", page)
    assert "4,321.0 (Ann)" in page
    assert "by Ann (planner): promotion" in page


def test_the_client_does_all_of_it(own: Settings, client: TestClient) -> None:
    transport: httpx.BaseTransport = through(client)
    with Client("http://testserver", cache=own.home / "cache", transport=transport) as caller:
        one = caller.override(BOOTS, week(2), reason="promotion", value=200, author="Ann")
        assert caller.overrides(BOOTS).items == [one]
        second = caller.change_override(one, reason="less", percent=-10)
        with pytest.raises(Refused, match="override-changed"):
            caller.withdraw_override(one, reason="x")
        third = caller.withdraw_override(second, reason="over", author="Bob")
        fourth = caller.restore_override(third, reason="not over")
        assert [item.version for item in caller.override_history(fourth)] == [1, 2, 3, 4]
        said = caller.comment_override(fourth, "why?", author="Bob")
        assert caller.override_comments(fourth) == [said]
        answer = caller.forecast(BOOTS, horizon=6).answer
        (row,) = [row for row in answer.forecast if row.published]
        assert row.published is not None
        assert row.published.value == pytest.approx(0.9 * row.value)


def test_the_command_line_does_all_of_it(own: Settings) -> None:
    text = done(own, "override", "set", BOOTS, week(2), "-5%", "--reason", "late", "--author", "Ann")
    one = text.split()[0]
    number = one.partition(".")[0]
    assert "Ann set it to −5 % at" in text
    shown = done(own, "forecast", BOOTS, "--horizon", "9")
    assert " (Ann)" in shown
    assert "−5 %, by Ann (planner): late." in shown
    assert " (Ann)" not in done(own, "forecast", BOOTS, "--horizon", "9", "--without-overrides")
    assert ",published,published-lo-80," in done(own, "forecast", BOOTS, "--horizon", "9", "--csv")
    done(own, "override", "change", number, "130", "--reason", "firm", "--author", "Bob")
    refused = run(own, "override", "withdraw", one, "--reason", "over")
    assert refused.exit_code == 1
    assert "Bob changed it to 130" in refused.output
    done(own, "override", "withdraw", number, "--reason", "over", "--seen", "2")
    assert "Nobody overrides" in done(own, "override", "list", BOOTS)
    assert "withdrawn" in done(own, "override", "list", BOOTS, "--all")
    done(own, "override", "restore", number, "--reason", "back")
    done(own, "override", "comment", number, "why?", "--author", "Bob")
    told = json.loads(done(own, "override", "history", number, "--json"))
    assert [state["action"] for state in told["states"]] == ["set", "changed", "withdrawn", "restored"]
    assert told["comments"][0]["text"] == "why?"
    for words in (("set", BOOTS, week(2), "10%"), ("set", BOOTS, week(2), "ten"), ("change", "ov_none", "1")):
        assert run(own, "override", *words, "--reason", "x").exit_code in (1, 2)


def test_an_import_is_all_or_nothing(own: Settings, tmp_path: Path) -> None:
    def file(*lines: str) -> str:
        path = tmp_path / "overrides.csv"
        path.write_text("\n".join(["category,periods,value,reason,layer", *lines]) + "\n", encoding="utf-8")
        return str(path)

    good = f"{BOOTS},{week(2)},+10%,promotion,manager"
    for line, told in (
        (f"{BOOTS},{week(2)},10%,x,", "line 3, column 'value': '10%' is no number"),
        (f"Boot,{week(2)},10,x,", "line 3, column 'category': no category"),
        (f"{BOOTS},someday,10,x,", "line 3, column 'periods':"),
        (f"{BOOTS},{week(2)},10,,", "line 3, column 'reason': reason is empty"),
        (f"{BOOTS},{week(2)},10,x,boss", "line 3: layer"),
    ):
        result = run(own, "override", "import", file(good, line))
        assert result.exit_code == 1
        assert told in result.output
    assert "Nobody overrides" in done(own, "override", "list", BOOTS)
    other = f'"{CATEGORIES[1]}",{week(3)},10,x,'
    assert done(own, "override", "import", file(good, other)) == "2 overrides set, of 2 categories\n"
    (item,) = json.loads(done(own, "override", "list", BOOTS, "--json"))["items"]
    assert (item["percent"], item["layer"], item["reason"]) == (10, "manager", "promotion")
