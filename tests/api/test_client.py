"""The client: what it asks, what it tries again, and what it gives when the service is gone."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi.testclient import TestClient

from api.client import Client, ClientError, Known, Refused, StillRunning, Unavailable
from api.issued import page_of_category
from api.settings import Settings
from tests.api.stores import fill, last_week
from tests.api.test_forecasts import HISTORY
from tests.api.test_serve import serving, wait_for
from tests.api.test_uploads import CSV, SALES, SIGNAL, encoded

Answer = httpx.Response | Exception


def through(client: TestClient) -> httpx.MockTransport:
    """A transport that hands each request to the application."""

    def handle(request: httpx.Request) -> httpx.Response:
        answer = client.request(
            request.method,
            str(request.url),
            content=request.read(),
            headers=dict(request.headers),
            follow_redirects=False,
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    return httpx.MockTransport(handle)


class Scripted:
    """Answers one after the other; the last one for ever. Keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def scripted(tmp_path: Path, *answers: Answer, **options: Any) -> tuple[Client, Scripted]:
    script = Scripted(*answers)
    return Client("http://box", cache=tmp_path / "cache", transport=httpx.MockTransport(script), **options), script


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"type": f"urn:problem-type:groundswell:{code}", "status": status, "detail": "why"}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"} | headers)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path, last_week())
    return tmp_path


@pytest.fixture
def app(home: Path, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(home) as app:
        yield app


@pytest.fixture
def client(app: TestClient, home: Path) -> Iterator[Client]:
    with Client("http://testserver", cache=home / "cache", transport=through(app)) as client:
        yield client


@pytest.fixture
def forecast(client: Client) -> bytes:
    """The JSON of a true forecast."""
    return orjson.dumps(client.forecast("Boots", horizon=2).answer.model_dump(mode="json"))


def test_a_forecast_is_fresh_and_resolves_by_its_receipt(client: Client) -> None:
    known = client.forecast("Boots", horizon=3, levels=[50])
    assert (known.stale, known.age) == (False, dt.timedelta(0))
    assert list(known.answer.forecast[0].intervals) == ["50"]
    assert client.receipt(known.answer.receipt) == known.answer


def test_an_inline_history_is_forecast(client: Client) -> None:
    known = client.forecast(horizon=1, history=HISTORY, unit="kg")
    assert known.answer.unit == "kg"


def test_lists_come_whole(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [item.category for item in client.categories()] == ["Boots", "Hats/Caps & more"]
    assert [item.signal for item in client.signals("Boots")] == ["weather"]
    assert client.signals("Hats/Caps & more") == []


def test_many_forecasts_at_once_and_later(client: Client, home: Path, worker: Callable[..., None]) -> None:
    items = [{"category": "Boots", "horizon": 1}, {"category": "Boot", "horizon": 1}]
    worker(home)
    for later in (False, True):
        found = client.forecasts(items, later=later)
        assert [item.status for item in found] == [200, 404]
        assert found[0].forecast is not None
        assert found[0].forecast.category == "Boots"


@pytest.mark.parametrize("form", ["file", "rows", "columns"])
def test_uploads_wait_until_they_are_stored(form: str, client: Client, home: Path, worker: Callable[..., None]) -> None:
    worker(home)
    file = home / "sales.CSV"
    file.write_bytes(encoded(SALES, CSV))
    rows = json.loads(encoded(SALES, "rows"))
    data = {"file": file, "rows": rows, "columns": json.loads(encoded(SALES, "application/json"))}[form]
    assert client.upload_sales(data, unit="pairs", dayfirst=False).result.inserted == 12
    assert "Scarves" in [item.category for item in client.categories()]
    assert client.upload_signals(json.loads(encoded(SIGNAL, "rows")), future_known=True).rows == 12
    with pytest.raises(Refused, match="row 2") as raised:
        client.upload_sales([rows[0], {**rows[1], "quantity": "many"}])
    assert raised.value.problem["errors"][0]["row"] == 2


def test_a_refusal_is_told_at_once_with_its_problem(client: Client) -> None:
    with pytest.raises(Refused, match="unknown-category") as raised:
        client.forecast("Boot", horizon=2, fallback=True)
    assert (raised.value.status, raised.value.code, raised.value.problem["near"]) == (
        404,
        "unknown-category",
        ["Boots"],
    )


@pytest.mark.parametrize(
    "first",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        problem(503, "store-empty", **{"Retry-After": "0"}),
        problem(429, "too-many-requests", **{"Retry-After": "0"}),
        problem(409, "request-running", **{"Retry-After": "0"}),
        httpx.Response(502, text="bad gateway"),
    ],
)
def test_what_may_pass_is_tried_again_under_the_same_key(first: Answer, tmp_path: Path, forecast: bytes) -> None:
    client, script = scripted(tmp_path, first, httpx.Response(200, content=forecast))
    assert client.forecast("Boots", horizon=2).answer.category == "Boots"
    keys = {request.headers["idempotency-key"] for request in script.asked}
    assert (len(script.asked), len(keys)) == (2, 1)
    assert script.asked[0].content == script.asked[1].content == b'{"horizon":2,"category":"Boots"}'


@pytest.mark.parametrize(("status", "code"), [(409, "job-over"), (422, "invalid-request"), (500, "internal-error")])
def test_what_will_not_pass_is_not_tried_again(status: int, code: str, tmp_path: Path) -> None:
    client, script = scripted(tmp_path, problem(status, code))
    with pytest.raises(ClientError, match="why"):
        client.forecast("Boots", horizon=2)
    assert len(script.asked) == 1


def test_it_waits_as_long_as_it_is_asked_to(tmp_path: Path, forecast: bytes) -> None:
    busy = problem(429, "too-many-requests", **{"Retry-After": "1"})
    client, _ = scripted(tmp_path, busy, httpx.Response(200, content=forecast))
    began = time.monotonic()
    client.forecast("Boots", horizon=2)
    assert time.monotonic() - began >= 1
    client, script = scripted(tmp_path, problem(429, "too-many-requests", **{"Retry-After": "60"}), timeout=1)
    with pytest.raises(Unavailable, match="asks for 60 s"):
        client.forecast("Boots", horizon=2)
    assert len(script.asked) == 1


def test_every_call_has_a_key_of_its_own_and_the_api_key(tmp_path: Path, forecast: bytes) -> None:
    client, script = scripted(tmp_path, httpx.Response(200, content=forecast), api_key="secret")
    for _ in range(2):
        client.forecast("Boots", horizon=2)
    assert len({request.headers["idempotency-key"] for request in script.asked}) == 2
    assert script.asked[0].headers["authorization"] == "Bearer secret"


def test_fields_of_a_newer_service_are_left_aside(tmp_path: Path, forecast: bytes) -> None:
    newer = orjson.dumps(orjson.loads(forecast) | {"mood": "good"})
    client, _ = scripted(tmp_path, httpx.Response(200, content=newer))
    assert client.forecast("Boots", horizon=2).answer.category == "Boots"


def test_without_the_service_the_last_known_forecast_comes_marked(tmp_path: Path, forecast: bytes) -> None:
    script: list[Answer] = [httpx.Response(200, content=forecast), httpx.ConnectError("refused")]
    client, _ = scripted(tmp_path, *script, attempts=2)
    fresh = client.forecast("Boots", horizon=2)
    for known in (client.forecast("Boots", horizon=2, fallback=True), client.last_known("Boots")):
        assert known.answer == fresh.answer
        assert known.stale
        assert dt.timedelta(0) < known.age < dt.timedelta(minutes=1)
    with pytest.raises(Unavailable, match=r"refused$"):
        client.forecast("Boots", horizon=2)
    for ask in (lambda: client.forecast("Hats", horizon=2, fallback=True), lambda: client.last_known("Hats")):
        with pytest.raises(Unavailable, match="no forecast of 'Hats' is known here"):
            ask()


def test_too_late_is_as_good_as_down(tmp_path: Path, forecast: bytes) -> None:
    late = httpx.ReadTimeout("no answer")
    client, _ = scripted(tmp_path, httpx.Response(200, content=forecast), late, timeout=0.5)
    client.forecast("Boots", horizon=2)
    began = time.monotonic()
    assert client.forecast("Boots", horizon=2, fallback=True).stale
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("more", [{"history": HISTORY}, {"as_of": "2026-01-01T00:00:00Z"}, {"data_version": 1}])
def test_what_is_no_forecast_of_the_present_store_is_not_kept(
    more: dict[str, Any], tmp_path: Path, forecast: bytes
) -> None:
    client, _ = scripted(tmp_path, httpx.Response(200, content=forecast), httpx.ConnectError("refused"), attempts=1)
    client.forecast("Boots", horizon=2, **more)
    with pytest.raises(Unavailable):
        client.last_known("Boots")


def test_the_service_knows_what_others_were_given(client: Client, app: TestClient, home: Path) -> None:
    with pytest.raises(Refused, match="no-forecast"):
        client.last_known("Boots")
    given = app.post("/v1/forecasts", json={"category": "Boots", "horizon": 2}).json()
    known = client.last_known("Boots")
    assert (known.answer.receipt, known.stale) == (given["receipt"], True)
    gone = Client("http://testserver", cache=home / "cache", attempts=1, transport=httpx.MockTransport(_down))
    assert gone.last_known("Boots").answer == known.answer


def _down(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def test_a_job_that_has_not_ended_is_told(client: Client, app: TestClient) -> None:
    body = {"category": "Boots", "horizon": 2}
    job = app.post("/v1/forecasts", json=body, headers={"prefer": "respond-async"}).json()["job"]
    with pytest.raises(StillRunning, match="0 of 1 parts done") as raised:
        client.job(job, wait=0.5)
    assert raised.value.state.job == job


def test_the_page_names_every_method_and_its_example_runs(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    methods = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert methods <= set(re.findall(r"`(\w+)\(", page))
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    monkeypatch.setattr("api.client.Client", lambda *_, **__: client)
    exec(code[1].replace("Footwear", "Boots"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 8


@pytest.mark.heavy
def test_killed_in_the_middle_the_last_known_forecast_comes_marked(tmp_path: Path) -> None:
    """All processes of a real service are killed while it is asked without pause."""
    home, cache = tmp_path / "home", tmp_path / "cache"
    fill(home, last_week())
    answers: list[Known] = []
    with serving(home) as (address, process), Client(address, cache=cache, timeout=20, attempts=2) as client:
        first = client.forecast("Boots", horizon=4)
        killing = threading.Timer(2, _kill, (process,))
        killing.start()
        while sum(known.stale for known in answers) < 3:
            answers.append(client.forecast("Boots", horizon=4, fallback=True))
        killing.join()
        last = client.last_known("Boots")
        with pytest.raises(Unavailable):
            client.forecast("Boots", horizon=4)
        with pytest.raises(Unavailable, match="no forecast of 'Hats/Caps & more' is known here"):
            client.forecast("Hats/Caps & more", horizon=4, fallback=True)
    fresh = [known for known in answers if not known.stale]
    assert len(fresh) > 3
    assert [known.stale for known in answers] == [False] * len(fresh) + [True] * 3
    assert last.answer == answers[-1].answer == fresh[-1].answer != first.answer
    assert last.age > dt.timedelta(0)
    with serving(home) as (address, _), Client(address, cache=cache) as client:
        assert client.receipt(last.answer.receipt) == last.answer  # it was safe on disk before it went out


@pytest.mark.heavy
def test_what_is_tried_again_after_kills_is_done_once(tmp_path: Path) -> None:
    """The processes of a real service are killed again and again while it is asked; each call makes one forecast."""
    home, stop, calls = tmp_path / "home", threading.Event(), 0
    fill(home, last_week())
    with serving(home) as (address, process), Client(address, cache=tmp_path / "cache", timeout=60) as client:

        def kill_often() -> None:
            for _ in range(4):
                stop.wait(2)
                for child in _children(process):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            stop.set()

        killing = threading.Thread(target=kill_often)
        killing.start()
        receipts = set()
        while not stop.is_set() or calls < 20:
            receipts.add(client.forecast("Boots", horizon=4).answer.receipt)
            calls += 1
        killing.join()
        kept = page_of_category(Settings(home=home), "Boots", 10_000).items
    assert len(receipts) == calls
    assert receipts == {item.receipt for item in kept}


def _kill(process: subprocess.Popen[bytes]) -> None:
    for child in _children(process):
        os.kill(child, signal.SIGKILL)
    process.kill()


def _children(process: subprocess.Popen[bytes]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: bool(path.read_text().split()))
    return [int(number) for number in path.read_text().split()]
