"""What comes twice: the same request at once, a workflow that is executed again, an event that is sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from api.jobs import RUNS, Jobs
from api.settings import Settings
from bench.acknowledged import JSON, LATER, Told
from bench.service import Answer, Service, ask
from bench.serving import bodies

AT_ONCE = 12  # connections
IN_RUN = 300  # requests: long enough to be caught at work


@dataclass
class Received:
    """What a receiver of webhooks was sent; it refuses every first attempt."""

    numbers: list[str] = field(default_factory=list)  # the header webhook-id of each
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, number: str) -> int:
        """Note it; the status to answer with."""
        with self.lock:
            self.numbers.append(number)
            return 200 if self.numbers.count(number) > 1 else 503


@contextmanager
def receiver() -> Iterator[tuple[str, Received]]:
    """A server that webhooks are sent to: its address, and what it was sent."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(received.take(self.headers.get("webhook-id", "")))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    finally:
        server.shutdown()
        server.server_close()


def at_once(port: int, number: int, request: bytes, told: Told) -> None:
    """The same request under one key over many connections at once, each again until it is answered."""
    headers = JSON | {"Idempotency-Key": f"twice-{number}"} | (LATER if number % 2 else {})

    def sent(_: int) -> Answer:
        while (answer := ask(port, "POST", "/v1/forecasts", request, headers)).status not in (200, 202):
            told.note(answer, 0)
        told.note(answer, 0)
        return answer

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(sent, range(AT_ONCE)))
    told.different += len({answer.body for answer in answers}) - 1
    first = answers[0]
    if first.status == 200:
        told.answers[orjson.loads(first.body)["receipt"]] = request, first.body
    else:
        told.jobs[orjson.loads(first.body)["job"]] = request


def executed_twice(service: Service, seed: int, told: Told) -> None:
    """A run whose workflow is begun again while it is under way, as after a worker that was taken for dead."""
    requests = bodies(IN_RUN, 104, 0, seed)
    headers = {"Content-Type": "application/x-ndjson"}
    run = orjson.loads(ask(service.port, "POST", "/v1/runs", b"\n".join(requests), headers).body)["id"]
    told.runs[run] = requests
    while orjson.loads(ask(service.port, "GET", f"/v1/runs/{run}").body)["status"] == "pending":
        pass
    Jobs(Settings(home=service.home)).resume([run], RUNS)
