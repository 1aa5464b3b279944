"""The inbox: how a process that does not own the store hands a batch to the one that does.

A hand-over is a folder `inbox/<ticket>` with a manifest and one Parquet file a frame; it appears whole or not at all.
The owner answers with `inbox/receipts/<ticket>.json`, and keeps what it refused in `inbox/refused/<ticket>`.
"""

# ruff: noqa: N818 - an error is named for what happened, as its callers read it

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from signals.batch import COLUMNS, AppendResult, Batch, BatchRefused, to_arrow
from signals.home import Home, folder_durably, utc, write_durably
from signals.trouble import space_needed

MANIFEST = "manifest.json"
FORMAT = 1
_TICKET = r"\d{8}T\d{12}-[0-9a-f]{8}$"  # the form of `new_ticket`
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("connector", "payload_sha", "handed_over"), str),
    "lag_seconds": (int, float),
    "tables": dict,
}
KEEP_RECEIPTS = timedelta(days=30)
ABANDONED = timedelta(days=2)  # a clock that jumps by a day drops nothing that is being written


class HandOverUnreadable(ValueError):
    """A folder in the inbox is not a hand-over that this program can read."""


def new_ticket(now: datetime) -> str:
    """The name of one batch; names sort by time."""
    return f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"


def hand_over(home: Path, batch: Batch, now: datetime | None = None, ticket: str | None = None) -> str:
    """Put a batch into the inbox, on disk when this returns, and return its ticket; raises BatchRefused.

    Whoever owns the store, or next opens it, appends the batch; `receipt` then tells how it went. `now` (default: the
    clock) is the moment at which undated changes became known. `ticket`, in the form of `new_ticket`, makes it safe to
    repeat: handed over once, it is not handed over again.
    """
    place = Home(home)
    with space_needed(place, "so nothing was handed over"):
        place.create()
    if ticket is not None:
        if (place.inbox / ticket).exists() or (place.receipts / f"{ticket}.json").exists():
            return ticket
        shutil.rmtree(place.inbox / f".tmp-{ticket}", ignore_errors=True)  # of one that was killed half way
    handed_over = utc(None)
    now = handed_over if now is None else utc(now)
    tables = to_arrow(batch, now)
    ticket = ticket or new_ticket(handed_over)
    files = {name: _parquet(table) for name, table in tables.items()}
    manifest = {
        "format": FORMAT,
        "connector": batch.connector,
        "payload_sha": batch.payload_sha,
        "lag_seconds": batch.lag.total_seconds(),
        "reread": batch.reread,
        "handed_over": now.isoformat(),
        "tables": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    with space_needed(place, "so nothing was handed over"), folder_durably(place.inbox / ticket) as folder:
        for name, data in files.items():
            (folder / f"{name}.parquet").write_bytes(data)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return ticket


def receipt(home: Path, ticket: str) -> AppendResult | None:
    """What became of a hand-over: None while it waits; raises BatchRefused with the reason if it was refused."""
    try:
        answer = json.loads((Home(home).receipts / f"{ticket}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if "refused" in answer:
        raise BatchRefused(answer["refused"])
    return AppendResult(**answer["stored"])


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def waiting(home: Home) -> list[str]:
    """The tickets that wait, in order of arrival."""
    return sorted(entry.name for entry in home.inbox.iterdir() if entry.is_dir() and re.match(_TICKET, entry.name))


def read(home: Home, ticket: str) -> tuple[Batch, datetime]:
    """The batch of a ticket and when it was handed over (UTC); raises HandOverUnreadable, naming the ticket.

    Whatever the folder holds is to blame for that; an error of the disk is raised as OSError and blames nobody.
    """
    try:
        return _batch(home.inbox / ticket)
    except (HandOverUnreadable, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise HandOverUnreadable(f"hand-over {ticket} cannot be read: {error or type(error).__name__}") from error


def _batch(folder: Path) -> tuple[Batch, datetime]:
    manifest = json.loads(_bytes(folder / MANIFEST))
    if not isinstance(manifest, dict):
        raise HandOverUnreadable(f"{MANIFEST} holds no object")
    if manifest["format"] != FORMAT:
        raise HandOverUnreadable(f"its format is {manifest['format']!r}, this program reads {FORMAT}")
    for name, kind in _KINDS.items():
        if not isinstance(manifest[name], kind):
            raise HandOverUnreadable(f"{name} in {MANIFEST} is {str(manifest[name])[:80]!r}")
    frames = {name: _frame(folder, name, digest) for name, digest in manifest["tables"].items()}
    lag = timedelta(seconds=manifest["lag_seconds"])
    sha, reread = manifest["payload_sha"], manifest.get("reread", False) is True
    batch = Batch(manifest["connector"], **frames, payload_sha=sha, lag=lag, reread=reread)
    return batch, utc(datetime.fromisoformat(manifest["handed_over"]))


def _frame(folder: Path, name: str, digest: str) -> pd.DataFrame:
    if name not in COLUMNS:
        raise HandOverUnreadable(f"it has a table {name!r}; allowed: {', '.join(COLUMNS)}")
    data = _bytes(folder / f"{name}.parquet")
    if hashlib.sha256(data).hexdigest() != digest:
        raise HandOverUnreadable(f"{name}.parquet is damaged: it is not what was handed over; hand the data over again")
    try:
        table = pq.read_table(pa.BufferReader(data))
        table.validate(full=True)
        # What pandas noted in the file is not needed, and one more thing that could be wrong.
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:  # OSError too: by it Arrow tells of damage, and nothing is on a disk
        raise HandOverUnreadable(f"{name}.parquet is damaged: {error}") from error
    assert isinstance(frame, pd.DataFrame)
    return frame


def _bytes(path: Path) -> bytes:
    if not path.is_file():  # a pipe would keep the owner waiting for ever
        raise HandOverUnreadable(f"{path.name} is missing")
    try:
        return path.read_bytes()
    except (FileNotFoundError, PermissionError) as error:
        raise HandOverUnreadable(f"{path.name}: {error.strerror}") from error


def confirm(home: Home, ticket: str, result: AppendResult) -> None:
    """Write the receipt of a stored batch, then drop its files: in this order a kill loses neither.

    They go all at once: half a folder would be read as damage and refused, though it is stored.
    """
    write_durably(home.receipts / f"{ticket}.json", json.dumps({"stored": asdict(result)}))
    stored = home.inbox / f".tmp-{ticket}"
    (home.inbox / ticket).rename(stored)
    shutil.rmtree(stored)


def refuse(home: Home, ticket: str, reason: str) -> None:
    """Move a batch aside with the reason in words, and write its receipt."""
    folder = home.inbox / ticket
    reason = reason.encode("utf-8", "backslashreplace").decode()
    write_durably(folder / "reason.txt", reason + "\n")
    write_durably(home.receipts / f"{ticket}.json", json.dumps({"refused": reason}))
    aside = home.refused / ticket
    if aside.exists():
        shutil.rmtree(aside)
    folder.rename(aside)


def tidy(home: Home) -> None:
    """Drop receipts that nobody will ask for any more, and half-written folders whose writers have died."""
    now = time.time()
    for path in home.receipts.iterdir():
        if now - path.stat().st_mtime > KEEP_RECEIPTS.total_seconds():
            path.unlink(missing_ok=True)
    for path in home.inbox.glob(".tmp-*"):
        if now - path.stat().st_mtime > ABANDONED.total_seconds():
            shutil.rmtree(path, ignore_errors=True)
