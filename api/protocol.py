"""HTTP/1.1 as uvicorn reads it, with a limit on the head of a request: without one it keeps whatever comes."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 65_536  # bytes of the address and the headers together
SECONDS = 30.0  # for all of them, from the first byte on
ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 50\r\nConnection: close\r\n\r\nthe address and the headers exceed 65,536 bytes.\r\n"
)


class LimitedHttp(HttpToolsProtocol):
    """Closes a connection whose next request has a head above `MOST`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head, self._head = True, 0
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too large by now."""
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head else 0
        if self._head and self._timer is None:
            self._timer = self.loop.call_later(SECONDS, self.transport.close)
        if self._head > MOST and not self.transport.is_closing():
            self.transport.write(ANSWER)
            self.transport.close()

    def on_message_begin(self) -> None:
        """The head of the next request begins."""
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is over."""
        self._in_head = False
        self._end_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._end_timer()
        super().connection_lost(exc)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
