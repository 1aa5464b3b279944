"""Events over REST and the command line: proposed, decided on, applied as of when, and whose they are."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api import audit
from api.app import create_app
from api.cli import cli
from api.forecasting import asked_again
from api.keys import create
from api.routes import events as module
from api.settings import Settings
from signals.store import Batch, Store, open_snapshot, submit
from tests.api.stores import CATEGORIES, fill, last_week
from tests.api.test_forecasts import assert_problem

BOOTS, HATS = CATEGORIES
WEEKS = 208
EMPTY = slice(100, 104)
STOCK_OUT = {"kind": "stock_out", "decision": "accepted"}


def labels() -> pd.DatetimeIndex:
    """The last days of the weeks of the store."""
    return pd.date_range(end=last_week() + pd.Timedelta(days=6), periods=WEEKS, freq="7D")


def day(at: int) -> str:
    return f"{labels()[at]:%Y-%m-%d}"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A store with four weeks of Boots in which nothing sold."""
    home = tmp_path / "own"
    fill(home, last_week(), WEEKS)
    start = labels()[EMPTY] - pd.Timedelta(days=6)
    empty = pd.DataFrame({"category": BOOTS, "start": start, "end": start + pd.Timedelta(days=7), "quantity": 0.0})
    submit(home, Batch("test", sales=empty.assign(known_at=start + pd.Timedelta(days=8))))
    return home


@pytest.fixture
def client(own: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(home=own)), raise_server_exceptions=False) as client:
        yield client


def address(category: str = BOOTS) -> str:
    return f"/v1/categories/{quote(category)}/events"


def decide(client: TestClient, category: str = BOOTS, **fields: Any) -> Any:
    body = STOCK_OUT | {"first": day(100), "last": day(103)} | fields
    return client.post(address(category), json=body)


def made(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/forecasts", json={"category": BOOTS, "horizon": 60} | fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs each time."""
    passing = ("receipt", "timing_ms", "data_version", "as_of")
    return {name: value for name, value in answer.items() if name not in passing}


def test_a_stock_out_is_proposed_and_changes_nothing(client: TestClient) -> None:
    before = made(client)
    (event,) = client.get(address()).json()["events"]
    assert (event["kind"], event["state"], event["decisions"]) == ("stock_out", "proposed", [])
    assert (event["first"], event["last"]) == (day(100), day(103))
    assert event["size_pct"] == -100
    assert event["score"] > 4
    assert event["sentence"].startswith("In the 4 weeks to ")
    assert same(made(client)) == same(before)
    assert before["events"] == []
    assert client.get(address(HATS)).json()["events"] == []


def test_an_accepted_event_is_taken_out_of_the_forecast_and_told(client: TestClient) -> None:
    before = made(client)
    answer = decide(client, author="Ann", reason="no delivery")
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"http://testserver{address()}"
    event = answer.json()
    assert event["state"] == "accepted"
    (taken,) = event["decisions"]
    assert (taken["decision"], taken["author"], taken["reason"]) == ("accepted", "Ann", "no delivery")
    after = made(client)
    assert [one["kind"] for one in after["events"]] == ["stock_out"]
    assert after["events"][0]["sentence"].endswith("taken as missing")
    assert [row["value"] for row in after["forecast"]] != [row["value"] for row in before["forecast"]]
    assert same(made(client, events="none")) == same(before)


def test_a_forecast_as_of_a_moment_uses_the_decisions_taken_by_then(client: TestClient) -> None:
    before = made(client)
    decide(client)
    between = made(client)
    decide(client, decision="refused", reason="a strike of the shop")
    now = made(client)
    assert same(now) == same(before)
    assert same(made(client, as_of=before["as_of"])) == same(before)
    assert same(made(client, as_of=between["as_of"])) == same(between)
    assert same(made(client, data_version=between["data_version"])) == same(between)
    (event,) = client.get(address()).json()["events"]
    assert event["state"] == "refused"
    assert [one["decision"] for one in event["decisions"]] == ["accepted", "refused"]
    (event,) = client.get(address(), params={"as_of": between["as_of"]}).json()["events"]
    assert event["state"] == "accepted"


def test_a_receipt_is_replayed_to_the_byte_after_another_decision(client: TestClient) -> None:
    decide(client)
    issued = made(client)
    asked = client.app.state.ledger.resolve(issued["receipt"])  # type: ignore[attr-defined]
    decide(client, decision="refused")
    state = client.app.state  # type: ignore[attr-defined]
    body, served = asked_again(state.settings, asked.request)
    again = orjson.loads(state.forecaster.make(body, served=served).answer)
    assert {**again, "receipt": "", "timing_ms": {}} == {**issued, "receipt": "", "timing_ms": {}}


def test_with_and_without_side_by_side(client: TestClient) -> None:
    plain = made(client, horizon=3)
    proposed = client.get(address(), params={"horizon": 3, "events": "proposed"}).json()["effect"]
    assert client.get(address(), params={"horizon": 3}).json()["effect"]["total"] == 0
    decide(client)
    accepted = client.get(address(), params={"horizon": 3}).json()["effect"]
    taken = made(client, horizon=3)
    assert [one["with_events"] for one in proposed["periods"]] == [one["with_events"] for one in accepted["periods"]]
    for row, one, other in zip(accepted["periods"], taken["forecast"], plain["forecast"], strict=True):
        assert row["with_events"]["value"] == pytest.approx(one["value"])
        assert row["without_events"]["value"] == pytest.approx(other["value"])
        assert row["difference"] == pytest.approx(one["value"] - other["value"])
    assert accepted["total"] == pytest.approx(sum(row["difference"] for row in accepted["periods"]))


def test_a_person_may_know_of_an_event_that_nobody_proposed(client: TestClient) -> None:
    answer = decide(client, kind="level_shift", first=day(150), last=None, author="Bob")
    assert answer.status_code == 201, answer.text
    event = answer.json()
    assert (event["first"], event["last"]) == (day(150), day(150))
    assert (event["size"], event["size_pct"], event["score"]) == (None, None, None)
    assert event["sentence"].startswith("Bob reported this of the week to ")
    (applied,) = made(client)["events"]
    assert applied["kind"] == "level_shift"
    assert applied["change_pct"] is not None


def test_any_day_of_a_period_names_it(client: TestClient) -> None:
    monday, saturday = (f"{labels()[at] - pd.Timedelta(days=by):%Y-%m-%d}" for at, by in ((100, 6), (103, 1)))
    event = decide(client, first=monday, last=saturday).json()
    assert (event["first"], event["last"], event["score"] > 4) == (day(100), day(103), True)
    assert len(client.get(address()).json()["events"]) == 1


def test_an_event_up_to_the_last_period_is_forecast_over(client: TestClient) -> None:
    plain = made(client, horizon=2)
    decide(client, first=day(WEEKS - 2), last=day(WEEKS - 1))
    taken = made(client, horizon=2)
    assert [row["kind"] for row in taken["forecast"]] == ["nowcast"] * 2 + [row["kind"] for row in plain["forecast"]]
    assert taken["forecast"][-1]["period"] == plain["forecast"][-1]["period"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "flood"}, "kind"),
        ({"decision": "perhaps"}, "decision"),
        ({"first": "2026-13-01"}, "first"),
        ({"first": 5}, "first"),
        ({"author": "A\nB"}, "author"),
        ({"reason": ""}, "reason"),
        ({"who": "me"}, "who"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, fields: dict[str, Any], field: str) -> None:
    problem = assert_problem(decide(client, **fields), 422, "invalid-request")
    assert problem["errors"][0]["field"] == field
    assert open_snapshot(client.app.state.settings.home).events().empty  # type: ignore[attr-defined]


def test_what_cannot_be_decided_is_told(client: TestClient) -> None:
    assert_problem(decide(client, first=day(103), last=day(100)), 422, "invalid-request")
    problem = assert_problem(decide(client, first="1999-01-01", last="1999-02-01"), 422, "cannot-forecast")
    assert "periods with known sales" in problem["detail"]
    problem = assert_problem(decide(client, kind="outlier", decision="refused"), 422, "cannot-forecast")
    assert "an event that is proposed or accepted" in problem["detail"]
    assert_problem(decide(client, category="Boats"), 404, "unknown-category")
    assert_problem(client.get(address("Boats")), 404, "unknown-category")
    assert_problem(client.get(address(), params={"horizon": "0"}), 422, "invalid-request")
    assert_problem(client.get(address(), params={"horizon": "521"}), 422, "invalid-request")


@pytest.mark.parametrize("named", [100, 102, 103])
def test_one_day_names_all_of_the_event_that_it_lies_in(client: TestClient, named: int) -> None:
    event = decide(client, first=day(named), last=None).json()
    assert (event["first"], event["last"], event["state"]) == (day(100), day(103), "accepted")
    refused = decide(client, first=day(101), last=None, decision="refused").json()
    assert (refused["first"], refused["last"], len(refused["decisions"])) == (day(100), day(103), 2)


def test_a_part_that_is_named_is_decided_on_alone(client: TestClient) -> None:
    event = decide(client, first=day(101), last=day(101)).json()
    assert (event["first"], event["last"]) == (day(101), day(101))
    listed = [(e["first"], e["last"], e["state"]) for e in client.get(address()).json()["events"]]
    assert listed == [(day(100), day(103), "proposed"), (day(101), day(101), "accepted")]


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({"kind": "one_off", "first": 90, "last": 110, "decision": "accepted"}, True),  # it is all taken out
        ({"kind": "one_off", "first": 90, "last": 110, "decision": "refused"}, False),
        ({"kind": "stock_out", "first": 90, "last": 110, "decision": "refused"}, False),
        ({"kind": "stock_out", "first": 100, "last": 104, "decision": "refused"}, True),  # the same, but for a week
        ({"kind": "outlier", "first": 101, "last": 101, "decision": "refused"}, False),
    ],
)
def test_a_decision_hides_no_other_event(client: TestClient, fields: dict[str, Any], hidden: bool) -> None:
    span = {"first": day(fields["first"]), "last": day(fields["last"])}
    assert decide(client, **fields | span | {"decision": "accepted"}).status_code == 201
    assert decide(client, **fields | span).status_code == 201
    states = [e["state"] for e in client.get(address()).json()["events"]]
    assert ("proposed" not in states) is hidden


def test_events_that_leave_next_to_nothing_are_refused(client: TestClient) -> None:
    problem = assert_problem(decide(client, first=day(0), last=day(WEEKS - 2)), 422, "cannot-forecast")
    assert "which leaves 1 of 208 known periods" in problem["detail"]
    assert decide(client, first=day(0), last=day(150)).status_code == 201
    problem = assert_problem(decide(client, first=day(151), last=day(WEEKS - 2)), 422, "cannot-forecast")
    assert "leaves 1 of 208" in problem["detail"]
    assert len(made(client)["events"]) == 1


def test_a_history_that_its_events_cover_is_told_as_that(client: TestClient, own: Path) -> None:
    start, end = labels()[0] - pd.Timedelta(days=6), labels()[-1] + pd.Timedelta(days=1)
    row = {"category": BOOTS, "start": start, "end": end, "decision": "accepted", "author": "Ann"}
    shift = row | {"kind": "level_shift", "start": labels()[150] - pd.Timedelta(days=6)}
    empty = {"reason": None, "evidence": None}
    rows = [row | {"kind": "one_off"} | empty, shift | {"end": labels()[150] + pd.Timedelta(days=1)} | empty]
    submit(own, Batch("events", events=pd.DataFrame(rows)))
    answer = client.post("/v1/forecasts", json={"category": BOOTS, "horizon": 4})
    problem = assert_problem(answer, 422, "cannot-forecast")
    assert "0 of 208 known periods, its events (1) taken out" in problem["detail"]
    assert "known periods, its events" in CliRunner().invoke(cli, ["--home", str(own), "forecast", BOOTS]).stderr


def test_a_category_with_a_slash_and_one_that_ends_so(client: TestClient, own: Path) -> None:
    assert client.get(address(HATS)).json()["category"] == HATS
    weekly = pd.DataFrame({"category": ["Sport/events"], "frequency": ["W-SUN"]})
    start = pd.date_range(end=last_week(), periods=10, freq="7D")
    sold = pd.DataFrame({"category": "Sport/events", "start": start, "end": start + pd.Timedelta(days=7)})
    submit(own, Batch("test", categories=weekly, sales=sold.assign(quantity=np.arange(10.0))))
    assert client.get("/v1/categories/Sport%2Fevents").json()["periods"] == 10
    assert client.get("/v1/categories/Sport%2Fevents/events").json()["category"] == "Sport/events"


def test_who_may_decide_and_whose_name_is_kept(own: Path) -> None:
    settings = Settings(home=own)
    texts = {
        name: create(settings, name, scopes, categories)[1]
        for name, scopes, categories in (
            ("planner", ["data:read", "data:write"], [BOOTS]),
            ("reader", ["data:read"], None),
        )
    }
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers["X-API-Key"] = texts["reader"]
        assert_problem(decide(client), 403, "forbidden")
        assert client.get(address()).status_code == 200
        client.headers["X-API-Key"] = texts["planner"]
        assert_problem(client.get(address(HATS)), 404, "unknown-category")
        assert_problem(decide(client, category=HATS), 404, "unknown-category")
        assert decide(client).json()["decisions"][0]["author"] == "planner"
    assert audit.newest(settings, 1)[0]["action"].startswith("POST /v1/categories/")


def test_the_same_decision_again_is_kept_once(client: TestClient) -> None:
    first, again = decide(client).json(), decide(client).json()
    assert first == again
    assert len(again["decisions"]) == 1


def test_a_decision_is_safe_while_another_process_owns_the_store(
    client: TestClient, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    with Store.open(own) as store:
        answer = decide(client)
        assert answer.status_code == 202
        assert answer.json() == {"state": "pending", "location": f"http://testserver{address()}"}
        assert client.get(address()).json()["events"][0]["state"] == "proposed"
        store.drain_inbox()
        store.publish()
    assert client.get(address()).json()["events"][0]["state"] == "accepted"


def test_a_decision_is_answered_when_the_owner_has_stored_it(client: TestClient, own: Path) -> None:
    stop = threading.Event()

    def owner() -> None:
        with Store.open(own) as store:
            while not stop.is_set():
                store.drain_inbox()
                store.publish()
                time.sleep(0.05)

    thread = threading.Thread(target=owner)
    thread.start()
    try:
        assert decide(client).status_code == 201
    finally:
        stop.set()
        thread.join()


def test_scenarios_and_runs_of_the_store_see_the_events(client: TestClient) -> None:
    decide(client)
    change = {"signal": "weather", "first": f"{last_week() + pd.Timedelta(weeks=2):%Y-%m-%d}", "values": [2.5]}
    body = {"name": "Storm", "category": BOOTS, "horizon": 4, "changes": [change]}
    scenario = client.post("/v1/scenarios", json=body).json()
    assert [one["kind"] for one in scenario["answer"]["events"]] == ["stock_out"]
    taken = made(client, horizon=4)
    assert [row["value"] for row in scenario["answer"]["baseline"]["periods"]] == pytest.approx(
        [row["value"] for row in taken["forecast"]]
    )


@pytest.fixture
def run(own: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(cli, ["--home", str(own), *words])


def test_the_command_line_lists_decides_and_compares(run: Callable[..., Result]) -> None:
    listed = run("events", "list", BOOTS)
    assert listed.exit_code == 0, listed.output
    assert listed.stdout.splitlines()[1].split()[:4] == [day(100), day(103), "stock_out", "proposed"]
    assert "neither accepted nor refused (stock_out" in run("forecast", BOOTS, "--horizon", "2").stderr
    accepted = run("events", "accept", BOOTS, "stock_out", day(100), "--author", "Ann", "--reason", "no delivery")
    assert accepted.exit_code == 0, accepted.output
    assert "accepted by Ann, " in accepted.stdout
    assert ": no delivery" in accepted.stdout
    told = run("forecast", BOOTS, "--horizon", "2")
    assert "neither accepted nor refused" not in told.stderr
    assert "Event: stock-out of the 4 weeks to " in told.stdout
    assert "Event:" not in run("forecast", BOOTS, "--horizon", "2", "--without-events").stdout
    compared = run("events", "compare", BOOTS, "--horizon", "2")
    assert compared.exit_code == 0, compared.output
    assert compared.stdout.startswith(f"{BOOTS}: 1 of 1 events are taken out\n\nperiod")
    assert "\n  accepted: In the 4 weeks to " in compared.stdout
    refused = run("events", "refuse", BOOTS, "stock_out", day(100), day(103), "--json")
    assert json.loads(refused.stdout)["state"] == "refused"
    assert len(json.loads(run("events", "list", BOOTS, "--json").stdout)["events"][0]["decisions"]) == 2
    effect = json.loads(run("events", "compare", BOOTS, "--json").stdout)["effect"]
    assert effect["total"] == 0


def test_the_command_line_says_what_is_wrong(run: Callable[..., Result]) -> None:
    assert run("events", "list", HATS).stdout == f"Nothing in the sales of {HATS} looks like an event.\n"
    wrong = run("events", "accept", BOOTS, "stock_out", "soon")
    assert (wrong.exit_code, "'soon' is no day; write it like 2026-03-01" in wrong.stderr) == (2, True)
    before = run("events", "accept", BOOTS, "stock_out", day(103), day(100))
    assert before.exit_code == 2
    assert before.stderr == f"error: `last` is a day that is not before `first`, {day(103)}\n"
    unknown = run("events", "refuse", BOOTS, "outlier", day(50))
    assert unknown.exit_code == 2
    assert "an event that is proposed or accepted" in unknown.stderr
    assert run("events", "list", "Boats").exit_code == 1
