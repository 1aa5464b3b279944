"""What the database or the disk cannot do for a while: the API answers 503, and the job worker waits until it is over.

database-unavailable   the operational database cannot be reached, or is too busy
disk-full              there is no room on the disk
disk-error             the disk does not read or write
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response

from api.errors import Problem, problem_response
from signals.trouble import DiskFull

log = logging.getLogger("groundswell")

P = ParamSpec("P")
T = TypeVar("T")

AGAIN = {"Retry-After": "5"}
FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (errno.EIO, errno.EROFS)
DATABASE = "database-unavailable"
DETAILS = {
    DATABASE: "the operational database cannot be reached, so nothing was accepted; send it again",
    "disk-full": "no space is left on the disk of the service, so nothing was accepted; send it again later",
    "disk-error": "the disk of the service does not read or write, so nothing was accepted; send it again later",
}
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


def outage_of(error: BaseException) -> Problem | None:
    """The problem of an error by which such an outage shows; None for any other."""
    code = _code(error)
    return None if code is None else Problem(503, code, DETAILS[code], headers=AGAIN)


def _code(error: BaseException) -> str | None:
    if isinstance(error, sa.exc.TimeoutError):  # every connection of the pool was busy for too long
        return DATABASE
    if isinstance(error, sa.exc.DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return _of_sqlite(error.orig)
        away = isinstance(error, sa.exc.OperationalError) or error.connection_invalidated
        return DATABASE if away else None
    if isinstance(error, DiskFull):
        return "disk-full"
    if isinstance(error, OSError):
        return "disk-full" if error.errno in FULL else "disk-error" if error.errno in BROKEN else None
    return None


def _of_sqlite(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", None) or 0
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the index of the write-ahead log found no room
        return "disk-full"
    codes = {
        sqlite3.SQLITE_FULL: "disk-full",
        sqlite3.SQLITE_IOERR: "disk-error",
        sqlite3.SQLITE_CANTOPEN: "disk-error",
        sqlite3.SQLITE_READONLY: "disk-error",
        sqlite3.SQLITE_BUSY: DATABASE,
    }
    return codes.get(code & 0xFF)


def install(app: FastAPI) -> None:
    """Answer 503 where a request met an outage."""
    for kind in (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError, DiskFull):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    return response_to(request, error)


def response_to(request: Request, error: Exception) -> Response:
    """The 503 for an outage; any other error is raised again."""
    problem = outage_of(error)
    if problem is None:
        raise error
    log.error("request %s: %s: %s", request.scope["state"].get("request_id", ""), problem.code, error)
    return problem_response(request, problem.status_code, problem.code, str(problem.detail), problem.headers)


def waiting_out(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called again until the outage that it meets is over."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        pause = FIRST_PAUSE
        while True:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                problem = outage_of(error)
                if problem is None:
                    raise
                log.warning("%s: jobs wait and go on by themselves: %s", problem.code, error)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    return call
