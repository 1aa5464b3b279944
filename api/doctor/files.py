"""The files beside the store: access, space, the inbox, landed payloads, and notes of what was pulled."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import time
import zlib
from contextlib import closing
from pathlib import Path

from api.database import ROWS_FILE, SCORES_FILE
from api.doctor.patient import Patient
from api.ingest import sign_of_life
from signals import inbox

LITTLE = 500_000_000  # bytes
LEFT_SECONDS = 3600.0  # whoever writes a file takes less
SILENT_SECONDS = 10.0


def check_access(patient: Patient) -> None:
    """Whether the folders can be written."""
    home = patient.home
    folders = (home.path, home.database.parent, home.snapshots, home.inbox, home.raw)
    closed = [folder for folder in folders if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK)]
    for folder in closed:
        patient.problem("home", f"{folder} cannot be read and written by this user", "change its owner or its mode")
    if not closed:
        patient.fine("home", f"{home.path.absolute()} can be read and written")


def check_space(patient: Patient) -> None:
    """Whether the next publish, which copies the store, has room."""
    home = patient.home
    free = shutil.disk_usage(home.path).free
    needed = home.database.stat().st_size if home.database.exists() else 0
    told = f"{free / 1e9:.1f} GB are free"
    if free < needed * 1.2 + 50e6:
        patient.problem("disk", f"{told}, the next publish needs {needed / 1e9:.1f} GB", "free some space")
    elif free < LITTLE:
        patient.warn("disk", told, "free some space")
    else:
        patient.fine("disk", told)


def check_heartbeat(patient: Patient) -> None:
    """The sign of life of `serve`: left over from a killed one, or of one that hangs."""
    sign = sign_of_life(patient.home.path)
    if sign is None:
        return
    trouble = f"; then: {sign.trouble}" if sign.trouble else ""
    told = f"the last sign of life of the ingest process is {sign.age:.0f} s old{trouble}"
    if patient.owned:
        if patient.mends:
            patient.set_aside(patient.home.path / "ingest.heartbeat")
            patient.mended("lock", f"{told}: it was killed, and its heartbeat is set aside")
        else:
            patient.warn("lock", f"{told}: it was killed; the next owner goes on where it was")
    elif sign.trouble or sign.age > SILENT_SECONDS:
        patient.problem("lock", told, "see its log; restart `groundswell serve` if it hangs")


def check_inbox(patient: Patient) -> None:
    """Hand-overs that wait, receipts, and what was refused."""
    home, seen = patient.home, len(patient.findings)
    if not home.inbox.is_dir():
        return
    waiting = inbox.waiting(home)
    for ticket in waiting:
        try:
            inbox.read(home, ticket)
        except inbox.HandOverUnreadable as error:
            if not (home.inbox / ticket).exists():
                continue  # its owner has just taken it
            if patient.mends:
                inbox.refuse(home, ticket, str(error))
                patient.mended("inbox", f"{error}: moved to {home.refused / ticket}", "hand the data over again")
            else:
                patient.problem("inbox", str(error))
    for path in sorted(home.receipts.glob("*.json")):
        _check_receipt(patient, path)
    _check_left(patient, "inbox", home.inbox)
    refused = [path for path in home.refused.glob("*") if path.is_dir()]
    if refused:
        patient.warn("inbox", f"{len(refused)} hand-overs were refused", f"each has its reason.txt in {home.refused}")
    if len(patient.findings) == seen:
        patient.fine("inbox", f"{len(waiting)} hand-overs wait, each can be read")


def _check_receipt(patient: Patient, path: Path) -> None:
    try:
        sound = bool(json.loads(path.read_bytes()).keys() & {"stored", "refused"})
    except FileNotFoundError:
        return
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        _set_aside(patient, "inbox", path, f"the receipt {path} cannot be read")


def _check_left(patient: Patient, check: str, folder: Path) -> None:
    """What a killed writer has left half-written."""
    for path in sorted(folder.glob(".tmp-*")):
        if time.time() - path.stat().st_mtime < LEFT_SECONDS:
            continue
        if patient.mends:
            patient.mended(check, f"{path} was left half-written: moved to {patient.set_aside(path)}")
        else:
            patient.warn(check, f"{path} was left half-written by a process that was killed", "nothing need be done")


def check_raw(patient: Patient) -> None:
    """Payloads as they were fetched: each is what its name says."""
    seen, number = len(patient.findings), 0
    for path in sorted(patient.home.raw.glob("*/*.gz")):
        number += 1
        if not _is_landed(path):
            _set_aside(patient, "raw", path, f"{path} is not what was landed")
    for folder in sorted(patient.home.raw.glob("*/")):
        _check_left(patient, "raw", folder)
    if len(patient.findings) == seen:
        patient.fine("raw", f"{number} landed payloads, each is what was fetched")


def _is_landed(path: Path) -> bool:
    if len(path.stem) != 64:
        return True  # a name that is no hash promises nothing
    try:
        return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == path.stem
    except (OSError, EOFError, zlib.error):
        return not path.exists()


def check_notes(patient: Patient) -> None:
    """How each source fared, the rows of OData and scores: databases whose contents can be asked for or made again."""
    for path in sorted(patient.home.database.parent.glob("*.sqlite")):
        if path.name == "operations.sqlite":
            continue
        fault = sqlite_fault(path)
        if fault is None:
            patient.fine("notes", f"{path.name} is sound")
        elif patient.mends:
            where = patient.set_aside_sqlite(path)
            again = "its rows are made" if path.name in (ROWS_FILE.name, SCORES_FILE.name) else "its sources are asked"
            patient.mended("notes", f"{path} {fault}: moved to {where}; {again} again, no value is lost")
        else:
            patient.problem("notes", f"{path} {fault}")


def sqlite_fault(path: Path) -> str | None:
    """What SQLite says against a database; None where it is sound."""
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return f"cannot be read ({error})"
    return None if found == "ok" else f"is damaged ({' '.join(str(found).split())})"


def _set_aside(patient: Patient, check: str, path: Path, what: str) -> None:
    if patient.mends:
        patient.mended(check, f"{what}: moved to {patient.set_aside(path)}")
    else:
        patient.problem(check, what)
