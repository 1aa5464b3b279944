"""The operational database, jobs that nobody does, keys that end soon, and sources that fare badly."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from api.database import FILE, api_key, engine_of, issued, job, now, reading
from api.doctor.files import sqlite_fault
from api.doctor.patient import Patient
from api.jobs import Jobs
from api.keys import all_keys
from api.settings import is_loopback
from signals.connector import ConfigError
from signals.home import fsync
from signals.status import source_status
from signals.store import StoreDamaged

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
        patient.fine("operations", "no forecast was issued yet")
        return
    fault = sqlite_fault(path)
    if fault is None:
        patient.fine("operations", _counts(patient))
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
        patient.problem("operations", f"{path} {fault}; nothing in it can be read ({error})", "restore a backup")
        return
    where = patient.set_aside_sqlite(path)
    fresh.rename(path)
    fsync(path.parent)
    told = f"{path} {fault}: moved to {where}; {saved} rows are in a new one"
    missing = f"not all of {', '.join(lost)} could be read" if lost else ""
    patient.mended("operations", f"{told}, {missing}" if lost else told, "a backup may have the rest" if lost else "")


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
    with closing(sqlite3.connect(damaged)) as old, closing(sqlite3.connect(fresh)) as new:
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
    fsync(fresh)
    return saved, lost


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> tuple[int, bool]:
    """From the first row to where it breaks, then from the last one back."""
    for order in ("", " ORDER BY rowid DESC"):
        try:
            for row in old.execute(f'SELECT * FROM "{table}"{order}'):
                new.execute(f'INSERT OR IGNORE INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
        except sqlite3.DatabaseError:
            continue
        return _count(new, table), not order
    return _count(new, table), False


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])


def _is_readable(patient: Patient) -> bool:
    """Whether the operational database may be asked; that it cannot be was told already."""
    if patient.settings.database_url:
        return not patient.ill
    path = patient.home.path / FILE
    return path.exists() and sqlite_fault(path) is None


def check_jobs(patient: Patient) -> None:
    """Jobs that wait for a worker that does not come, and those that no worker knows of."""
    if not _is_readable(patient):
        return
    alive = sa.select(job.c.job, job.c.accepted, job.c.started).where(job.c.state.in_(("pending", "running")))
    with reading(engine_of(patient.settings)) as connection:
        rows = connection.execute(alive.order_by(job.c.accepted)).all()
    jobs = Jobs(patient.settings)
    stranded = jobs.stranded([row.job for row in rows]) if rows else []
    if stranded and patient.mend:
        for number in stranded:
            jobs.enqueue_again(number)
        patient.mended("jobs", f"{len(stranded)} jobs that no worker knew of are in the queue again: {_some(stranded)}")
    elif stranded:
        patient.problem(
            "jobs", f"no worker knows of {len(stranded)} jobs: {_some(stranded)}", "groundswell doctor --mend"
        )
    old = [row.job for row in rows if row.started is None and row.accepted < now() - PATIENCE]
    if old:
        told = f"{len(old)} jobs have waited for more than an hour: {_some(old)}"
        patient.problem("jobs", told, "is `groundswell serve`, which does them, running?")
    if not stranded and not old:
        patient.fine("jobs", f"{len(rows)} are under way")


def _some(names: list[str]) -> str:
    return ", ".join(names[:TOLD]) + (" …" if len(names) > TOLD else "")


def check_keys(patient: Patient) -> None:
    """Whether callers will soon be turned away."""
    if not _is_readable(patient):
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
