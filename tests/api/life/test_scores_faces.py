"""Scores over REST, on the command line and by the client: the same answers, and nobody sees what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.client import Client, Refused
from api.keys import create
from api.life.score_answers import category_scores, portfolio
from api.life.scores import Chosen
from api.settings import Settings
from signals.store import Batch, open_snapshot, submit
from tests.api.life.past import mondays
from tests.api.stores import described


@pytest.fixture
def client(lived: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(lived), raise_server_exceptions=False) as client:
        yield client


def test_rest_tells_the_ladder_of_a_category(client: TestClient, lived: Settings) -> None:
    snapshot = open_snapshot(lived.home)
    answer = client.get("/v1/categories/Boots/scores")
    assert answer.status_code == 200
    assert answer.json() == category_scores(lived, snapshot, "Boots", Chosen()).model_dump(mode="json")
    since, until = mondays(12)[0].date(), mondays(6)[0].date()
    query = {"lead": "2", "since": str(since), "until": str(until), "basis": "first"}
    part = client.get("/v1/categories/Boots/scores", params=query).json()
    wanted = Chosen(lead=2, since=since, until=until, basis="first")
    assert part == category_scores(lived, snapshot, "Boots", wanted).model_dump(mode="json")
    assert [one["lead"] for one in part["ladder"]] == [2]


def test_rest_lists_all_categories_a_page_at_a_time(client: TestClient, lived: Settings) -> None:
    whole = client.get("/v1/scores").json()
    assert whole == portfolio(lived, open_snapshot(lived.home), Chosen()).model_dump(mode="json")
    page = client.get("/v1/scores", params={"limit": 1, "lead": 1}).json()
    assert [one["category"] for one in page["items"]] == ["Boots"]
    following = client.get(page["next"]).json()
    assert [one["category"] for one in following["items"]] == ["Hats"]
    assert following["next"] is None
    assert following["ladder"] == page["ladder"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("lead=0", "lead"), ("lead=x", "lead"), ("since=yesterday", "since"), ("basis=second", "basis"), ("of=1", "of")],
)
@pytest.mark.parametrize("path", ["/v1/scores", "/v1/categories/Boots/scores"])
def test_what_is_no_filter_is_refused_by_name(client: TestClient, path: str, query: str, field: str) -> None:
    problem = client.get(f"{path}?{query}")
    assert problem.status_code == 422
    assert field in problem.json()["detail"]


def test_an_unknown_category_is_not_found(client: TestClient) -> None:
    problem = client.get("/v1/categories/Boot/scores")
    assert problem.status_code == 404
    assert "Boots" in problem.json()["detail"]


def test_a_category_may_end_in_scores(scored: Settings) -> None:
    name = "Film/scores"
    submit(scored.home, Batch("test", categories=pd.DataFrame([described(name)])))
    with TestClient(create_app(scored)) as client:
        assert client.get("/v1/categories/Film%2Fscores").json()["category"] == name
        told = client.get("/v1/categories/Film%2Fscores/scores").json()
    assert (told["category"], told["sentence"]) == (name, "No forecast was scored yet.")


def test_a_key_sees_its_own_categories(scored: Settings) -> None:
    some = create(scored, "hats", scopes=["forecast:read"], categories=["Hats"])[1]
    other = create(scored, "writer", scopes=["forecast:write"])[1]
    with TestClient(create_app(scored), raise_server_exceptions=False) as client:
        mine = {"X-API-Key": some}
        whole = client.get("/v1/scores", headers=mine).json()
        assert ([one["category"] for one in whole["items"]], whole["total"]) == (["Hats"], 1)
        assert whole["ladder"]["steps"] == whole["items"][0]["steps"]
        assert client.get("/v1/categories/Hats/scores", headers=mine).status_code == 200
        hidden = client.get("/v1/categories/Boots/scores", headers=mine)
        assert (hidden.status_code, "Hats" in hidden.text) == (404, False)
        for path in ("/v1/scores", "/v1/categories/Hats/scores"):
            assert client.get(path, headers={"X-API-Key": other}).status_code == 403
            assert client.get(path).status_code == 401


def run(settings: Settings, *words: str) -> Any:
    return CliRunner().invoke(cli, ["--home", str(settings.home), *words])


def test_the_command_line_tells_the_same(lived: Settings) -> None:
    snapshot = open_snapshot(lived.home)
    told = category_scores(lived, snapshot, "Boots", Chosen())
    result = run(lived, "scores", "Boots")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"Boots: {told.sentence}"
    assert [line.split("  ")[0] for line in lines[3:7]] == [
        "naive",
        "seasonal naive",
        "model without signals",
        "system",
    ]
    assert "Error (WAPE) by periods ahead" in lines
    assert json.loads(run(lived, "scores", "Boots", "--json").stdout) == told.model_dump(mode="json")
    whole = run(lived, "scores").stdout
    assert "\nHats: Nothing can be said yet" in whole
    options = ("--lead", "2", "--basis", "first", "--since", str(mondays(9)[0].date()))
    part = json.loads(run(lived, "scores", *options, "--json").stdout)
    wanted = Chosen(lead=2, basis="first", since=mondays(9)[0].date())
    assert part["items"] == portfolio(lived, snapshot, wanted).model_dump(mode="json")["items"]


def test_a_slip_on_the_command_line_is_one_line(lived: Settings) -> None:
    unknown = run(lived, "scores", "Boot")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 1)
    assert "did you mean 'Boots'?" in unknown.stderr
    assert run(lived, "scores", "--lead", "0").exit_code == 2


def test_score_does_it_by_hand(fresh: Settings) -> None:
    assert "No forecast was scored yet" in run(fresh, "scores", "Boots").stdout
    first = json.loads(run(fresh, "score", "--json").stdout)
    assert first["forecasts"] == 29
    assert first["opened"] > 20
    again = run(fresh, "score")
    assert again.exit_code == 0
    assert again.stdout.startswith("0 forecasts looked at, 0 actuals new or revised; of 0 different forecasts")


def test_the_client_reads_them(lived: Settings) -> None:
    with TestClient(create_app(lived)) as asked:

        def send(request: httpx.Request) -> httpx.Response:
            found = asked.request(request.method, str(request.url))
            return httpx.Response(found.status_code, content=found.content, headers=found.headers)

        with Client("http://testserver", transport=httpx.MockTransport(send)) as client:
            snapshot = open_snapshot(lived.home)
            assert client.scores("Boots", lead=2) == category_scores(lived, snapshot, "Boots", Chosen(lead=2))
            assert client.all_scores() == portfolio(lived, snapshot, Chosen()).items
            with pytest.raises(Refused, match="basis"):
                client.scores("Boots", basis="second")
