"""The life of models in the job worker's process: a look once a minute, which gives way to requests."""

from __future__ import annotations

import logging
import threading
import time

from api.database import engine_of, now, reading
from api.jobs import Jobs
from api.life import retune_job
from api.life.notices import tell
from api.life.scoring import giving_way
from api.life.tick import Begin, Ticked, tick
from api.settings import Settings
from api.snapshots import Snapshots
from signals.store import StoreEmpty

log = logging.getLogger("groundswell")

EVERY_SECONDS = 60.0
LOOK_SECONDS = 2.0
AT_ONCE = 2  # searches that the calendar begins; the others wait for the next look


def live_until(settings: Settings, stop: threading.Event) -> None:
    """Look until `stop`; an error is logged, and it is tried again."""
    snapshots, jobs, looked = Snapshots(settings.home), Jobs(settings), float("-inf")
    while not stop.is_set():
        try:
            if time.monotonic() - looked > EVERY_SECONDS:
                looked = time.monotonic()
                done = tick(settings, snapshots.current(), now(), begin=beginning(settings, jobs),
                            pause=giving_way(stop))  # fmt: skip
                _say(done)
            tell(settings, jobs)
        except StoreEmpty:
            pass  # nothing was ever forecast
        except Exception:
            if stop.is_set():  # in the middle of a look, which goes on after the next start
                return
            log.exception("the life of models was not looked at; it is tried again in a while")
            stop.wait(10 * LOOK_SECONDS)
        stop.wait(LOOK_SECONDS)


def beginning(settings: Settings, jobs: Jobs) -> Begin:
    """Begins searches as jobs: of those by the calendar a few at a time."""

    def begin(category: str, why: str) -> bool:
        engine = engine_of(settings)
        if why == "schedule":
            with reading(engine) as connection:
                if len(retune_job.under_way(connection)) >= AT_ONCE:
                    return False
        return retune_job.begin(jobs, engine, category, why)[1]

    return begin


def _say(done: Ticked) -> None:
    for alert in done.alerts:
        log.warning("%s: %s", alert.category, alert.sentence)
    for category, why in done.begun:
        log.info("%s: a search for a better configuration was begun (%s)", category, why)
    for category, what in done.moved:
        log.info("%s: the challenger: %s", category, what)
