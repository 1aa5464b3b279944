"""`deadline_ms`: what it chose is recorded, and asked for again, done twice or sent again the same bytes come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.asked import Asked
from api.cli import cli
from api.database import engine_of
from api.forecasting import asked_again
from api.jobs import Jobs
from api.ledger import Ledger
from api.making import made_for
from api.run_chunk import do_chunk, part_of
from api.run_input import place_of, prepare
from api.settings import Settings
from api.worker import Work
from forecast.engines import Fast
from tests.api.stores import CATEGORIES
from tests.api.test_forecasts import HISTORY
from tests.fakes.slow_member import LONG, TOO_SHORT, Slow

STACKED = {"engine": "detailed", "deadline_ms": TOO_SHORT, "horizon": 2}
LATE = "the engine theta was left out of the stack: it would not be done by the deadline"


@pytest.fixture(autouse=True)
def members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecast.engines._MEMBERS", (Fast, Slow))
    monkeypatch.setattr(Slow, "asked", 0)
    monkeypatch.setattr(Slow, "seconds", Slow.seconds)  # what a test sets is undone


@pytest.fixture
def client(own: Settings, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(own.home) as client:
        yield client


def post(client: TestClient, body: dict[str, Any], **headers: str) -> Any:
    return client.post("/v1/forecasts", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def canonical(answer: bytes) -> bytes:
    return orjson.dumps(orjson.loads(answer) | {"receipt": None, "timing_ms": None})


def state_of(client: TestClient) -> Any:
    return client.app.state  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", [{"history": HISTORY}, {"category": CATEGORIES[0]}])
def test_the_recorded_request_gives_the_same_bytes_on_a_faster_machine(
    source: dict[str, Any], client: TestClient
) -> None:
    first = post(client, STACKED | source)
    assert first.json()["engine"]["members"] == ["fast"]
    assert LATE in first.json()["warnings"]
    Slow.seconds = 0.0
    state = state_of(client)
    receipt = first.json()["receipt"]
    found, inline = state.ledger.resolve(receipt), state.ledger.inline_of(receipt)
    body, served = asked_again(state.settings, found.request, inline)
    assert canonical(state.forecaster.make(body, served=served).answer) == canonical(first.content)
    assert post(client, STACKED | source | {"deadline_ms": LONG}).json()["engine"]["members"] == ["fast", "theta"]


def test_auto_says_what_it_chose_and_why(client: TestClient) -> None:
    slow, quick = (post(client, {"history": HISTORY, "horizon": 2, "engine": "auto", "deadline_ms": ms}).json()
                   for ms in (LONG, 500))  # fmt: skip
    assert slow["engine"]["name"] == "detailed"
    assert slow["engine"]["reason"].startswith("auto: expected to err 1.8 % less than the fast engine")
    assert (quick["engine"]["name"], "members" in quick["engine"]) == ("fast", False)
    assert "a deadline of 500 ms is too short" in quick["engine"]["reason"]


def test_the_list_tells_what_to_ask_for_again(client: TestClient) -> None:
    post(client, STACKED | {"category": CATEGORIES[0]})
    (item,) = client.get("/v1/forecasts", params={"category": CATEGORIES[0]}).json()["items"]
    assert (item["engine"], item["deadline_ms"], item["members"]) == ("detailed", TOO_SHORT, ["fast"])


def test_sent_again_under_its_key_no_clock_decides(client: TestClient) -> None:
    first = post(client, STACKED | {"history": HISTORY}, idempotency_key="k")
    Slow.seconds = 0.0
    again = post(client, STACKED | {"history": HISTORY}, idempotency_key="k")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"engine": "fast"}, "deadline_ms"),
        ({"deadline_ms": 0}, "deadline_ms"),
        ({"deadline_ms": 1.5}, "deadline_ms"),
        ({"deadline_ms": 10**9}, "deadline_ms"),
        ({"members": []}, "members"),
        ({"members": ["magic"]}, "members"),
        ({"engine": "fast", "deadline_ms": None, "members": ["fast"]}, "members"),
    ],
)
@pytest.mark.parametrize("prefer", ["wait=60", "respond-async"])
def test_what_no_engine_heeds_is_refused_at_once(
    body: dict[str, Any], field: str, prefer: str, client: TestClient
) -> None:
    answer = post(client, STACKED | {"history": HISTORY} | body, prefer=prefer)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


def work_of(client: TestClient, number: str) -> Work:
    state = state_of(client)
    making = partial(made_for, state.forecaster)
    return Work(state.jobs.status(number), state.settings, engine_of(state.settings), state.ledger, state.jobs, making)


def test_a_job_that_is_done_twice_gives_the_bytes_of_the_first_time(client: TestClient) -> None:
    state, body = state_of(client), STACKED | {"history": HISTORY}
    number = post(client, body, prefer="respond-async").json()["job"]
    job, making = state.jobs.status(number), partial(made_for, state.forecaster)
    asked = Asked(state.settings, state.jobs, state.ledger, making)
    first = asked._outcome(job).issued
    assert first is not None
    state.ledger.append(first)  # killed here: the job is not over, and done again
    Slow.seconds = 0.0
    for chunk in _chunks(state.jobs):
        asked.make(chunk)
    assert client.get(f"/v1/jobs/{number}").content == first.answer


def _chunks(jobs: Jobs) -> list[str]:
    return [one.input["args"][0] for one in jobs.workflows("ENQUEUED", 10)]  # type: ignore[index]


def test_a_chunk_of_a_run_that_is_done_twice_gives_the_rows_of_the_first_time(client: TestClient) -> None:
    number = client.post("/v1/runs", json=STACKED).json()["id"]
    work = work_of(client, number)
    prepare(work)
    do_chunk(work, 0)
    file = part_of(place_of(work), 0)
    rows = pq.read_table(file)
    answers = [one.answer for one in work.ledger.of_run(number)]
    assert all(orjson.loads(answer)["engine"]["members"] == ["fast"] for answer in answers)
    file.unlink()  # killed before it was written: the chunk is done again, by a faster machine
    Slow.seconds, Slow.asked = 0.0, 0
    do_chunk(work, 0)
    assert pq.read_table(file).equals(rows)
    assert [one.answer for one in work.ledger.of_run(number)] == answers
    assert Slow.asked == 0


def test_of_two_that_do_a_chunk_at_once_the_first_forecast_counts(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = client.post("/v1/runs", json=STACKED).json()["id"]
    work = work_of(client, number)
    prepare(work)
    before = Ledger.among
    seen: list[int] = []

    def among(ledger: Ledger, receipts: Any) -> Any:
        if not seen:  # between this look and what follows, the other is done
            seen.append(1)
            do_chunk(work, 0)
            Slow.seconds = 0.0
            return {}
        return before(ledger, receipts)

    monkeypatch.setattr(Ledger, "among", among)
    do_chunk(work, 0)
    table = pq.read_table(part_of(place_of(work), 0))
    for one in work.ledger.of_run(number):
        mine = table.filter([receipt == one.receipt for receipt in table["receipt"].to_pylist()])
        assert mine["value"].to_pylist() == [row["value"] for row in orjson.loads(one.answer)["forecast"]]
        assert LATE in orjson.loads(one.answer)["warnings"]


def test_the_budget_of_the_command_line(home: Path) -> None:
    def run(*more: str) -> Any:
        return CliRunner().invoke(cli, ["--home", str(home), "forecast", CATEGORIES[0], "--horizon", "2", *more])

    quick = run("--engine", "auto", "--budget", "500ms")
    assert quick.exit_code == 0, quick.output
    assert "Engine: fast, auto: a deadline of 500 ms is too short for the detailed engine (2000 ms)." in quick.stdout
    stacked = run("--engine", "detailed", "--budget", "2s")
    assert "Engine: detailed, asked for by name; stacked from fast 1.00." in stacked.stdout
    assert f"note: {LATE}" in stacked.stderr
    unheeded = run("--budget", "1m")
    assert (unheeded.exit_code, "use --engine auto or detailed" in unheeded.stderr) == (2, True)
    for text in ("60", "1h", "0s", "61m", "-1s"):
        refused = run("--engine", "auto", f"--budget={text}")
        assert (refused.exit_code, "write it like 60s, 2m or 500ms" in refused.stderr) == (2, True), text
