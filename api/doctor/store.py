"""The store and what was published of it: whether each block can be read, and how to go on where one cannot."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import duckdb

from api.doctor.patient import Patient
from signals import schema
from signals.config import load_config
from signals.connector import ConfigError
from signals.home import fsync, write_durably
from signals.publish import current_name, newest_version, version_of
from signals.runner import SourceBusy
from signals.sql import literal, run
from signals.store import DiskFull, Store, StoreBusy, StoreDamaged

RESTORE = "restore a backup (groundswell restore)"
SECONDS = 5.0


def fault_of(path: Path) -> str | None:
    """Why a file of DuckDB cannot be used as a store; None where each of its blocks can be read.

    Raises:
        SchemaMismatch: a newer program wrote it, or it is something else.
    """
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        try:
            run(connection, f"ATTACH {literal(path)} AS looked (READ_ONLY)")
            found = schema.version_of(connection, "looked")
            schema.check(found)
            tables = run(connection, "SELECT table_name FROM duckdb_tables() WHERE database_name = 'looked'")
            for (table,) in tables:
                run(connection, f"SELECT bit_xor(hash(rows)) FROM looked.{table} rows")
        except duckdb.Error as error:
            return " ".join(str(error).split())
    return None if found else "it is empty"


def check_store(patient: Patient) -> None:
    """The database that the owner writes; with mending, the last sound snapshot takes its place."""
    if not patient.owned:
        return
    home, newest = patient.home, newest_version(patient.home)
    if not newest and not home.database.exists():
        patient.fine("store", "nothing is stored yet")
        return
    try:
        fault, version = _fault(patient, newest)
    except schema.SchemaMismatch as mismatch:
        patient.ill = True
        patient.problem("store", str(mismatch), "install the version of Groundswell that wrote it")
        return
    if fault is None:
        patient.fine("store", f"data version {version}, every block can be read")
        return
    sound = _newest_sound(home.snapshots)
    if sound is None:
        patient.ill = True
        patient.problem("store", f"{home.database} {fault}, and no snapshot is sound", RESTORE)
    elif not patient.mends:
        patient.ill = True
        patient.problem("store", f"{home.database} {fault}; data version {version_of(sound.name)} is sound")
    else:
        _go_on_from(patient, sound, fault)


def _fault(patient: Patient, newest: int) -> tuple[str | None, int]:
    """What is wrong with the database, and its data version."""
    database = patient.home.database
    if not database.exists():
        return "is missing", 0
    fault = fault_of(database)
    if fault is not None:
        return f"cannot be read ({fault})", 0
    with duckdb.connect(":memory:") as connection:
        run(connection, f"ATTACH {literal(database)} AS looked (READ_ONLY)")
        version = int(run(connection, "SELECT coalesce(max(recorded), 0) FROM looked.batch")[0][0])
    return (f"is at version {version}, older than what was published" if version < newest else None), version


def _newest_sound(snapshots: Path) -> Path | None:
    for path in sorted(snapshots.glob("snap-*.duckdb"), reverse=True):
        if fault_of(path) is None:
            return path
    return None


def _go_on_from(patient: Patient, snapshot: Path, fault: str) -> None:
    """Put a snapshot, which holds all that was stored up to its version, into the place of the database."""
    home, version = patient.home, version_of(snapshot.name)
    fresh = home.database.with_name(".tmp-restored.duckdb")
    shutil.copyfile(snapshot, fresh)
    fsync(fresh)
    for path in (home.database.with_name(f"{home.database.name}.wal"), home.database):
        if path.exists():
            patient.set_aside(path)
    for path in home.snapshots.glob("snap-*.duckdb"):
        if version_of(path.name) > version:  # damaged, or it would have been taken
            patient.set_aside(path)
    fresh.rename(home.database)
    fsync(home.database.parent)
    write_durably(home.current, snapshot.name)
    patient.restored = True
    patient.mended(
        "store", f"{home.database} {fault}: it is now that of data version {version}, the last sound snapshot"
    )
    _tell_lost(patient)


def _tell_lost(patient: Patient) -> None:
    """Name what had been stored after the snapshot; its receipts go aside, so that it can be handed over again."""
    home = patient.home
    with duckdb.connect(":memory:") as connection:
        run(connection, f"ATTACH {literal(home.database)} AS looked (READ_ONLY)")
        kept = {ticket for (ticket,) in run(connection, "SELECT batch FROM looked.batch")}
    lost = [path for path in sorted(home.receipts.glob("*.json")) if _stored(path) and path.stem not in kept]
    for path in lost:
        patient.set_aside(path)
    if lost:
        told = ", ".join(path.stem for path in lost[:5]) + (" …" if len(lost) > 5 else "")
        patient.warn("store", f"{len(lost)} hand-overs were stored after it: {told}", "import these files again")
    notes = home.path / "state" / "sales.sqlite"
    if notes.exists():  # it would say of files that are to be read again that they are known
        patient.set_aside_sqlite(notes)
        patient.warn("store", "what became of each pull of sales is set aside", "groundswell sales pull reads anew")


def _stored(receipt: Path) -> bool:
    try:
        return "stored" in json.loads(receipt.read_text(encoding="utf-8"))
    except ValueError:
        return False


def check_snapshots(patient: Patient) -> None:
    """What readers use; with mending, what is damaged goes aside and the store is published afresh."""
    home = patient.home
    files, name = sorted(home.snapshots.glob("snap-*.duckdb")), current_name(home)
    damaged = [path for path in files if path.exists() and _damaged(path)]
    if name is None and (home.current.exists() or files):
        _renew(patient, home.current, f"{home.current} names no snapshot")
    elif name is not None and not (home.snapshots / name).exists():
        _renew(patient, home.current, f"{home.current} names {name}, which is missing")
    for path in damaged:
        if path.name == name:
            _renew(patient, path, f"{path}, which readers use, is damaged")
        elif patient.mends:
            patient.mended("snapshots", f"{path} is damaged: moved to {patient.set_aside(path)}")
        else:
            patient.warn("snapshots", f"{path} is damaged; readers use a newer one")
    if files and name is not None and not damaged:
        patient.fine("snapshots", f"{len(files)} published, {name} is the newest")


def _damaged(path: Path) -> bool:
    try:
        return fault_of(path) is not None
    except schema.SchemaMismatch:
        return False  # check_store tells it


def _renew(patient: Patient, path: Path, what: str) -> None:
    if not patient.mends or patient.ill:
        patient.problem("snapshots", what)
        return
    where = f", what was there is now {patient.set_aside(path)}" if path.exists() else ""
    patient.mended("snapshots", f"{what}: the store is published afresh{where}")


def publish(patient: Patient) -> None:
    """Take up the inbox and publish, as the next owner would."""
    if not patient.mend or patient.busy or patient.ill or not patient.home.database.exists():
        return
    try:
        with Store.open(patient.home.path, SECONDS) as store:
            stored = store.drain_inbox()
            version = store.publish()
    except StoreBusy:
        return  # whoever has it does the same
    except (StoreDamaged, DiskFull, schema.SchemaMismatch, duckdb.Error) as error:
        patient.problem("store", str(error), RESTORE)
        return
    if stored:
        patient.mended("inbox", f"{len(stored)} hand-overs that waited are stored; data version {version}")


def read_again(patient: Patient) -> None:
    """After a restore: what was fetched after the snapshot lies in `raw/` and is read again."""
    if not patient.restored:
        return
    from signals.reparse import reparse

    try:
        names = list(load_config(patient.home.path).connectors)
    except ConfigError as error:
        patient.problem("raw", f"landed payloads cannot be read again: {error}", "mend groundswell.toml")
        return
    for name in names:
        try:
            told = reparse(patient.home.path, name)
        except (SourceBusy, StoreDamaged, sqlite3.Error) as error:
            patient.warn("raw", f"{name}: {error}", f"groundswell signals reparse {name}")
        else:
            if told.pulls or told.failed:
                patient.mended("raw", f"{name}: {told.pulls} pulls read again, {told.inserted} values stored")
