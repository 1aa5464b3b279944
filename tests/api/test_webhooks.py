"""Webhooks: subscribed, told of the end of runs, signed, tried again, over when the receiver is gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from standardwebhooks.webhooks import Webhook as Verifier

import api.deliveries
import api.run_chunk
from api.security import SCOPES, Caller
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.workers import wait_for, working
from tests.fakes.server import Answer, Asked, Fake, cut, serving, too_many

OVER = ("delivered", "failed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store of the test's own: what one test has left is nothing to another."""
    fill(tmp_path, last_week())
    return tmp_path


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, webhook_targets="private")


@pytest.fixture
def client(home: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(home, webhook_targets="private") as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Fake]:
    """Takes all; what goes wrong is queued in its faults."""
    with serving(lambda _: Answer(b"thanks", 202)) as fake:
        yield fake


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next attempts come soon."""
    monkeypatch.setattr(api.deliveries, "FIRST_PAUSE", 0.05)


def subscribe(client: TestClient, url: str, **body: object) -> dict[str, Any]:
    answer = client.post("/v1/webhooks", json={"callbackUrl": url, **body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"http://testserver/v1/webhooks/{answer.json()['id']}"
    made: dict[str, Any] = answer.json()
    return made


def deliveries(client: TestClient, webhook: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/webhooks/{webhook}/deliveries")
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def delivered(client: TestClient, webhook: str) -> dict[str, Any]:
    """The one delivery of a webhook, once nothing more will happen to it."""
    wait_for(lambda: any(item["state"] in OVER for item in deliveries(client, webhook)))
    (item,) = deliveries(client, webhook)
    return item


def run(client: TestClient) -> str:
    """Start a run; its id."""
    return str(client.post("/v1/runs", json={"horizon": 1}).json()["id"])


def test_subscriptions_are_made_listed_and_ended(client: TestClient, receiver: Fake) -> None:
    made = subscribe(client, f"{receiver.url}/hook?sig=hidden", eventType="run.completed")
    assert made["secret"].startswith("whsec_")
    told = {"id": made["id"], "callbackUrl": f"{receiver.url}/hook", "eventType": "run.completed"}
    assert client.get("/v1/webhooks").json()["items"] == [told | {"created": made["created"]}]
    assert deliveries(client, made["id"]) == []
    assert client.delete(f"/v1/webhooks/{made['id']}").status_code == 204
    assert client.delete(f"/v1/webhooks/{made['id']}").status_code == 404
    assert client.get(f"/v1/webhooks/{made['id']}/deliveries").json()["type"].endswith(":unknown-webhook")
    assert client.get("/v1/webhooks").json() == {"items": []}


def test_a_run_that_is_over_is_told_signed_and_can_be_read(client: TestClient, settings: Settings) -> None:
    seen: list[int] = []

    def read_back(asked: Asked) -> Answer:
        address = Verifier(made["secret"]).verify(asked.body, asked.headers)["data"]["run"]
        seen.append(client.get(address).status_code)
        return Answer()

    with serving(read_back) as receiver, working(settings):
        made = subscribe(client, f"{receiver.url}/hook?sig=1")
        number = run(client)
        item = delivered(client, made["id"])
    assert (item["state"], item["attempts"], item["status"], item["error"]) == ("delivered", 1, 200, None)
    (asked,) = receiver.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/hook", {"sig": "1"})
    assert asked.headers["webhook-id"] == item["id"]
    event = Verifier(made["secret"]).verify(asked.body, asked.headers)
    assert (event["type"], event["data"]["id"], event["data"]["status"]) == ("run.completed", number, "succeeded")
    assert event["data"]["counts"] == {"asked": 2, "made": 2, "failed": 0}
    assert seen == [200]  # it is over for those who ask when they are told


@pytest.mark.usefixtures("quickly")
def test_a_receiver_in_trouble_is_tried_again_with_the_same_message(
    client: TestClient, settings: Settings, receiver: Fake
) -> None:
    receiver.faults.next += [Answer(b"", 500), too_many(0.1), cut, Answer(b"", 408), Answer(b"", 503)]
    made = subscribe(client, receiver.url)
    with working(settings):
        run(client)
        item = delivered(client, made["id"])
    assert (item["state"], item["attempts"], item["status"]) == ("delivered", 6, 202)
    assert {asked.headers["webhook-id"] for asked in receiver.asked} == {item["id"]}
    assert len({asked.body for asked in receiver.asked}) == 1


def test_a_pause_outlasts_the_process(
    client: TestClient, settings: Settings, receiver: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.deliveries, "FIRST_PAUSE", 2.0)
    receiver.faults.next.append(Answer(b"", 500))
    made = subscribe(client, receiver.url)
    with working(settings):
        run(client)
        wait_for(lambda: any(item["attempts"] == 1 for item in deliveries(client, made["id"])))
    (item,) = deliveries(client, made["id"])
    assert (item["state"], item["status"]) == ("pending", 500)
    assert dt.datetime.fromisoformat(item["next_attempt"]) > dt.datetime.fromisoformat(item["created"])
    with working(settings):
        assert delivered(client, made["id"])["attempts"] == 2
    assert receiver.asked[1].at - receiver.asked[0].at > 1.9


@pytest.mark.usefixtures("quickly")
@pytest.mark.heavy
def test_it_is_given_up_after_a_while(
    client: TestClient, settings: Settings, receiver: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.deliveries, "GIVE_UP", dt.timedelta(seconds=5))
    receiver.faults.next += [Answer(b"", 500)] * 50
    made = subscribe(client, receiver.url)
    with working(settings):
        run(client)
        item = delivered(client, made["id"])
    assert (item["state"], item["status"], item["next_attempt"]) == ("failed", 500, None)
    assert 1 < item["attempts"] == len(receiver.asked)


@pytest.mark.heavy
def test_other_answers_end_it_and_a_redirect_is_not_followed(
    client: TestClient, settings: Settings, receiver: Fake
) -> None:
    with serving(lambda _: Answer()) as elsewhere, working(settings):
        receiver.faults.next.append(Answer(b"", 302, headers={"Location": f"{elsewhere.url}/admin"}))
        made = subscribe(client, receiver.url)
        run(client)
        item = delivered(client, made["id"])
        assert elsewhere.asked == []
    assert (item["state"], item["attempts"], item["status"]) == ("failed", 1, 302)


def test_a_receiver_that_is_gone_ends_the_subscription(client: TestClient, settings: Settings, receiver: Fake) -> None:
    receiver.faults.next.append(Answer(b"", 410))
    subscribe(client, receiver.url)
    with working(settings):
        run(client)
        wait_for(lambda: client.get("/v1/webhooks").json() == {"items": []})
    assert len(receiver.asked) == 1


@pytest.mark.heavy
def test_a_run_that_fails_is_told_to_those_who_asked_for_it(
    client: TestClient, settings: Settings, receiver: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is away")

    monkeypatch.setattr(api.run_chunk, "note_failures", broken)
    failed = subscribe(client, f"{receiver.url}/failed", eventType="run.failed")
    completed = subscribe(client, f"{receiver.url}/completed", eventType="run.completed")
    with working(settings):
        number = run(client)
        delivered(client, failed["id"])
    event = Verifier(failed["secret"]).verify(receiver.asked[0].body, receiver.asked[0].headers)
    assert (event["type"], event["data"]["status"], event["data"]["id"]) == ("run.failed", "dead", number)
    assert deliveries(client, completed["id"]) == []
    told = client.get(f"/v1/runs/{number}").json()
    assert (told["status"], told["error"]["status"]) == ("dead", 500)


@pytest.mark.heavy
def test_a_key_is_told_of_its_own_runs_only(
    client: TestClient, settings: Settings, receiver: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def become(key: str) -> None:
        monkeypatch.setattr("api.security.caller_of", lambda *_: Caller(key, frozenset(SCOPES) - {"admin"}))

    become("other")
    theirs = subscribe(client, f"{receiver.url}/theirs")["id"]
    become("own")
    own = subscribe(client, f"{receiver.url}/own")["id"]
    assert [item["id"] for item in client.get("/v1/webhooks").json()["items"]] == [own]
    assert client.get(f"/v1/webhooks/{theirs}/deliveries").status_code == 404
    assert client.delete(f"/v1/webhooks/{theirs}").status_code == 404
    with working(settings):
        run(client)
        delivered(client, own)
    assert [asked.path for asked in receiver.asked] == ["/own"]


@pytest.mark.heavy
def test_only_the_last_deliveries_stay(
    client: TestClient, settings: Settings, receiver: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.webhooks.LAST", 2)
    made = subscribe(client, receiver.url)
    with working(settings):
        for i in range(4):
            run(client)
            wait_for(lambda i=i: len(receiver.asked) == i + 1)  # type: ignore[misc]
            wait_for(lambda: all(item["state"] == "delivered" for item in deliveries(client, made["id"])))
    newest = [asked.headers["webhook-id"] for asked in receiver.asked[:1:-1]]
    assert [item["id"] for item in deliveries(client, made["id"])] == newest


def test_the_handshake(client: TestClient) -> None:
    with serving(lambda asked: Answer(asked.query["validationToken"].encode())) as echo:
        subscribe(client, f"{echo.url}/hook?a=1", handshake=True)
        (asked,) = echo.asked
        assert (asked.method, asked.query["a"]) == ("POST", "1")
    wrong: list[Callable[[Asked], Answer]] = [
        lambda _: Answer(b"something else"),
        lambda asked: Answer(asked.query["validationToken"].encode(), 201),
        lambda asked: cut(Answer(asked.query["validationToken"].encode())),
    ]
    for source in wrong:
        with serving(source) as other:
            answer = client.post("/v1/webhooks", json={"callbackUrl": other.url, "handshake": True})
            assert (answer.status_code, len(other.asked)) == (422, 1)
            assert answer.json()["errors"][0]["field"] == "callbackUrl"
    assert len(client.get("/v1/webhooks").json()["items"]) == 1


def test_the_location_is_absolute_behind_a_proxy(home: Path, client_of: Callable[..., TestClient]) -> None:
    settings = {"webhook_targets": "private", "public_url": "https://erp.example/groundswell"}
    with serving(lambda _: Answer()) as receiver, client_of(home, **settings) as client:
        answer = client.post("/v1/webhooks", json={"callbackUrl": receiver.url})
        where = f"https://erp.example/groundswell/v1/webhooks/{answer.json()['id']}"
        assert answer.headers["location"] == where
        with working(Settings(home=home, **settings)):  # type: ignore[arg-type]
            number = run(client)
            wait_for(lambda: bool(receiver.asked))
    event = Verifier(answer.json()["secret"]).verify(receiver.asked[0].body, receiver.asked[0].headers)
    assert event["data"]["run"] == f"https://erp.example/groundswell/v1/runs/{number}"


def test_events_and_fields_that_there_are_not(client: TestClient, receiver: Fake) -> None:
    for more in ({"eventType": "drift.detected"}, {"secret": "x"}, {"handshake": "yes"}):
        answer = client.post("/v1/webhooks", json={"callbackUrl": receiver.url, **more})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(more)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("", 0), ("-3", 0), ("soon", 0), ("9" * 400, 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_what_a_receiver_asks_to_wait(text: str, seconds: float) -> None:
    assert api.deliveries._wait(text) == seconds
