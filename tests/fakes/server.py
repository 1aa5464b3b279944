"""An HTTP server on loopback that plays a source, and the faults that sources have."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

CONSENT = b"<!doctype html><html><head><title>Before you continue</title></head><body>Accept?</body></html>"


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float  # time.monotonic
    target: str = ""  # path and query as they were sent


@dataclass(frozen=True)
class Answer:
    """What a source answers; bytes, or something that becomes JSON."""

    body: Any = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False  # the connection breaks half way
    seconds: float = 0.0  # before the first byte

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Source = Callable[[Asked], Answer]


def too_many(retry_after: float | None = 0, *, as_date: bool = False) -> Answer:
    """429, with Retry-After in seconds or as a date."""
    value = None if retry_after is None else formatdate(time.time() + retry_after, usegmt=True)
    value = value if as_date or retry_after is None else f"{retry_after:g}"
    return Answer(b"Too many requests", 429, "text/plain", {} if value is None else {"Retry-After": value})


BROKEN = Answer(b"Internal error", 500, "text/plain")
PAGE = Answer(CONSENT, 200, "text/html; charset=utf-8")  # a page for people in place of data, with status 200


def cut(answer: Answer) -> Answer:
    """The same answer, broken off half way."""
    return Answer(answer.body, answer.status, answer.content_type, answer.headers, cut=True)


class Faults:
    """Breaks some answers of a source: those queued in `next`, else a share `rate` of all, drawn from `kinds`."""

    def __init__(self, rate: float = 0.0, seed: int = 7, kinds: tuple[str, ...] = ("429", "500", "cut")) -> None:
        self.next: list[Answer | Callable[[Answer], Answer]] = []
        self.rate, self.kinds, self.count = rate, kinds, 0
        self._chance, self._lock = random.Random(seed), threading.Lock()

    def apply(self, answer: Answer) -> Answer:
        """The answer, or what goes wrong with it."""
        with self._lock:
            if self.next:
                fault = self.next.pop(0)
                self.count += 1
                return fault(answer) if callable(fault) else fault
            if self._chance.random() >= self.rate:
                return answer
            self.count += 1
            kind = self._chance.choice(self.kinds)
        return {"429": too_many(0), "500": BROKEN, "html": PAGE}.get(kind) or cut(answer)


@dataclass
class Fake:
    """A running fake: where it is, what it was asked, and its faults."""

    url: str
    asked: list[Asked]
    faults: Faults


@contextmanager
def serving(source: Source, faults: Faults | None = None) -> Iterator[Fake]:
    """Serve a source on a free port of loopback until the block ends."""
    fake = Fake("", [], faults or Faults())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(source, fake))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave early are part of the play
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(source: Source, fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            target = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            query = dict(parse_qsl(target.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(
                self.command, target.path, query, headers, self.rfile.read(length), time.monotonic(), self.path
            )
            fake.asked.append(asked)
            self._send(fake.faults.apply(source(asked)))

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

        def _send(self, answer: Answer) -> None:
            time.sleep(answer.seconds)
            content = answer.content
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer.cut else content)
            self.close_connection = answer.cut

        def log_message(self, *_: object) -> None:
            """The test's output is its result."""

    return Handler
