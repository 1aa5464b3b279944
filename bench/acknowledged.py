"""Load whose every acknowledgement is remembered, and in the end held against what the service has made of it."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from bench.service import Answer, ask
from bench.serving import bodies
from forecast import forecast
from signals.store import open_snapshot

JSON = {"Content-Type": "application/json"}
LATER = {"Prefer": "respond-async"}
DRAIN_SECONDS = 600.0
SAMPLE = 60  # requests whose answers are computed again
UNIQUE = 4000  # requests of one sender before they begin again
LOST = {404: "lost", 410: "lost"}
STATES = {200: "answered", 202: "pending", 500: "dead", 0: "lost"} | LOST


@dataclass
class Told:
    """What the senders were told, with what they had asked for."""

    answers: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)  # receipt: request, answer
    jobs: dict[str, bytes] = field(default_factory=dict)  # id: request
    runs: dict[str, list[bytes]] = field(default_factory=dict)  # id: requests
    sales: dict[str, tuple[str, list[float]]] = field(default_factory=dict)  # job: category, quantities
    others: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)  # of answers with 503
    longest: float = 0.0  # seconds until an answer, or the end of the connection
    different: int = 0  # acknowledged twice under one key, and not alike

    def note(self, answer: Answer, seconds: float) -> None:
        """Count an answer by its kind."""
        self.others[str(answer.status) if answer.status else answer.problem] += 1
        self.longest = max(self.longest, seconds)
        if answer.status == 503:
            self.problems[orjson.loads(answer.body)["type"].rsplit(":", 1)[-1]] += 1


class Load:
    """Senders in threads: forecasts now, forecasts later and sales, none of which is sent again when it fails."""

    def __init__(self, port: int, rate: float, *, sales: bool = True) -> None:
        self.told, self._port, self._stop = Told(), port, threading.Event()
        kinds = [
            (self._forecasts, 1, {}),
            (self._forecasts, 2, LATER),
            (self._forecasts, 3, {}),
            (self._forecasts, 4, LATER),
        ]
        self._threads = [threading.Thread(target=kind, args=(rate / 4, seed, head)) for kind, seed, head in kinds]
        if sales:
            self._threads.append(threading.Thread(target=self._sales))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _sent(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        began = time.monotonic()
        answer = ask(self._port, "POST", path, body, JSON | headers)
        self.told.note(answer, time.monotonic() - began)
        return answer

    def _forecasts(self, rate: float, seed: int, headers: dict[str, str]) -> None:
        for request in itertools.cycle(bodies(UNIQUE, 104, 0, seed)):
            answer = self._sent("/v1/forecasts", request, headers)
            if answer.status == 200:
                self.told.answers[orjson.loads(answer.body)["receipt"]] = request, answer.body
            elif answer.status == 202:
                self.told.jobs[orjson.loads(answer.body)["job"]] = request
            if self._stop.wait(1 / rate):
                return

    def _sales(self) -> None:
        dates = [str(day) for day in np.arange("2025-11-30", "2026-11-29", 7, dtype="datetime64[D]")]
        for number in itertools.count():
            quantities = np.random.default_rng(number).integers(1, 1000, len(dates)).astype(float).tolist()
            name = f"c{number:05d}"
            rows = {"category": [name] * len(dates), "date": dates, "quantity": quantities}
            answer = self._sent("/v1/sales", orjson.dumps(rows), {})
            if answer.status == 202:
                self.told.sales[orjson.loads(answer.body)["job"]] = name, quantities
            if self._stop.wait(0.7):
                return


@dataclass
class Account:
    """What became of everything that was acknowledged."""

    states: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by kind
    totals: dict[str, int] = field(default_factory=dict)
    differ: int = 0  # the ledger gives another answer than that which went out
    alike: int = 0  # receipts that two requests share
    wrong: int = 0  # of the sample, answers that are not those of their requests
    compared: int = 0
    duplicates: int = 0  # runs that nobody was told of
    different: int = 0  # acknowledged twice under one Idempotency-Key, and not alike

    @property
    def lost(self) -> int:
        """Acknowledged - (answered + pending + dead), by the senders' books and by the service's own."""
        own = self.totals["accepted"] - sum(self.totals[name] for name in ("answered", "pending", "dead"))
        return sum(states["lost"] for states in self.states.values()) + self.differ + abs(own)

    @property
    def mistaken(self) -> int:
        """Results that are not distinct, or not right."""
        return self.wrong + self.alike + abs(self.duplicates) + self.different

    def tell(self) -> None:
        """Print it."""
        for kind, states in self.states.items():
            print(f"  {kind}: {states.total():,} acknowledged: {dict(states)}")
        print(f"  the service's own account: {self.totals}")
        print(f"  {self.compared} answers computed again, wrong: {self.wrong}; receipts given twice: {self.alike}; "
              f"runs begun twice: {self.duplicates}; told otherwise when asked "
              f"again: {self.different}; answers that the ledger has otherwise: {self.differ}")  # fmt: skip
        print(f"  acknowledged - (answered + pending + dead): lost {self.lost}", flush=True)


def account(port: int, told: Told, chance: random.Random) -> Account:
    """Wait until nothing is pending, then look for all of it."""
    found = Account(totals=drained(port), different=told.different)
    answers = dict(told.answers.values())
    found.differ = sum(_body(port, f"/v1/forecasts/{receipt}") != body for receipt, (_, body) in told.answers.items())
    found.states["forecasts now"] = Counter({"answered": len(told.answers)})
    states = found.states["forecasts later"]
    for number, request in told.jobs.items():
        answer = ask(port, "GET", f"/v1/jobs/{number}")
        states[STATES.get(answer.status, "answered")] += 1
        if answer.status == 200:
            answers[request] = answer.body
    found.states["runs"] = Counter(_run(port, number, requests, answers) for number, requests in told.runs.items())
    uploads = [ask(port, "GET", f"/v1/jobs/{number}").status for number in told.sales]
    found.states["sales"] = Counter(STATES.get(status, f"failed ({status})") for status in uploads)
    receipts = Counter(orjson.loads(answer)["receipt"] for answer in answers.values())
    found.alike = receipts.total() - len(receipts)
    sample = chance.sample(sorted(answers), min(SAMPLE, len(answers)))
    found.compared, found.wrong = len(sample), sum(not is_right(one, answers[one]) for one in sample)
    found.duplicates = orjson.loads(_body(port, "/v1/jobs?kind=run&limit=1"))["total"] - len(told.runs)
    return found


def drained(port: int, seconds: float = DRAIN_SECONDS) -> dict[str, int]:
    """The service's account once nothing is pending, or after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        answer = ask(port, "GET", "/v1/jobs/totals")
        totals: dict[str, int] = orjson.loads(answer.body) if answer.status == 200 else {"pending": 1}
        if time.monotonic() > until or not totals["pending"]:
            return totals
        time.sleep(0.5)


def _body(port: int, path: str) -> bytes:
    return ask(port, "GET", path).body


def _run(port: int, number: str, requests: list[bytes], answers: dict[bytes, bytes]) -> str:
    """What became of a run; its forecasts go into `answers`."""
    answer = ask(port, "GET", f"/v1/runs/{number}")
    if answer.status != 200:
        return STATES.get(answer.status, "answered")
    if orjson.loads(answer.body)["status"] != "succeeded":
        return "dead" if orjson.loads(answer.body)["status"] == "dead" else "failed"
    lines = _body(port, f"/v1/runs/{number}/results").splitlines()
    made = {row["number"]: orjson.dumps(row["forecast"]) for row in map(orjson.loads, lines) if row["status"] == 200}
    if made.keys() != set(range(len(requests))):
        return "lost"
    answers |= {request: made[i] for i, request in enumerate(requests)}
    return "answered"


def is_right(request: bytes, answer: bytes) -> bool:
    """Whether an answer is the forecast of its request, computed here by the library alone."""
    asked = orjson.loads(request)
    history = asked["history"]
    weeks = pd.date_range(history["start"], periods=len(history["values"]), freq=history["frequency"])
    frame = pd.DataFrame({"ds": weeks, "y": history["values"]})
    expected = forecast(frame, asked["horizon"], frequency=history["frequency"]).to_dict()["forecast"]
    got = orjson.loads(answer)["forecast"]
    same_periods = [row["period"] for row in got] == [str(row["period"])[:10] for row in expected]
    return same_periods and bool(np.allclose(_values(got), _values(expected), rtol=1e-9))


def _values(rows: Iterable[dict[str, float]]) -> list[float]:
    return [row[name] for row in rows for name in ("value", "median")]


def sales_that_differ(home: Path, told: Told) -> int:
    """How many of the uploads that were acknowledged lie otherwise, or not at all, in what is published."""
    if not told.sales:
        return 0
    snapshot = open_snapshot(home)
    known = set(snapshot.categories()["category"])
    return sum(
        name not in known or list(snapshot.sales(name)["quantity"]) != quantities
        for name, quantities in told.sales.values()
    )
