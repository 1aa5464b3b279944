"""The operational database, jobs that nobody does, keys that end soon, and sources that fare badly."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api import webhooks
from api.database import FILE, ROWS_FILE, api_key, engine_of, issued, job, now, reading
from api.doctor.files import sqlite_fault
from api.doctor.patient import Patient
from api.jobs import Jobs
from api.keys import all_keys
from api.ledger_packing import unpack
from api.settings import is_loopback
from signals.connector import ConfigError
from signals.home import fsync
from signals.status import source_status
from signals.store import StoreDamaged

BACKUP = "restore a backup (groundswell restore)"
SOON = dt.timedelta(days=14)
PATIENCE = dt.timedelta(hours=1)  # a job that nobody has begun for so long: there is no job worker
TOLD = 5


def check_database(patient: Patient) -> None:
    """Ledger, jobs and keys; with mending, what can still be read of a damaged file goes into a new one."""
    path = patient.home.path / FILE
    if patient.settings.database_url:
        _check_server(patient)
        return
    if not path.exists():
        _tell_missing(patient, path)
        return
    fault = sqlite_fault(path)
    if fault is None:
        patient.fine("operations", _counts(patient))
        _check_answers(patient)
        return
    if not patient.mends:
        patient.problem("operations", f"{path} {fault}")
        return
    fresh = path.with_name(".tmp-salvaged.sqlite")
    fresh.unlink(missing_ok=True)
    try:
        saved, lost = salvage(path, fresh)
    except sqlite3.DatabaseError as error:
        fresh.unlink(missing_ok=True)
        patient.problem("operations", f"{path} {fault}; nothing in it can be read ({error})", BACKUP)
        return
    where = patient.set_aside_sqlite(path)
    fresh.rename(path)
    fsync(path.parent)
    told = f"{path} {fault}: moved to {where}; {saved} rows are in a new one"
    missing = f", but not all of {', '.join(lost)} could be read" if lost else ""
    patient.mended("operations", told + missing, "a backup may have the rest" if lost else "")


def _tell_missing(patient: Patient, path: Path) -> None:
    """Before the first forecast there is none; what lies beside it is made only where it is."""
    state = path.parent
    beside = [patient.home.path / ROWS_FILE, *sorted(state.glob("runs/*")), *sorted(state.glob("uploads/*"))]
    left = [str(one.relative_to(patient.home.path)) for one in beside if one.exists()]
    if left:
        patient.problem("operations", f"{path} is missing, though {some(left)} came of it", BACKUP)
    else:
        patient.fine("operations", "no forecast was issued yet")


def _check_answers(patient: Patient) -> None:
    """Whether each issued forecast can be given again."""
    with reading(engine_of(patient.settings)) as connection:
        rows = connection.execution_options(stream_results=True, yield_per=500).execute(
            sa.select(issued.c.receipt, issued.c.answer)
        )
        damaged = [receipt for receipt, answer in rows if not _is_sound(answer)]
    if damaged:
        told = f"{len(damaged)} issued forecasts are not what was written: {some(damaged)}"
        patient.problem("operations", told, BACKUP)


def _check_server(patient: Patient) -> None:
    try:
        patient.fine("operations", _counts(patient))
    except sa.exc.SQLAlchemyError as error:
        told = " ".join(str(error.__cause__ or error).split())
        patient.ill = True
        patient.problem("operations", f"the database cannot be reached: {told}", "see the setting database_url")


def _counts(patient: Patient) -> str:
    with reading(engine_of(patient.settings)) as connection:
        numbers = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (issued, job, api_key)
        ]
    return "{} forecasts, {} jobs, {} keys".format(*numbers)


def salvage(damaged: Path, fresh: Path) -> tuple[int, list[str]]:
    """Copy each row that can be read into a new database; how many, and the tables that are not whole.

    Raises sqlite3.DatabaseError where not even the list of tables can be read.
    """
    saved, lost = 0, []
    copy = _whole(damaged)
    with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(fresh)) as new:
        old.execute("PRAGMA writable_schema = ON")  # it then reads on where an entry of its schema is damaged
        schema = old.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE"
                             " 'sqlite_%'").fetchall()  # fmt: skip
        new.execute("PRAGMA journal_mode = WAL")
        for _, _, sql in sorted(schema, key=lambda one: one[0] != "table"):  # an index needs its table
            new.execute(sql)
        for kind, name, _ in schema:
            if kind == "table":
                copied, whole = _copy(old, new, name)
                saved += copied
                lost += [] if whole else [name]
        new.commit()
    shutil.rmtree(copy.parent)
    fsync(fresh)
    return saved, lost


def _whole(damaged: Path) -> Path:
    """A copy, as long as its header says: SQLite reads nothing of one that was cut off."""
    folder = Path(tempfile.mkdtemp(prefix=".tmp-", dir=damaged.parent))
    for path in damaged.parent.glob(f"{damaged.name}*"):
        shutil.copyfile(path, folder / path.name)
    copy = folder / damaged.name
    with copy.open("r+b") as file:
        head = file.read(32)
        size = int.from_bytes(head[16:18]) * int.from_bytes(head[28:32])
        if head.startswith(b"SQLite format 3\0") and copy.stat().st_size < size < 4 * copy.stat().st_size:
            file.truncate(size)
    return copy


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> tuple[int, bool]:
    """From the first row to where it breaks, then from the last one back; how many, and whether these are all."""
    whole = True
    for order in ("", " ORDER BY rowid DESC"):
        try:
            found = old.execute(f'SELECT * FROM "{table}"{order}')
            names = [column[0] for column in found.description]
            insert = f'INSERT OR IGNORE INTO "{table}" VALUES ({", ".join("?" * len(names))})'
            for row in found:
                if table == issued.name and not _is_sound(row[names.index("answer")]):
                    whole = False
                else:
                    new.execute(insert, row)
            break
        except sqlite3.DatabaseError:
            whole = False
    return int(new.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]), whole


def _is_sound(answer: object) -> bool:
    """Whether an issued forecast is what was written: SQLite has no checksums, the compressed answers have."""
    try:
        return isinstance(answer, bytes) and bool(unpack(answer))
    except zlib.error:
        return False


def is_readable(patient: Patient) -> bool:
    """Whether the operational database may be asked; that it cannot be was told already."""
    if patient.settings.database_url:
        return not patient.ill
    path = patient.home.path / FILE
    return path.exists() and sqlite_fault(path) is None


def check_jobs(patient: Patient) -> None:
    """Jobs that wait for a worker that does not come, and those that no worker knows of."""
    if not is_readable(patient):
        return
    rows = _alive(patient)
    lost = _check_stranded(patient, Jobs(patient.settings), [row.job for row in rows]) if rows else 0
    own = [row for row in rows if row.kind != webhooks.KIND]  # deliveries wait for hours between two tries
    old = [row.job for row in own if row.started is None and row.accepted < now() - PATIENCE]
    if old:
        told = f"{len(old)} jobs have waited for more than an hour: {some(old)}"
        patient.problem("jobs", told, "is `groundswell serve`, which does them, running?")
    if not lost and not old:
        patient.fine("jobs", f"{len(rows)} are under way")


def _check_stranded(patient: Patient, jobs: Jobs, numbers: list[str]) -> int:
    stranded = set(jobs.stranded(numbers))
    lost = [row for row in _alive(patient) if row.job in stranded]  # asked again: it may just have ended
    told = f"{len(lost)} jobs: {some([row.job for row in lost])}"
    if lost and patient.mend:
        with jobs.writing() as connection:
            for row in lost:
                jobs.begin_again(connection, row.job, row.kind)
        patient.mended("jobs", f"in the queue again, for no worker knew of them: {told}")
    elif lost:
        patient.problem("jobs", f"no worker knows of {told}", "groundswell doctor --mend")
    return len(lost)


def _alive(patient: Patient) -> Sequence[Any]:
    """The jobs that are not over, the oldest first."""
    columns = (job.c.job, job.c.kind, job.c.accepted, job.c.started)
    alive = sa.select(*columns).where(job.c.state.in_(("pending", "running"))).order_by(job.c.accepted)
    with reading(engine_of(patient.settings)) as connection:
        return connection.execute(alive).all()


def some(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:TOLD]) + (" …" if len(names) > TOLD else "")


def check_keys(patient: Patient) -> None:
    """Whether callers will soon be turned away."""
    if not is_readable(patient):
        return
    moment = now()
    live = [key for key in all_keys(patient.settings) if key.state(moment) == "live"]
    ending = [key for key in live if key.expires is not None and key.expires < moment + SOON]
    for key in ending:
        patient.warn("keys", f"{key.name} ({key.id}) expires on {key.expires:%Y-%m-%d}", "groundswell keys rotate NAME")
    if not live and not is_loopback(patient.settings.host) and not patient.settings.jwt_issuer:
        patient.problem(
            "keys", f"host {patient.settings.host} asks for keys, and none is live", "groundswell keys create"
        )
    elif not ending:
        patient.fine("keys", f"{len(live)} are live")


def check_sources(patient: Patient) -> None:
    """Settings of sources, and those that are closed or degraded."""
    try:
        found = source_status(patient.home.path)
    except ConfigError as error:
        patient.problem("settings", str(error), "mend groundswell.toml")
        return
    except StoreDamaged:
        return  # it was told
    bad = [one for one in found if one.state in ("closed", "degraded", "late")]
    for one in bad:
        patient.warn("sources", f"{one.connector} is {one.state}: {one.message}", "groundswell signals status")
    if found and not bad:
        patient.fine("sources", f"{len(found)} are set up")
