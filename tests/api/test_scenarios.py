"""Scenarios over REST, the command line and the client: kept, answered, compared, forgotten, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.client import Client, Refused
from api.database import engine_of
from api.keys import create
from api.scenario_models import ScenarioRequest
from api.scenarios import Scenarios
from api.security import ANYBODY
from api.settings import Settings
from tests.api.stores import CATEGORIES, last_week
from tests.api.test_client import through

BOOTS, HATS = CATEGORIES
NEXT = f"{last_week() + pd.Timedelta(weeks=2):%Y-%m-%d}"  # a day of the second week ahead


def change(**fields: Any) -> dict[str, Any]:
    return {"signal": "weather", "first": NEXT, "values": [2.5]} | fields


def asked(**fields: Any) -> dict[str, Any]:
    return {"name": "Storm", "category": BOOTS, "horizon": 4, "changes": [change()]} | fields


@pytest.fixture
def client(own: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(own), raise_server_exceptions=False) as client:
        yield client


def kept(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/scenarios", json=asked(**fields))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"http://testserver/v1/scenarios/{found['id']}"
    return found


def test_a_scenario_is_answered_beside_the_forecast_and_kept(client: TestClient) -> None:
    made = kept(client)
    assert client.get(f"/v1/scenarios/{made['id']}").json() == made
    outcome, baseline = made["answer"]["scenarios"][0], made["answer"]["baseline"]
    plain = client.post("/v1/forecasts", json={"category": BOOTS, "horizon": 4}).json()
    same = ("period", "kind", "value", "median", "intervals")
    assert [[row[name] for name in same] for row in baseline["periods"]] == [
        [row[name] for name in same] for row in plain["forecast"]
    ]
    for row, base in zip(outcome["periods"], baseline["periods"], strict=True):
        assert row["value"] - base["value"] == pytest.approx(row["difference"], abs=1e-9)
        assert sum(row["effects"].values()) == pytest.approx(row["difference"], abs=1e-9)
    assert outcome["total"] == made["total"]
    assert outcome["total"]["difference"] == pytest.approx(
        sum(effect["value"] for effect in outcome["effects"]), abs=1e-9
    )
    assert [point["changed"] for point in outcome["effects"][0]["path"]] == [2.5]
    assert (
        "an association" in outcome["effects"][0]["sentence"] or "changes nothing" in outcome["effects"][0]["sentence"]
    )


def test_it_is_answered_anew_and_that_answer_is_kept(client: TestClient) -> None:
    made = kept(client)
    again = client.post(f"/v1/scenarios/{made['id']}/forecast", json={"horizon": 2})
    assert again.status_code == 200, again.text
    found = client.get(f"/v1/scenarios/{made['id']}").json()
    assert found["answer"] == again.json()
    assert found["evaluated"] > made["evaluated"]
    assert len(found["answer"]["baseline"]["periods"]) == len(made["answer"]["baseline"]["periods"]) - 2
    assert found["horizon"] == 4


def test_several_are_compared_beside_one_baseline(client: TestClient) -> None:
    up = kept(client, horizon=3)
    down = kept(client, name="Calm", changes=[change(values=[-2.5])], horizon=5)
    answer = client.post("/v1/scenarios/compare", json={"scenarios": [up["id"], down["id"]]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [one["name"] for one in found["scenarios"]] == ["Storm", "Calm"]
    assert found["baseline"] == down["answer"]["baseline"]
    assert found["scenarios"][1]["periods"] == down["answer"]["scenarios"][0]["periods"]
    assert client.get(f"/v1/scenarios/{up['id']}").json() == up


def test_compared_are_scenarios_of_one_category(client: TestClient, own: Settings) -> None:
    boots = kept(client)
    with Scenarios(engine_of(own)).engine.begin() as connection:  # no signal serves the other category
        row = connection.exec_driver_sql("SELECT * FROM scenario").mappings().one()
        names = ", ".join(row)
        connection.exec_driver_sql(
            f"INSERT INTO scenario ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            tuple((dict(row) | {"id": "sc_" + "0" * 32, "category": HATS}).values()),
        )
    answer = client.post("/v1/scenarios/compare", json={"scenarios": [boots["id"], "sc_" + "0" * 32]})
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"scenarios: of one category, not of {BOOTS}, {HATS}"
    unknown = client.post("/v1/scenarios/compare", json={"scenarios": ["sc_" + "1" * 32]})
    assert (unknown.status_code, unknown.json()["type"].rsplit(":")[-1]) == (404, "unknown-scenario")


def test_the_list_is_paged_newest_first(client: TestClient) -> None:
    for name in ("One", "Two", "Three"):
        kept(client, name=name)
    first = client.get("/v1/scenarios", params={"limit": 2, "category": BOOTS}).json()
    assert ([item["name"] for item in first["items"]], first["total"]) == (["Three", "Two"], 3)
    assert [item["name"] for item in client.get(first["next"]).json()["items"]] == ["One"]
    assert client.get("/v1/scenarios", params={"category": HATS}).json()["total"] == 0


def test_a_name_is_given_once_a_category(client: TestClient) -> None:
    made = kept(client)
    again = client.post("/v1/scenarios", json=asked(changes=[change(values=[0.0])]))
    assert (again.status_code, again.json()["type"].rsplit(":")[-1]) == (409, "scenario-exists")
    assert client.delete(f"/v1/scenarios/{made['id']}").status_code == 204
    assert client.get(f"/v1/scenarios/{made['id']}").status_code == 404
    assert client.delete(f"/v1/scenarios/{made['id']}").status_code == 404
    kept(client)


def test_sent_again_under_its_key_it_is_kept_once(client: TestClient) -> None:
    headers = {"Idempotency-Key": "storm-1"}
    one, two = (client.post("/v1/scenarios", json=asked(), headers=headers) for _ in range(2))
    assert one.json() == two.json()
    assert client.get("/v1/scenarios").json()["total"] == 1


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"name": "a\nb"}, "name", "printable"),
        ({"name": ""}, "name", "length >= 1"),
        ({"category": "Boots\0"}, "category", "without the character NUL"),
        ({"changes": []}, "changes", "length >= 1"),
        ({"horizon": 10_000}, "horizon", "<= "),
        ({"changes": [change(signal="fog")]}, "changes.0.signal", "weather"),
        ({"changes": [change(first="soon")]}, "changes.0.first", "such as 2026-11-30, 2026-W48"),
        ({"changes": [change(last="2026-13")]}, "changes.0.last", "such as 2026-11-30, 2026-W48"),
        ({"changes": [change(first="2001")]}, "changes.0.first", "periods of the horizon"),
        ({"changes": [change(factor=1.2)]}, "changes.0", "not values and factor"),
        ({"changes": [change(values=None)]}, "changes.0", "not none"),
        ({"changes": [change(values=None, factor=-1)]}, "changes.0.factor", ">= 0"),
        ({"changes": [change(values=None, factor=1.2)]}, "changes.0.factor", "weather was as low as"),
        ({"changes": [change(values=None, level_of="1..2..3")]}, "changes.0.level_of", "2020-03..2020-05"),
        ({"changes": [change(values=None, level_of="2001")]}, "changes.0.level_of", "known values of weather"),
        ({"changes": [change(values=[1e16])]}, "changes.0.values.0", "<= 1000000000000000"),
        ({"changes": [change(), change()]}, "changes.1.first", "each period of a signal once"),
        ({"day": 1}, "day", "no field of this name"),
    ],
)
def test_what_is_wrong_is_told_by_field(fields: dict[str, Any], field: str, told: str, client: TestClient) -> None:
    answer = client.post("/v1/scenarios", json=asked(**fields))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert told in error["allowed"]
    assert client.get("/v1/scenarios").json()["total"] == 0


def test_an_unknown_category_is_told_with_near_ones(client: TestClient) -> None:
    answer = client.post("/v1/scenarios", json=asked(category="Boot"))
    assert (answer.status_code, answer.json()["near"]) == (404, [BOOTS])


def test_allow_lists_and_scopes_hold(own: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.keyring.FRESH_SECONDS", 0.0)
    made = kept(client)
    _, boots = create(own, "boots", ["forecast:read", "forecast:write"], [BOOTS])
    _, hats = create(own, "hats", ["forecast:read", "forecast:write"], [HATS])
    _, reader = create(own, "reader", ["forecast:read"])
    address = f"/v1/scenarios/{made['id']}"

    def status(key: str, method: str, path: str, body: object = None) -> int:
        return client.request(method, path, json=body, headers={"X-API-Key": key}).status_code

    assert status(boots, "GET", address) == status(reader, "GET", address) == 200
    assert [status(hats, method, address) for method in ("GET", "DELETE")] == [404, 404]
    assert status(hats, "POST", f"{address}/forecast", {}) == 404
    assert status(hats, "POST", "/v1/scenarios/compare", {"scenarios": [made["id"]]}) == 404
    assert status(hats, "POST", "/v1/scenarios", asked(name="Mine")) == 403
    assert status(hats, "GET", f"/v1/scenarios?category={BOOTS}") == 403
    assert client.get("/v1/scenarios", headers={"X-API-Key": hats}).json()["total"] == 0
    assert client.get("/v1/scenarios", headers={"X-API-Key": boots}).json()["total"] == 1
    assert status(reader, "POST", "/v1/scenarios", asked(name="Mine")) == 403
    assert status(reader, "DELETE", address) == 403
    assert status(boots, "DELETE", address) == 204


def test_the_client_keeps_lists_and_compares(client: TestClient, tmp_path: Path) -> None:
    with Client("http://testserver", cache=tmp_path / "cache", transport=through(client)) as typed:
        made = typed.scenario("Storm", BOOTS, [change()], horizon=4)
        assert made.answer.scenarios[0].total == made.total
        assert [one.id for one in typed.scenarios(BOOTS)] == [one.id for one in typed.scenarios()] == [made.id]
        assert typed.compare([made.id], horizon=2).scenarios[0].name == "Storm"
        with pytest.raises(Refused, match="scenario-exists"):
            typed.scenario("Storm", BOOTS, [change()])


@pytest.fixture
def run(own: Settings) -> Callable[..., Result]:
    def call(*args: str) -> Result:
        return CliRunner().invoke(cli, ["--home", str(own.home), "scenario", *args])

    return call


def new(name: str = "Storm", what: str = "=2.5", *more: str) -> tuple[str, ...]:
    return "new", name, "--category", BOOTS, "--change", f"weather {what} {NEXT}", "--horizon", "4", *more


def test_the_command_keeps_shows_lists_and_removes(run: Callable[..., Result], own: Settings) -> None:
    made = run(*new())
    assert made.exit_code == 0, made.output
    assert "Storm  difference" in made.stdout
    assert "\nin all" in made.stdout
    assert run("show", "Storm").stdout == made.stdout
    assert json.loads(run("list", "--json").stdout)[0]["changes"] == [change()]
    assert run("list").stdout.splitlines()[1].startswith(f"Storm     {BOOTS}")
    again = json.loads(run("show", "Storm", "--again", "--horizon", "2", "--json").stdout)
    assert len(again["answer"]["baseline"]["periods"]) == 5  # with the three weeks that are not known yet
    assert run("remove", again["id"]).stdout == f"'Storm' of {BOOTS} is forgotten\n"
    assert Scenarios(engine_of(own)).page(None, 10) == ([], 0)


def test_the_command_compares(run: Callable[..., Result]) -> None:
    for name, value in (("Up", "=2.5"), ("Down", "=-2.5")):
        assert run(*new(name, value)).exit_code == 0
    text = run("compare", "Up", "Down", "--horizon", "3")
    assert text.exit_code == 0, text.output
    assert text.stdout.splitlines()[2].split()[:3] == ["period", "baseline", "Up"]
    assert [one["name"] for one in json.loads(run("compare", "Up", "Down", "--json").stdout)["scenarios"]] == [
        "Up",
        "Down",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("show", "Nothing"), 1, "there is no scenario 'Nothing'"),
        (("remove", "Nothing"), 1, "there is no scenario 'Nothing'"),
        (("compare", "Nothing"), 1, "there is no scenario 'Nothing'"),
        (("show", "Nothing", "--horizon", "3"), 2, "--horizon and --as-of go with --again"),
        (new(what="sinks"), 2, "--change: got weather sinks"),
        (new(what="+20%"), 1, "changes.0.factor: got 1.2; wanted values or level_of: weather was as low as"),
        (new(name="a\tb"), 2, "name: a name of printable characters"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: tuple[str, ...], code: int, told: str, run: Callable[..., Result]
) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert told in result.output


def test_a_name_of_two_categories_is_asked_after(run: Callable[..., Result], own: Settings) -> None:
    run(*new())
    port = Scenarios(engine_of(own))
    (found,) = port.find(BOOTS, "Storm")
    body = ScenarioRequest.model_validate(asked(category=HATS))
    port.add(body, found.answer, ANYBODY)
    assert f"'Storm' is a scenario of {BOOTS}, {HATS}: say which with --category" in run("show", "Storm").output
    assert run("show", "Storm", "--category", BOOTS).exit_code == 0
    assert run("compare", "Storm", "Storm", "--category", BOOTS).exit_code == 2
