"""Configurations and alerts over REST, on the command line and by the client; nobody decides what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.client import Client, Refused
from api.database import alert, engine_of, now, writing
from api.keys import create
from api.life.answers import configurations, portfolio
from api.settings import Settings
from forecast.configuration import DEFAULT
from signals.store import open_snapshot
from tests.api.life.lives import GOOD, POOR, put

OF = "/v1/categories/Boots/configurations"


@pytest.fixture
def settings(poor: Path) -> Settings:
    made = Settings(home=poor)
    put(made, now(), challenger=GOOD.name, share=5)
    found = {"change": 41.0, "low": 20.0, "high": 60.0, "unit": "%"}
    row = {
        "category": "Boots", "kind": "loss", "signal": "", "since": now().date(), "found": now().date(),
        "raised": now(), "size": 41.0, "cause": "configuration", "sentence": "It is worse.", "done": "",
        "evidence": json.dumps(found), "state": "open",
    }  # fmt: skip
    with writing(engine_of(made)) as connection:
        connection.execute(alert.insert().values(**row))
    return made


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def decide(client: TestClient, what: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{OF}/{what}", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_rest_tells_what_serves(client: TestClient, settings: Settings) -> None:
    told = client.get(OF).json()
    assert told == configurations(settings, open_snapshot(settings.home), "Boots").model_dump(mode="json")
    assert told["champion"]["configuration"] == POOR.name
    assert told["challenger"]["memory"] == 2.0
    assert (told["stage"], told["share_pct"], told["pinned"]) == ("canary", 5, False)
    assert told["evidence"]["scores"] == 0
    assert told["changes"][0]["actor"] == "test"
    page = client.get("/v1/configurations").json()
    assert page["items"] == portfolio(settings, open_snapshot(settings.home)).model_dump(mode="json")["items"]


def test_a_person_decides_and_it_is_kept_with_the_reason(client: TestClient) -> None:
    told = decide(client, "promote", reason="agreed")
    assert told["champion"]["configuration"] == GOOD.name
    assert told["previous"]["configuration"] == POOR.name
    assert told["changes"][0]["reason"] == "agreed"
    assert decide(client, "rollback")["champion"]["configuration"] == POOR.name
    assert decide(client, "pin")["pinned"]
    assert not decide(client, "unpin")["pinned"]
    assert decide(client, "veto", configuration=GOOD.name)["vetoed"] == [GOOD.name]
    own = decide(client, "promote", settings={"engine": "fast", "signals": []})
    assert own["champion"]["signals"] == []
    actions = [one["action"] for one in own["changes"]][:6]
    assert actions == ["promoted", "vetoed", "unpinned", "pinned", "rolled back", "promoted"]


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("promote", {"configuration": POOR.name}, "configuration"),
        ("promote", {"configuration": "cfg_0000000000000000"}, "configuration"),
        ("promote", {"configuration": GOOD.name, "settings": {}}, "body"),
        ("promote", {"settings": {"engine": "magic"}}, "engine"),
        ("promote", {"settings": {"history": 2}}, "configuration.history"),
        ("veto", {"configuration": POOR.name}, "configuration"),
        ("veto", {}, "configuration"),
        ("pin", {"because": "x"}, "because"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(client: TestClient, what: str, body: Any, field: str) -> None:
    answer = client.post(f"{OF}/{what}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert client.get(OF).json()["champion"]["configuration"] == POOR.name


def test_what_was_vetoed_is_not_promoted_and_without_a_former_one_nothing_comes_back(client: TestClient) -> None:
    decide(client, "veto", configuration=GOOD.name)
    assert client.post(f"{OF}/promote", json={"configuration": GOOD.name}).status_code == 422
    assert client.post(f"{OF}/promote", json={}).status_code == 422
    assert client.post(f"{OF}/rollback", json={}).status_code == 422


def test_alerts_are_listed_acknowledged_and_closed(client: TestClient) -> None:
    (one,) = client.get("/v1/alerts", params={"state": "open"}).json()["items"]
    assert (one["category"], one["change"], one["signal"]) == ("Boots", 41.0, None)
    address = f"/v1/alerts/{one['id']}"
    assert client.get(address).json() == one
    settled = client.post(address, json={"state": "acknowledged", "reason": "known"}).json()
    assert (settled["state"], settled["reason"], settled["actor"]) == ("acknowledged", "known", "anonymous")
    assert client.get("/v1/alerts", params={"state": "open"}).json()["items"] == []
    assert client.get("/v1/alerts", params={"category": "Boots"}).json()["total"] == 1
    assert client.post(address, json={"state": "open"}).status_code == 422
    for name in ("al_99", "al_x", "17", "al_" + "9" * 30):
        assert client.get(f"/v1/alerts/{name}").status_code == 404


def test_a_key_sees_its_categories_and_decides_only_with_the_scope(settings: Settings) -> None:
    _, blind = create(settings, "blind", ["forecast:read", "model:write"], categories=["Hats"])
    _, reader = create(settings, "reader", ["forecast:read"])
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        theirs, mine = ({"X-API-Key": key} for key in (blind, reader))
        assert client.get(OF, headers=theirs).status_code == 404
        assert client.post(f"{OF}/pin", json={}, headers=theirs).status_code == 404
        assert client.post("/v1/categories/Boots/retune", json={}, headers=theirs).status_code == 404
        assert client.get("/v1/configurations", headers=theirs).json()["items"] == []
        assert client.get("/v1/alerts", headers=theirs).json()["items"] == []
        assert client.get("/v1/alerts", params={"category": "Boots"}, headers=theirs).json()["items"] == []
        assert client.get("/v1/alerts/al_1", headers=theirs).status_code == 404
        assert client.get(OF, headers=mine).status_code == 200
        assert client.post(f"{OF}/pin", json={}, headers=mine).status_code == 403
        assert client.post("/v1/alerts/al_1", json={"state": "closed"}, headers=mine).status_code == 403


def test_the_client_asks_and_decides(settings: Settings, tmp_path: Path) -> None:
    app = create_app(settings)
    with TestClient(app, base_url="http://localhost") as inner:

        def pass_on(request: httpx.Request) -> httpx.Response:
            answer = inner.request(request.method, str(request.url), content=request.content, headers=request.headers)
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

        with Client("http://localhost", cache=tmp_path, transport=httpx.MockTransport(pass_on)) as client:
            assert client.configurations("Boots").share_pct == 5
            assert [one.category for one in client.all_configurations()] == ["Boots"]
            (one,) = client.alerts(state="open")
            assert client.settle(one.id, "closed").state == "closed"
            assert client.decide("Boots", "promote", reason="agreed").champion.configuration == GOOD.name
            with pytest.raises(Refused, match="another than the champion"):
                client.decide("Boots", "promote", configuration=GOOD.name)
            assert client.retune("Boots").kind == "retune"


def call(settings: Settings, *words: str, fails: int = 0) -> str:
    result = CliRunner().invoke(cli, ["--home", str(settings.home), *words])
    assert result.exit_code == fails, result.output
    return result.output


def test_the_command_line_does_the_same(settings: Settings) -> None:
    shown = json.loads(call(settings, "model", "show", "Boots", "--json"))
    assert shown == configurations(settings, open_snapshot(settings.home), "Boots").model_dump(mode="json")
    assert "canary 5 %" in call(settings, "model", "show")
    assert "stage      canary, 5 % of requests" in call(settings, "model", "show", "Boots")
    told = call(settings, "model", "promote", "Boots", "--reason", "agreed", "--author", "Ann")
    assert f"champion   {GOOD.name}" in told
    log = call(settings, "model", "log", "Boots")
    assert f"promoted {GOOD.name} by Ann\n    agreed" in log
    assert f"champion   {POOR.name}" in call(settings, "model", "rollback", "Boots")
    assert "(pinned)" in call(settings, "model", "pin", "Boots")
    assert "(pinned)" not in call(settings, "model", "pin", "Boots", "--off")
    assert f"vetoed     {DEFAULT.name}" in call(settings, "model", "veto", "Boots", DEFAULT.name)
    assert "not the champion" in call(settings, "model", "veto", "Boots", POOR.name, fails=2)
    assert "al_1" in call(settings, "alerts", "list", "--state", "open")
    assert "acknowledged by Ann: known" in call(
        settings, "alerts", "acknowledge", "al_1", "--author", "Ann", "--reason", "known"
    )
    assert "closed by" in call(settings, "alerts", "close", "al_1")
    assert "there is no alert al_2" in call(settings, "alerts", "close", "al_2", fails=1)
    assert "new alerts" in call(settings, "model", "look")
    assert "job " in call(settings, "retune", "Boots", "--later")
    assert "unknown category" in call(settings, "model", "pin", "Bots", fails=1)
