"""What is kept for how long: jobs and issued forecasts that are old enough are removed, with all that is theirs."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import threading
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from api.database import engine_of, idempotency, issued, issued_inline, job, now, reading, rows_engine_of, writing
from api.fold_rows import run_id
from api.idempotency import KEPT
from api.jobs import Jobs, add_to, workflow_of_job
from api.life.keeping import forget_receipts, forget_scores
from api.odata.model import ACCURACY, CONTRIBUTIONS, FORECASTS, KEY, RUNS, SIGNALS
from api.odata.tables import FORECAST_ROW, TABLES
from api.receipts import receipt_at
from api.run_chunk import run_failure
from api.run_input import folder
from api.run_input import tidy as tidy_runs
from api.settings import Settings
from api.webhooks import delivery

log = logging.getLogger("groundswell")

TOGETHER = 200  # in one transaction: whoever else writes waits for it
PAUSE_SECONDS = 0.02
EVERY_SECONDS = 3600.0
OVER = ("succeeded", "failed", "cancelled")
OF_RECEIPT = (FORECASTS, CONTRIBUTIONS, SIGNALS, ACCURACY)
_RUN_ROW = TABLES[RUNS.name]


@dataclass(frozen=True)
class Tidied:
    """How many of each were removed."""

    jobs: int
    forecasts: int
    workflows: int
    idempotency_keys: int
    deliveries: int
    scores: int
    inline_histories: int

    def __str__(self) -> str:
        return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in asdict(self).items())


def tidy_until(settings: Settings, stop: threading.Event) -> None:
    """Tidy once an hour until `stop`; an error is logged, and tried again."""
    while not stop.is_set():
        try:
            removed = tidy(settings, stop)
            if any(asdict(removed).values()):
                log.info("removed what is no longer kept: %s", removed)
        except Exception:
            log.exception("what is no longer kept was not removed; it is tried again in an hour")
        stop.wait(EVERY_SECONDS)


def tidy(settings: Settings, stop: threading.Event | None = None) -> Tidied:
    """Remove what is older than the settings keep_… say, a few at a time.

    A job is removed once it is over, a forecast once its rows lie in the tables that OData reads: these go with it.
    """
    stop, moment = stop or threading.Event(), now()
    tidy_runs(settings, engine_of(settings))
    jobs_before = moment - dt.timedelta(days=settings.keep_jobs_days)
    forecasts = 0
    if settings.keep_receipts_days:
        forecasts = _forget_forecasts(settings, moment - dt.timedelta(days=settings.keep_receipts_days), stop)
        forget_receipts(settings)
    scores = 0
    if settings.keep_scores_days:
        scores = forget_scores(settings, (moment - dt.timedelta(days=settings.keep_scores_days)).date(), stop)
    inline = 0
    if settings.keep_inline_days:
        inline = _forget_inline(settings, moment - dt.timedelta(days=settings.keep_inline_days), stop)
    workflows = Jobs(settings).forget_workflows(jobs_before, stop)
    return Tidied(
        jobs=_forget_jobs(settings, jobs_before, stop),
        forecasts=forecasts,
        workflows=workflows,
        idempotency_keys=_delete(settings, idempotency, idempotency.c.created < moment - KEPT),
        deliveries=_delete(
            settings, delivery, sa.and_(delivery.c.state != "pending", delivery.c.created < jobs_before)
        ),
        scores=scores,
        inline_histories=inline,
    )


def _forget_jobs(settings: Settings, before: dt.datetime, stop: threading.Event) -> int:
    old = sa.select(job.c.job).where(job.c.state.in_(OVER), job.c.finished < before).limit(TOGETHER)
    removed = 0
    while not stop.is_set():
        with writing(engine_of(settings)) as connection:
            numbers = list(connection.scalars(old))
            connection.execute(run_failure.delete().where(run_failure.c.run.in_(numbers)))
            connection.execute(workflow_of_job.delete().where(workflow_of_job.c.job.in_(numbers)))
            connection.execute(job.delete().where(job.c.job.in_(numbers)))
            add_to(connection, "removed", len(numbers))
        for number in numbers:
            shutil.rmtree(folder(settings) / number, ignore_errors=True)  # what a run has made, where it was one
        removed += len(numbers)
        if len(numbers) < TOGETHER:
            break
        stop.wait(PAUSE_SECONDS)
    return removed


def _forget_forecasts(settings: Settings, before: dt.datetime, stop: threading.Event) -> int:
    """Their rows for OData first: what a kill leaves of a forecast is found again by the next one."""
    old = sa.select(issued).where(issued.c.issued < before, issued.c.folded == sa.true()).limit(TOGETHER)
    removed = 0
    while not stop.is_set():
        with reading(engine_of(settings)) as connection:
            rows = connection.execute(old).mappings().all()
        if rows:
            receipts = [row["receipt"] for row in rows]
            _forget_rows(settings, receipts, {run_id(row) for row in rows})
            with writing(engine_of(settings)) as connection:
                connection.execute(issued_inline.delete().where(issued_inline.c.receipt.in_(receipts)))
                connection.execute(issued.delete().where(issued.c.receipt.in_(receipts)))
        removed += len(rows)
        if len(rows) < TOGETHER:
            break
        stop.wait(PAUSE_SECONDS)
    return removed


def _forget_inline(settings: Settings, before: dt.datetime, stop: threading.Event) -> int:
    """Receipts tell when they were given: those before a moment are found without a look at the ledger."""
    old = sa.select(issued_inline.c.receipt).where(issued_inline.c.receipt < receipt_at(before, 0)).limit(TOGETHER)
    removed = 0
    while not stop.is_set():
        with writing(engine_of(settings)) as connection:
            receipts = list(connection.scalars(old))
            connection.execute(issued_inline.delete().where(issued_inline.c.receipt.in_(receipts)))
        removed += len(receipts)
        if len(receipts) < TOGETHER:
            break
        stop.wait(PAUSE_SECONDS)
    return removed


def _forget_rows(settings: Settings, receipts: list[str], runs: set[str]) -> None:
    with writing(rows_engine_of(settings)) as connection:
        for entities in OF_RECEIPT:
            table = TABLES[entities.name]
            connection.execute(table.delete().where(table.c.Receipt.in_(receipts)))
        left = sa.select(FORECAST_ROW.c.RunId).where(FORECAST_ROW.c.RunId.in_(runs))
        empty = sa.and_(_RUN_ROW.c[KEY].in_(runs), _RUN_ROW.c[KEY].not_in(left), _RUN_ROW.c.State.in_(OVER))
        connection.execute(_RUN_ROW.delete().where(empty))


def _delete(settings: Settings, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    with writing(engine_of(settings)) as connection:
        return connection.execute(table.delete().where(where)).rowcount
