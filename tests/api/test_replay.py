"""A receipt made again: identical to the byte, or what differs and why; or why it cannot be made again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api import made_with
from api.cli import cli
from api.client import Client
from api.database import engine_of, issued, issued_inline, writing
from api.keys import create
from api.ledger import Ledger
from api.ledger_packing import pack
from api.replay import canonical, differences, replay
from api.settings import Settings
from signals.store import Batch, submit
from tests.api.erp.exchange import YEAR, asked
from tests.api.erp.exchange import answer as business_central
from tests.api.stores import CATEGORIES, fill, last_week, sales
from tests.api.test_client import through
from tests.api.test_forecasts import HISTORY
from tests.api.workers import wait_for, working

BOOTS = CATEGORIES[0]
SIGNAL = HISTORY | {"signal": "rain"}
REQUESTS: list[dict[str, Any]] = [
    {"category": BOOTS, "horizon": 4},
    {"category": BOOTS, "horizon": 2, "engine": "seasonal_naive", "levels": [50]},
    {"category": BOOTS, "horizon": 2, "as_of": "2026-06-01T00:00:00Z", "events": "none"},
    {"category": BOOTS, "horizon": 2, "engine": "auto", "deadline_ms": 100},
    {"category": BOOTS, "horizon": 3, "phase_out": "2027-W20", "like": []},
    {"history": HISTORY, "horizon": 3, "signals": [SIGNAL], "unit": "pairs", "category": "mine"},
]


@pytest.fixture
def client(own: Settings, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(own.home) as client:
        yield client


def issue(client: TestClient, **request: Any) -> str:
    response = client.post("/v1/forecasts", json=request)
    assert response.status_code == 200, response.text
    return str(response.json()["receipt"])


def command(settings: Settings, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["--home", str(settings.home), *arguments])
    return done.exit_code, done.output


def change_answer(settings: Settings, receipt: str, change: Callable[[dict[str, Any]], None]) -> None:
    found = Ledger(settings).resolve(receipt)
    assert found is not None
    answer = orjson.loads(found.answer)
    change(answer)
    with writing(engine_of(settings)) as connection:
        new = issued.update().where(issued.c.receipt == receipt).values(answer=pack(orjson.dumps(answer)))
        connection.execute(new)


@pytest.mark.parametrize("request_", REQUESTS)
def test_each_kind_of_request_comes_to_the_same_bytes(
    request_: dict[str, Any], client: TestClient, own: Settings
) -> None:
    found = replay(own, issue(client, **request_))
    assert (found.outcome, found.differences, found.why) == ("identical", [], [])


def test_what_the_store_learns_later_changes_no_replay(tmp_path: Path, client_of: Callable[..., TestClient]) -> None:
    fill(tmp_path, last_week())
    settings = Settings(home=tmp_path)
    with client_of(tmp_path) as client:
        receipt = issue(client, category=BOOTS, horizon=4)
        submit(tmp_path, Batch("more", sales=sales(BOOTS, last_week()).assign(quantity=7.0)))
        newer = issue(client, category=BOOTS, horizon=4)
    assert replay(settings, receipt).outcome == replay(settings, newer).outcome == "identical"
    old, new = (Ledger(settings).resolve(one) for one in (receipt, newer))
    assert old is not None
    assert new is not None
    assert canonical(old.answer) != canonical(new.answer)


def test_sales_that_ended_long_ago_are_replayed_on_another_day(
    own: Settings, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their warning counts the days up to the moment of forecasting."""
    with client_of(own.home, max_nowcast_days=7) as client:
        receipt = issue(client, category=BOOTS, horizon=2)
    later = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(days=60)
    for place in ("api.service._now", "api.forecasting.now"):
        monkeypatch.setattr(place, lambda: later)
    found = replay(own, receipt)
    assert not found.differences, found.differences[:2]


def test_business_central_bulk_and_runs(own: Settings, client: TestClient) -> None:
    business_central(client, asked(YEAR, item="1000", confidence=99.5))
    business_central(client, asked(YEAR, item="of no category", seasonality=52))
    bulk = client.post("/v1/forecasts/bulk", json=[{"category": BOOTS, "horizon": 1}]).json()
    with working(own):
        place = client.post("/v1/runs", json={"horizon": 2}).headers["location"]
        wait_for(lambda: client.get(place).json()["status"] == "succeeded")
    code, told = command(own, "replay", "--all", "--json")
    assert json.loads(told) == {"outcomes": {"identical": 5, "different": 0, "impossible": 0}, "others": []}
    assert code == 0
    assert replay(own, bulk["items"][0]["forecast"]["receipt"]).outcome == "identical"


def test_what_differs_is_told_with_other_versions(
    own: Settings, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = issue(client, category=BOOTS, horizon=2)
    change_answer(own, receipt, lambda answer: answer["forecast"][1].update(value=1.0, extra=2))
    same = replay(own, receipt)
    assert [one.field for one in same.differences] == ["forecast.1.value", "forecast.1.extra"]
    assert (same.differences[0].issued, same.differences[1].now) == (1.0, None)
    assert same.why == ["the versions are those that made it: what the store knew then has changed, or a setting has"]
    now = made_with.here()
    monkeypatch.setattr(made_with, "here", lambda: now | {"numpy": "9.9"})
    found = replay(own, receipt)
    assert found.outcome == "different"
    assert len(found.why) == 1
    assert found.why[0].startswith("other versions: numpy ")
    assert found.why[0].endswith(" then, 9.9 now")
    code, told = command(own, "replay", receipt)
    assert code == 1
    assert "2 fields differ" in told
    assert "forecast.1.extra  2" in told


def test_a_history_that_is_kept_no_longer(own: Settings, client: TestClient) -> None:
    receipt = issue(client, history=HISTORY, horizon=1)
    with writing(engine_of(own)) as connection:
        connection.execute(issued_inline.delete())
    found = replay(own, receipt)
    assert found.outcome == "impossible"
    assert found.why[0].startswith(
        f"its history of {len(HISTORY['values'])} periods came with the request, and is kept"
    )
    code, told = command(own, "replay", "--since", "2020-01-01")
    assert (code, "1 made again: 0 identical, 0 different, 1 impossible" in told) == (1, True)


def test_a_store_that_lost_what_it_knew(own: Settings, client: TestClient) -> None:
    found = Ledger(own).resolve(issue(client, category=BOOTS, horizon=1))
    assert found is not None
    for receipt, lost in (("fc_later", {"data_version": 99}), ("fc_gone", {"category": "Gloves"})):
        request = orjson.dumps(orjson.loads(found.request) | lost)
        Ledger(own).append(replace(found, receipt=receipt, request=request))
    assert replay(own, "fc_later").outcome == replay(own, "fc_gone").outcome == "impossible"
    assert "99" in replay(own, "fc_later").why[0]
    assert "Gloves" in replay(own, "fc_gone").why[0]


def test_one_of_an_earlier_version_has_no_record_of_versions(own: Settings, client: TestClient) -> None:
    receipt = issue(client, history=HISTORY, horizon=1)
    found = Ledger(own).resolve(receipt)
    assert found is not None
    request = orjson.loads(found.request)
    old = {name: value for name, value in request.items() if name not in ("inline", "made_with")} | {"history": HISTORY}
    answer = orjson.loads(found.answer) | {"warnings": ["another"]}
    Ledger(own).append(type(found)("fc_old", None, found.answer, orjson.dumps(old)))
    Ledger(own).append(type(found)("fc_old_too", None, orjson.dumps(answer), orjson.dumps(old)))
    assert replay(own, "fc_old").outcome == "identical"
    assert replay(own, "fc_old_too").why == [
        "an earlier version of Groundswell made it, which kept no record of the versions it was made with"
    ]


def test_over_http(own: Settings, client: TestClient) -> None:
    receipt = issue(client, category=BOOTS, horizon=2)
    response = client.get(f"/v1/forecasts/{receipt}/replay")
    assert response.json() == {
        "receipt": receipt, "category": BOOTS, "outcome": "identical", "differences": [], "why": [],
    }  # fmt: skip
    assert response.headers["cache-control"] == "no-store"
    assert client.get("/v1/forecasts/fc_none/replay").status_code == 404
    assert len(client.get(f"/v1/forecasts?category={BOOTS}").json()["items"]) == 1  # a replay issues nothing


def test_a_key_replays_what_it_may_see(own: Settings, client_of: Callable[..., TestClient]) -> None:
    with client_of(own.home) as client:
        receipt = issue(client, category=BOOTS, horizon=2)
    keys = [create(own, name, ["forecast:read"], categories=[name])[1] for name in CATEGORIES]
    with client_of(own.home) as client:
        answers = [client.get(f"/v1/forecasts/{receipt}/replay", headers={"X-API-Key": key}) for key in keys]
    assert [answer.status_code for answer in answers] == [200, 404]


def test_by_the_client(own: Settings, client: TestClient) -> None:
    receipt = issue(client, category=BOOTS, horizon=2)
    with Client("http://testserver", transport=through(client)) as reader:
        assert reader.replay(receipt).outcome == "identical"


@pytest.mark.parametrize("arguments", [(), ("fc_1", "--all"), ("fc_1", "--sample", "3")])
def test_wrong_use(arguments: tuple[str, ...], own: Settings, client: TestClient) -> None:
    issue(client, category=BOOTS, horizon=1)
    assert command(own, "replay", *arguments)[0] == 2


def test_a_receipt_that_is_none(own: Settings, client: TestClient) -> None:
    issue(client, category=BOOTS, horizon=1)
    assert command(own, "replay", "fc_none") == (1, "error: no forecast has the receipt 'fc_none'\n")


def test_some_of_many(own: Settings, client: TestClient) -> None:
    for name in (BOOTS, BOOTS, CATEGORIES[1]):
        issue(client, category=name, horizon=1)
    for more, number in ((("--category", BOOTS), 2), (("--all", "--sample", "1"), 1), (("--since", "2999-01-01"), 0)):
        assert sum(json.loads(command(own, "replay", *more, "--json")[1])["outcomes"].values()) == number


def test_differences_of_lists_and_types() -> None:
    before, after = {"a": [1, 2], "b": None, "c": 1}, {"a": [1], "b": 0, "c": 1.0}
    found = [(one.field, one.issued, one.now) for one in differences(before, after)]
    assert found == [("a.1", 2, None), ("b", None, 0), ("c", 1, 1.0)]


def test_versions_are_kept_once(own: Settings, client: TestClient) -> None:
    for _ in range(2):
        issue(client, category=BOOTS, horizon=1)
    engine = engine_of(own)
    assert made_with.versions(engine, made_with.name_here()) == made_with.here()
    assert {"method", "numpy", "pandas", "groundswell", "processor", "python"} <= made_with.here().keys()
    with engine.connect() as connection:
        assert len(connection.execute(sa.text("SELECT id FROM made_with")).all()) == 1
