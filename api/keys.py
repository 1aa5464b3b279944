"""API keys: made and shown once, kept as digests, rotated, revoked.

A key is ``gs_live_<id>_<secret>_<check>``: a prefix that secret scanners find, an id that may be told, 32 random bytes
and a CRC-32 over all that, so that a mistyped key is known as one without a look into the database. What is kept is its
SHA-256: there is nothing to guess in 256 random bits, so a slow digest would only slow the callers down.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from api.audit import record
from api.database import api_key, engine_of, now, reading, writing
from api.settings import Settings

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID, SECRET, CHECK = 10, 43, 6  # digits in base 62; 43 hold 32 bytes, 6 hold a CRC-32
FORM = re.compile(rf"gs_live_([0-9A-Za-z]{{{ID}}})_[0-9A-Za-z]{{{SECRET}}}_([0-9A-Za-z]{{{CHECK}}})")
LIVE_OF_ONE_NAME = 2  # the old one and the new one, while callers change over


class KeysError(ValueError):
    """A key cannot be made, rotated or revoked; the message says why and what to do."""


@dataclass(frozen=True)
class Key:
    """One key as it is kept. Moments are UTC without a zone; categories: those that it may see, None: all."""

    id: str
    name: str
    digest: str
    scopes: frozenset[str]
    categories: frozenset[str] | None
    created: dt.datetime
    expires: dt.datetime | None
    revoked: dt.datetime | None
    last_used: dt.datetime | None

    def state(self, moment: dt.datetime) -> str:
        """live, expired or revoked."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= moment else "live"


def new_key() -> tuple[str, str]:
    """The id and the text of a new key."""
    number = "".join(secrets.choice(ALPHABET) for _ in range(ID))
    body = f"gs_live_{number}_{_base62(int.from_bytes(secrets.token_bytes(32)), SECRET)}"
    return number, f"{body}_{_check(body)}"


def id_of(text: str) -> str | None:
    """The id that a key names; None for what is no key, by its form or its check."""
    found = FORM.fullmatch(text)
    return found[1] if found and _check(text[: -CHECK - 1]) == found[2] else None


def digest_of(text: str) -> str:
    """What is kept of a key: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def create(
    settings: Settings,
    name: str,
    scopes: Collection[str],
    categories: Collection[str] | None = None,
    lifetime: dt.timedelta | None = None,
) -> tuple[Key, str]:
    """Make the first key of a name; with its text, which nobody can read again. Raises KeysError."""
    with writing(engine_of(settings)) as connection:
        if _live(connection, name):
            raise KeysError(f"there is a live key {name!r}: `groundswell keys rotate` makes its successor")
        return _insert(connection, name, scopes, categories, lifetime, "key created")


def rotate(settings: Settings, name: str) -> tuple[Key, str]:
    """Make the successor of a live key, with its scopes, categories and lifetime; the old one stays live.

    Raises KeysError.
    """
    with writing(engine_of(settings)) as connection:
        live = _live(connection, name)
        if not live:
            raise KeysError(f"there is no live key {name!r}: `groundswell keys create` makes one")
        if len(live) >= LIVE_OF_ONE_NAME:
            ids = " and ".join(key.id for key in live)
            raise KeysError(f"{name!r} has the live keys {ids}: revoke the one that is no longer used first")
        old = live[0]
        lifetime = None if old.expires is None else old.expires - old.created
        return _insert(connection, name, old.scopes, old.categories, lifetime, "key rotated")


def revoke(settings: Settings, number: str) -> Key:
    """End a key for good; one that was revoked already stays as it is. Raises KeysError."""
    with writing(engine_of(settings)) as connection:
        row = connection.execute(sa.select(api_key).where(api_key.c.id == number)).mappings().first()
        if row is None:
            raise KeysError(f"no key has the id {number!r}: `groundswell keys list` shows the ids")
        key = _key(row)
        if key.revoked is None:
            connection.execute(api_key.update().where(api_key.c.id == number).values(revoked=now()))
            record(connection, "key revoked", f"{key.name} {key.id}")
    return key


def all_keys(settings: Settings) -> list[Key]:
    """Every key, the newest first."""
    with reading(engine_of(settings)) as connection:
        rows = connection.execute(sa.select(api_key).order_by(api_key.c.created.desc(), api_key.c.id)).mappings()
        return [_key(row) for row in rows]


def has_live_key(settings: Settings) -> bool:
    """Whether somebody can call with a key now."""
    moment = now()
    return any(key.state(moment) == "live" for key in all_keys(settings))


def _live(connection: sa.Connection, name: str) -> list[Key]:
    query = sa.select(api_key).where(api_key.c.name == name).order_by(api_key.c.created.desc())
    keys, moment = [_key(row) for row in connection.execute(query).mappings()], now()
    return [key for key in keys if key.state(moment) == "live"]


def _insert(
    connection: sa.Connection,
    name: str,
    scopes: Collection[str],
    categories: Collection[str] | None,
    lifetime: dt.timedelta | None,
    action: str,
) -> tuple[Key, str]:
    number, text = new_key()
    created = now()
    values = {
        "id": number,
        "name": name,
        "digest": digest_of(text),
        "scopes": json.dumps(sorted(scopes)),
        "categories": None if categories is None else json.dumps(sorted(categories)),
        "created": created,
        "expires": None if lifetime is None else created + lifetime,
    }
    connection.execute(api_key.insert().values(**values))
    record(connection, action, f"{name} {number}", scopes=sorted(scopes))
    row = connection.execute(sa.select(api_key).where(api_key.c.id == number)).mappings().one()
    return _key(row), text


def _key(row: sa.RowMapping) -> Key:
    categories = None if row["categories"] is None else frozenset(json.loads(row["categories"]))
    return Key(**{**row, "scopes": frozenset(json.loads(row["scopes"])), "categories": categories})


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECK)


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits
