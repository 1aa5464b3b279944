"""How each kind of job is done; see api/worker.py for the protocol."""

from __future__ import annotations

from api import scenario_jobs
from api.bulk import Bulk
from api.deliveries import Delivering
from api.life import retune_job
from api.runs import ForecastRun
from api.uploads import Upload
from api.worker import Handler

HANDLERS: dict[str, Handler] = {
    "bulk": Bulk(),
    "upload": Upload(),
    "run": ForecastRun(),
    "webhook": Delivering(),
    retune_job.KIND: retune_job.Retuning(),
    scenario_jobs.KIND: scenario_jobs.Answering(),
}
