"""Overrides over REST: set, seen beside the system's forecast, changed, withdrawn, restored, and whose they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from fastapi.testclient import TestClient

from api import audit
from api.app import create_app
from api.forecasting import Forecaster, asked_again
from api.issued import last_of_category
from api.keys import create
from api.ledger import Ledger
from api.settings import Settings
from api.snapshots import Snapshots
from tests.api.stores import CATEGORIES

BOOTS, HATS = CATEGORIES


@pytest.fixture
def client(own: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(own), raise_server_exceptions=False) as client:
        yield client


def address(category: str = BOOTS, *parts: str) -> str:
    return "/".join([f"/v1/categories/{quote(category, safe='')}/overrides", *parts])


def week(ahead: int) -> str:
    """The week that begins so many weeks after this one."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(weeks=ahead)
    return f"{day:%G}-W{day:%V}"


def set_(client: TestClient, periods: str = "", category: str = BOOTS, **fields: Any) -> dict[str, Any]:
    body = {"periods": periods or week(2), "reason": "promotion", "author": "Ann"} | fields
    answer = client.post(address(category), json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{made["override"]}"'
    assert answer.headers["location"].endswith(address(category, made["id"]))
    return made


def made(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/forecasts", json={"category": BOOTS, "horizon": 6} | fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def published(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in answer["forecast"] if "published" in row]


def systems(answer: dict[str, Any]) -> list[Any]:
    return [{name: value for name, value in row.items() if name != "published"} for row in answer["forecast"]]


def of(one: dict[str, Any]) -> dict[str, str]:
    return {"If-Match": f'"{one["override"]}"'}


def refuses(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_absolute_one_is_published_beside_the_systems_forecast(client: TestClient) -> None:
    before = made(client)
    assert "overrides" not in before
    assert published(before) == []
    one = set_(client, value=200)
    assert one["version"] == 1
    assert (one["value"], one["percent"], one["layer"], one["state"], one["action"]) == (
        200, None, "planner", "in_force", "set",
    )  # fmt: skip
    after = made(client)
    assert systems(after) == systems(before)
    (row,) = published(after)
    assert row["period"] == one["last"]  # a week is labelled by its last day
    shown = row["published"]
    assert (shown["value"], shown["layer"], shown["author"], shown["reason"]) == (200, "planner", "Ann", "promotion")
    assert shown["overrides"] == [one["override"]] == [told["override"] for told in after["overrides"]]
    for level, (low, high) in row["intervals"].items():
        assert shown["intervals"][level] == pytest.approx([200 * low / row["value"], 200 * high / row["value"]])
    assert client.get(f"/v1/forecasts/{after['receipt']}").json() == after
    assert "overrides" not in made(client, overrides="none")


def test_a_relative_one_multiplies_what_the_system_says_today_and_keeps_what_its_author_saw(
    client: TestClient,
) -> None:
    seen = made(client)
    one = set_(client, f"{week(1)}..{week(2)}", percent=10)
    assert one["seen"]["receipt"] == seen["receipt"]
    values = {row["period"]: row["value"] for row in seen["forecast"]}
    assert [row["value"] for row in one["seen"]["periods"]] == [values[row["period"]] for row in one["seen"]["periods"]]
    assert len(one["seen"]["periods"]) == 2
    rows = published(made(client))
    assert len(rows) == 2
    for row in rows:
        assert row["published"]["value"] == pytest.approx(1.1 * row["value"])
        assert row["published"]["intervals"]["80"] == pytest.approx([1.1 * end for end in row["intervals"]["80"]])


def test_layers_apply_in_their_order_then_the_last_change_decides(client: TestClient) -> None:
    boss = set_(client, value=300, layer="manager", author="Bob")
    first = set_(client, value=100)
    second = set_(client, percent=-50)
    shown = published(made(client))[0]["published"]
    assert (shown["value"], shown["author"]) == (300, "Bob")
    assert shown["overrides"] == [first["override"], second["override"], boss["override"]]
    changed = client.patch(address(BOOTS, first["id"]), json={"value": 120, "reason": "more"}, headers=of(first))
    assert changed.status_code == 200, changed.text
    gone = client.delete(address(BOOTS, boss["id"]), params={"reason": "over"}, headers=of(boss))
    assert (gone.json()["state"], gone.json()["version"]) == ("withdrawn", 2)
    shown = published(made(client))[0]["published"]
    assert shown["value"] == 120  # changed last
    assert shown["overrides"] == [second["override"], changed.json()["override"]]


def test_the_same_overrides_apply_when_a_forecast_is_made_again(client: TestClient, own: Settings) -> None:
    one = set_(client, value=200)
    answer = made(client)
    without = made(client, overrides="none")
    client.delete(address(BOOTS, one["id"]), params={"reason": "over"}, headers=of(one))
    set_(client, value=5)
    for told in (answer, without):
        kept = Ledger(own).resolve(told["receipt"])
        assert kept is not None
        body, served = asked_again(own, kept.request)
        again = orjson.loads(Forecaster(own, Snapshots(own.home)).make(body, served=served).answer)
        passing = ("receipt", "timing_ms")
        assert {k: v for k, v in again.items() if k not in passing} == {
            k: v for k, v in told.items() if k not in passing
        }
    same = made(client, overrides=[one["override"]])
    assert published(same)[0]["published"]["value"] == 200
    problem = client.post(
        "/v1/forecasts", json={"category": HATS, "horizon": 6, "overrides": [one["override"]]}
    )  # of another category
    refuses(problem, 422)
    assert problem.json()["errors"][0]["field"] == "overrides.0"


def test_who_looks_at_other_overrides_than_those_in_force_publishes_nothing(client: TestClient, own: Settings) -> None:
    set_(client, week(2), value=200)
    first = made(client)
    for looked in ("none", []):
        made(client, overrides=looked)
        last = last_of_category(own, BOOTS)
        assert last is not None
        assert last.receipt == first["receipt"]


@pytest.mark.parametrize("periods", ["9999", "9999-W52", "0001", "2200..2400"])
def test_days_beyond_reach_are_refused(client: TestClient, periods: str) -> None:
    refuses(client.post(address(), json={"periods": periods, "value": 1, "reason": "x"}), 422)
    tag = {"If-Match": f'"overrides-{10**25}"'}
    refuses(client.post(address(), json={"periods": week(2), "value": 1, "reason": "x"}, headers=tag), 422)


def test_a_request_kept_by_an_earlier_version_overrides_nothing(own: Settings) -> None:
    asked = {"category": BOOTS, "horizon": 2, "engine": "fast", "as_of": None, "data_version": 1}
    assert asked_again(own, orjson.dumps(asked))[0].overrides == "none"


def test_a_moment_has_the_overrides_of_that_moment(client: TestClient) -> None:
    before = dt.datetime.now(dt.UTC).isoformat()
    one = set_(client, value=200)
    between = dt.datetime.now(dt.UTC).isoformat()
    client.delete(address(BOOTS, one["id"]), params={"reason": "over"}, headers=of(one))
    assert [len(published(made(client, as_of=moment))) for moment in (before, between)] == [0, 1]
    assert published(made(client)) == []
    counts = [len(client.get(address(), params={"as_of": moment}).json()["items"]) for moment in (before, between)]
    assert counts == [0, 1]
    assert client.get(address()).json()["items"] == []
    (item,) = client.get(address(), params={"state": "all"}).json()["items"]
    assert item["state"] == "withdrawn"


def test_one_that_expires_no_longer_applies(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    one = set_(client, value=200, expires=soon.isoformat())
    assert len(published(made(client))) == 1
    later = soon.replace(tzinfo=None) + dt.timedelta(seconds=1)
    for module in ("api.forecasting", "api.routes.overrides"):
        monkeypatch.setattr(f"{module}.now", lambda: later)
    assert published(made(client)) == []
    assert client.get(address(BOOTS, one["id"])).json()["state"] == "expired"
    past = client.post(
        address(), json={"periods": week(1), "value": 1, "reason": "x", "expires": "2020-01-01T00:00:00Z"}
    )
    assert past.json()["errors"][0]["field"] == "expires"


def test_whoever_saw_an_old_state_is_told_who_changed_what_when(client: TestClient) -> None:
    one = set_(client, value=200)
    change = {"percent": 15, "reason": "colder", "author": "Bob"}
    assert client.patch(address(BOOTS, one["id"]), json=change, headers=of(one)).status_code == 200
    for method, more in (("PATCH", {"json": {"value": 1, "reason": "x"}}), ("DELETE", {"params": {"reason": "x"}})):
        refused = client.request(method, address(BOOTS, one["id"]), headers=of(one), **more)  # type: ignore[arg-type]
        refuses(refused, 409)
        problem = refused.json()
        assert problem["type"].endswith(":override-changed")
        assert "Bob changed it to +15 % at 20" in problem["detail"]
        (told,) = problem["changes"]
        assert (told["author"], told["percent"], told["reason"], told["action"]) == ("Bob", 15, "colder", "changed")
    missing = client.patch(address(BOOTS, one["id"]), json=change)
    refuses(missing, 428)
    assert f'"{one["id"]}.2"' in missing.json()["detail"]
    refuses(client.patch(address(BOOTS, one["id"]), json=change, headers={"If-Match": "x"}), 422)


def test_a_new_one_is_refused_where_the_same_days_were_changed_since(client: TestClient) -> None:
    seen = {"If-Match": client.get(address()).headers["etag"]}
    set_(client, week(2), value=200)
    body = {"periods": f"{week(1)}..{week(3)}", "value": 10, "reason": "x"}
    refused = client.post(address(), json=body, headers=seen)
    refuses(refused, 409)
    assert "Ann set it to 200" in refused.json()["detail"]
    assert client.post(address(), json=body | {"periods": week(3)}, headers=seen).status_code == 201
    assert client.post(address(), json=body, headers={"If-Match": '"overrides-x"'}).status_code == 422


def test_history_comments_and_restore(client: TestClient) -> None:
    one = set_(client, value=200)
    at = address(BOOTS, one["id"])
    second = client.patch(at, json={"percent": 5, "reason": "less"}, headers=of(one)).json()
    third = client.delete(at, params={"reason": "over", "author": "Bob"}, headers=of(second)).json()
    again = client.delete(at, params={"reason": "x"}, headers=of(third))
    refuses(again, 409)
    fourth = client.post(f"{at}/restore", json={"reason": "not over"}, headers=of(third)).json()
    assert (fourth["version"], fourth["percent"], fourth["state"], fourth["action"]) == (4, 5, "in_force", "restored")
    fifth = client.post(f"{at}/restore", json={"version": 1, "reason": "as it was"}, headers=of(fourth)).json()
    assert (fifth["value"], fifth["percent"]) == (200, None)
    history = client.get(f"{at}/history").json()["items"]
    assert [item["action"] for item in history] == ["set", "changed", "withdrawn", "restored", "restored"]
    assert [item["author"] for item in history][:3] == ["Ann", "anonymous", "Bob"]
    wrong = client.post(f"{at}/restore", json={"version": 3, "reason": "x"}, headers=of(fifth))
    assert wrong.json()["errors"][0]["allowed"] == "an earlier state of it: 1, 2, 4"
    said = client.post(f"{at}/comments", json={"text": "Is that\nreally so?", "author": "Bob"})
    assert said.status_code == 201
    (comment,) = client.get(f"{at}/comments").json()["items"]
    assert (comment["author"], comment["text"]) == ("Bob", "Is that\nreally so?")
    refuses(client.get(address(HATS, one["id"], "comments")), 404)


def test_what_is_wrong_is_named(client: TestClient) -> None:
    for fields, field in (
        ({"periods": "2026-W60", "value": 1}, "periods"),
        ({"periods": f"{week(3)}..{week(1)}", "value": 1}, "periods"),
        ({"value": -1}, "value"),
        ({"percent": -101}, "percent"),
        ({"value": 1, "percent": 1}, "body"),
        ({}, "body"),
        ({"value": 1, "layer": "boss"}, "layer"),
        ({"value": 1, "receipt": f"fc_{'0' * 26}"}, "receipt"),
    ):
        answer = client.post(address(), json={"periods": week(1), "reason": "x"} | fields)
        refuses(answer, 422)
        assert answer.json()["errors"][0]["field"] == field, answer.text
    refuses(client.post(address("Boot"), json={"periods": week(1), "reason": "x", "value": 1}), 404)
    inline = {"history": {"start": "2026-01-04", "frequency": "W-SUN", "values": [1.0] * 20}, "horizon": 2}
    refuses(client.post("/v1/forecasts", json=inline | {"overrides": ["ov_" + "0" * 20 + ".1"]}), 422)


def test_a_key_writes_its_layers_and_sees_its_categories(client: TestClient, own: Settings) -> None:
    keys = {
        "planner": ["data:read", "override:planner"],
        "manager": ["data:read", "override:manager", "override:planner"],
        "reader": ["data:read"],
    }
    held = {name: {"X-API-Key": create(own, name, scopes, [BOOTS])[1]} for name, scopes in keys.items()}
    body = {"periods": week(1), "value": 100, "reason": "x"}
    made_ = client.post(address(), json=body, headers=held["planner"]).json()
    assert (made_["layer"], made_["author"]) == ("planner", "planner")
    refuses(client.post(address(), json=body | {"layer": "manager"}, headers=held["planner"]), 403)
    refuses(client.post(address(), json=body, headers=held["reader"]), 403)
    refuses(client.post(address(HATS), json=body, headers=held["manager"]), 404)
    boss = client.post(address(), json=body | {"layer": "manager"}, headers=held["manager"]).json()
    at = address(BOOTS, boss["id"])
    refuses(client.patch(at, json={"value": 1, "reason": "x"}, headers=held["planner"] | of(boss)), 403)
    assert client.post(f"{at}/comments", json={"text": "why?"}, headers=held["planner"]).status_code == 201
    refuses(client.post(f"{at}/comments", json={"text": "why?"}, headers=held["reader"]), 403)
    assert len(client.get(address(), headers=held["reader"]).json()["items"]) == 2
    actions = {row["action"] for row in audit.newest(own, 20)}
    assert {"override set", "override comment", "POST /v1/categories/{category}/overrides"} <= actions


def test_trees_and_scenarios_leave_them_out_and_say_so(client: TestClient) -> None:
    body = {
        "name": "rain", "category": BOOTS, "horizon": 4,
        "changes": [{"signal": "weather", "first": week(1), "values": [1.0]}],
    }  # fmt: skip
    set_(client, percent=10)
    answer = client.post("/v1/scenarios", json=body)
    assert answer.status_code == 201, answer.text
    warning = answer.json()["answer"]["warnings"][-1]
    assert warning == "overrides are left out, for a scenario is of the system alone; in force: 1 of Boots"
