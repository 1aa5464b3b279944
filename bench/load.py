"""An open-loop load of HTTP requests from a process of its own: arrivals keep their times whatever the server does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Loaded:
    """What became of a load. seconds: from the moment that a request was due to the last byte of its answer."""

    seconds: list[float] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)  # the status, or the name of the error, of each
    statuses: dict[str, int] = field(default_factory=dict)

    def note(self, status: str, seconds: float) -> None:
        """One answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.seconds.append(seconds)
        self.answered.append(status)


class _Pool:
    """Connections that are kept alive, as a calling program keeps its own."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, head: bytes, body: bytes) -> str:
        """Send one request and read its answer; the status, or the name of the error."""
        try:
            reader, writer = await self._connection()
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = int(answer.lower().split("content-length:")[1].split("\r\n", 1)[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            return type(error).__name__
        self._free.append((reader, writer))
        return answer.split(" ", 2)[1]

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that is free and that the server has not closed for having been idle, or a new one."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    async def close(self) -> None:
        """Close all connections."""
        for _, writer in self._free:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def closed(
    host: str, port: int, path: str, bodies: Sequence[bytes], at_once: int, *, headers: str = ""
) -> Loaded:
    """Post each body once, `at_once` at a time: the next as soon as one is answered."""
    head, pool, loaded, left = _head(host, port, path, headers), _Pool(host, port), Loaded(), iter(bodies)

    async def one_after_the_other() -> None:
        for body in left:
            began = time.perf_counter()
            loaded.note(await pool.post(head, body), time.perf_counter() - began)

    await asyncio.gather(*[one_after_the_other() for _ in range(at_once)])
    await pool.close()
    return loaded


async def load(
    host: str, port: int, path: str, bodies: Sequence[bytes], rate: float, *, headers: str = "", seed: int = 1
) -> Loaded:
    """Post each body once, at the arrivals of a Poisson process of `rate` a second."""
    head, pool, loaded = _head(host, port, path, headers), _Pool(host, port), Loaded()
    due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, len(bodies)))
    began, tasks = time.perf_counter(), []

    async def one(body: bytes, at: float) -> None:
        status = await pool.post(head, body)
        loaded.note(status, time.perf_counter() - began - at)

    for body, at in zip(bodies, due, strict=True):
        pause = at - (time.perf_counter() - began)
        if pause > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(one(body, at)))
    await asyncio.gather(*tasks)
    await pool.close()
    return loaded


def _head(host: str, port: int, path: str, headers: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n{headers}".encode()
