"""A request whose head never ends takes no memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.protocol import MOST, LimitedHttp


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("fine")(scope, receive, send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http=LimitedHttp, lifespan="off", ws="none", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield int(listener.getsockname()[1])
        server.should_exit = True
        thread.join(20)


def answer(port: int, *pieces: bytes) -> bytes:
    """What comes back until the server closes or says no more."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        found = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65_536):
                found += data
        except (ConnectionResetError, BrokenPipeError):
            pass  # closed while there was more to send
        return found


def test_a_head_within_the_limit_is_read(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * (MOST - 1_000) + b"\r\n\r\n"
    assert answer(port, head).startswith(b"HTTP/1.1 200")


def test_a_body_may_be_larger_than_a_head(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
    assert answer(port, head, b"x" * 200_000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("rest", [b"X-Long: ", b"X-A: b\r\n" * 20_000])
def test_a_head_that_does_not_end_is_cut_off(port: int, rest: bytes) -> None:
    found = answer(port, b"GET / HTTP/1.1\r\nHost: a\r\n", rest, *[b"x" * 50_000] * 100)
    assert found == b"" or found.startswith(b"HTTP/1.1 431")
    assert answer(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200"), "others are served on"


def test_requests_of_one_connection_are_counted_one_by_one(port: int) -> None:
    one = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 30_000 + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for _ in range(5):
            connection.sendall(one)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_head_that_comes_too_slowly_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.protocol.SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert connection.recv(65_536) == b"", "closed, and not waited for"
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)  # an idle connection is not a slow head
