"""The files of runs: requests that those under way still need, and rows of those that are over."""

from __future__ import annotations

import orjson
import sqlalchemy as sa

from api.database import engine_of, job, reading
from api.doctor.operations import BACKUP, is_readable, some
from api.doctor.patient import Patient
from api.errors import Problem
from api.jobs import ALIVE, Job, Jobs
from api.run_input import folder
from api.run_parts import Parts
from api.runs import KIND

LOOKED_AT = (*ALIVE, "succeeded")  # of others nobody knows how many files they had come to


def check_runs(patient: Patient) -> None:
    """Whether each run can go on, and whether its rows can be given."""
    if not is_readable(patient):
        return
    seen, query = len(patient.findings), sa.select(job).where(job.c.kind == KIND, job.c.state.in_(LOOKED_AT))
    with reading(engine_of(patient.settings)) as connection:
        runs = [Job(**row) for row in connection.execute(query.order_by(job.c.accepted)).mappings()]
    for run in runs:
        if run.is_over:
            _check_rows(patient, run)
        else:
            _check_requests(patient, run)
    if len(patient.findings) == seen:
        patient.fine("runs", f"{len(runs)} have all their files")


def _check_requests(patient: Patient, run: Job) -> None:
    place, name = folder(patient.settings), orjson.loads(run.request).get("file")
    if name is None or (place / name).is_file() or (place / run.job / "requests.parquet").is_file():
        return
    now = Jobs(patient.settings).status(run.job)  # it may just have ended, and dropped them
    if now is not None and not now.is_over:
        patient.problem("runs", f"run {run.job} cannot go on: its requests {place / name} are missing", BACKUP)


def _check_rows(patient: Patient, run: Job) -> None:
    parts = Parts(engine_of(patient.settings), patient.settings, run)
    damaged = [file.name for file in parts.damaged()]
    if not damaged:
        return
    told = f"{len(damaged)} files of run {run.job} are missing or damaged: {some(damaged)}"
    try:
        for _ in parts.tables():
            pass
    except Problem as problem:
        patient.problem("runs", f"{told}; {problem.detail}", BACKUP)
    else:
        patient.warn("runs", told, "nothing need be done: its results are made from the ledger")
