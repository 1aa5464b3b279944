"""The keys as one process of the API knows them, and when each was last used."""

from __future__ import annotations

import hmac
import logging
import queue
import threading
import time
from collections.abc import Mapping

import sqlalchemy as sa

from api.database import api_key, engine_of, now, writing
from api.errors import Problem
from api.keys import Key, all_keys, digest_of, id_of
from api.settings import Settings

log = logging.getLogger("groundswell")

FRESH_SECONDS = 5.0  # within this time a revoked key ends, and the first key closes an open API
LEAST_SECONDS = 1.0  # between two looks for a key that is not known yet
USE_SECONDS = 60.0


class Keyring:
    """All keys, read again when they are older than FRESH_SECONDS; for many threads.

    They are few, and to hold all of them means that no request, with a good key or a bad one, costs a query.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._keys: Mapping[str, Key] = {}
        self._owners: Mapping[str, str] = {}
        self._read_at = float("-inf")
        self._uses = _Uses(settings)

    def is_fresh(self, text: str | None) -> bool:
        """Whether the answer for a key (None: whether there are any) is known without a look into the database."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            return False
        number = None if text is None else id_of(text)
        return number is None or number in self._keys

    def has_keys(self) -> bool:
        """Whether there are keys, live or not: then nobody calls without credentials, also after the last expired."""
        self._refresh(FRESH_SECONDS)
        return bool(self._keys)

    def find(self, text: str) -> Key | None:
        """The live key of this text; None for any other text. Raises the problem 503 where the database is down."""
        number = id_of(text)
        if number is None:
            return None
        self._refresh(FRESH_SECONDS)
        if number not in self._keys:
            self._refresh(LEAST_SECONDS)  # it may be a minute old
        key = self._keys.get(number)
        if key is None or not hmac.compare_digest(key.digest, digest_of(text)) or key.state(now()) != "live":
            return None
        self._uses.note(key.id)
        return key

    def owner(self, key: Key) -> str:
        """The id of the first key of the same name: jobs and forecasts are its, so that a rotation changes nothing."""
        return self._owners[key.name]

    def _refresh(self, age: float) -> None:
        if time.monotonic() - self._read_at <= age:
            return  # without the lock, which another may hold while it waits for the database
        with self._lock:
            if time.monotonic() - self._read_at <= age:
                return
            begun = time.monotonic()
            try:
                keys = all_keys(self._settings)
            except sa.exc.DBAPIError as error:
                log.error("the keys cannot be read: %s", error.orig)
                detail = "the operational database cannot be read, so nobody can be let in; try again"
                raise Problem(503, "database-unavailable", detail, headers={"Retry-After": "5"}) from error
            self._owners = {key.name: key.id for key in keys}  # the oldest comes last
            self._keys = {key.id: key for key in keys}
            self._read_at = begun


class _Uses:
    """Writes when a key was last used: at most once a minute each, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def note(self, number: str) -> None:
        """Somebody has called with this key."""
        moment = time.monotonic()
        with self._lock:
            if moment - self._written.get(number, float("-inf")) < USE_SECONDS:
                return
            self._written[number] = moment
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="key-uses", daemon=True)
                self._writer.start()
        self._waiting.put(number)

    def _write(self) -> None:
        while True:
            number = self._waiting.get()
            try:
                with writing(engine_of(self._settings)) as connection:
                    connection.execute(api_key.update().where(api_key.c.id == number).values(last_used=now()))
            except sa.exc.SQLAlchemyError as error:
                log.warning("when key %s was last used could not be written: %s", number, error)
