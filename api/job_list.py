"""Jobs as a person sees them: all that was accepted, what died of an unforeseen error, and another try at it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from api.database import engine_of, job, reading
from api.jobs import ALIVE, RETRIED, Job, Jobs, Note, State, counted
from api.settings import Settings


def totals(settings: Settings) -> dict[str, int]:
    """What became of all that was ever accepted: `accepted = answered + pending + dead`, whatever was killed.

    A job that has failed or was cancelled is answered: whoever asks for it is told. Those that retention removed are
    counted still.
    """
    with reading(engine_of(settings)) as connection:  # one transaction: the counts are of one moment
        counts = {row.name: row.value for row in connection.execute(sa.select(counted))}
        states = sa.select(job.c.state, sa.func.count().label("jobs")).group_by(job.c.state)
        found = {row.state: row.jobs for row in connection.execute(states)}
    pending, dead = sum(found.get(state, 0) for state in ALIVE), found.get("dead", 0)
    answered = sum(found.values()) - pending - dead + counts.get("removed", 0)
    return {"accepted": counts.get("accepted", 0), "answered": answered, "pending": pending, "dead": dead}


def listed(
    settings: Settings, *, state: State | None, kind: str | None, key_id: str | None, limit: int, offset: int
) -> tuple[Sequence[Job], int]:
    """Jobs, the newest first, and how many there are in all. `key_id`: only those of one caller; None: of all."""
    wanted = [column == value for column, value in
              ((job.c.state, state), (job.c.kind, kind), (job.c.key_id, key_id)) if value is not None]  # fmt: skip
    with reading(engine_of(settings)) as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(job).where(*wanted)).scalar_one()
        rows = sa.select(job).where(*wanted).order_by(job.c.accepted.desc(), job.c.job).limit(limit).offset(offset)
        return [Job(**row) for row in connection.execute(rows).mappings()], total


def retry(jobs: Jobs, number: str, changed_by: Note | None = None) -> bool:
    """Try a job again that has failed or is dead; whether there was one. What it has made is not made again.

    `changed_by` notes it in the same transaction.
    """
    again = {"state": "pending", "finished": None, "error": None, "started": None}
    with jobs.writing() as connection:
        this = job.c.job == number, job.c.state.in_(RETRIED)
        kind = connection.execute(sa.select(job.c.kind).where(*this)).scalar()
        if kind is None:
            return False
        connection.execute(job.update().where(*this).values(**again))
        jobs.begin_again(connection, number, kind)
        if changed_by is not None:
            changed_by(connection)
    return True
