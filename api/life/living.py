"""The life of models in the job worker's process: a look after each pass of the scores, which gives way to requests."""

from __future__ import annotations

import logging
import threading
import time

from api.database import engine_of, now, reading, scores_engine_of
from api.jobs import Jobs
from api.life import retune_job
from api.life.actuals import newest_version
from api.life.notices import tell
from api.life.scoring import giving_way, to_open
from api.life.tick import Begin, Ticked, tend, tick
from api.settings import Settings
from api.snapshots import Snapshots
from signals.store import StoreEmpty

log = logging.getLogger("groundswell")

LOOK_SECONDS = 2.0
CANARIES_SECONDS = 60.0
EVERY_SECONDS = 900.0  # also where no sale came: a search may be due
AT_ONCE = 2  # searches that the calendar begins; the others wait for the next look


def live_until(settings: Settings, stop: threading.Event) -> None:
    """Look until `stop`; an error is logged, and it is tried again."""
    living = _Living(settings, stop)
    while not stop.is_set():
        try:
            living.look()
        except StoreEmpty:
            pass  # nothing was ever forecast
        except Exception:
            if stop.is_set():  # in the middle of a look, which goes on after the next start
                return
            log.exception("the life of models was not looked at; it is tried again in a while")
            stop.wait(10 * LOOK_SECONDS)
        stop.wait(LOOK_SECONDS)


class _Living:
    """When what was looked at last."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings, self._stop = settings, stop
        self._snapshots, self._jobs = Snapshots(settings.home), Jobs(settings)
        self._whole = self._canaries = float("-inf")
        self._version = -1

    def look(self) -> None:
        """At everything once sales that came are scored, at canaries in between; and tell subscribers."""
        moment, pause = time.monotonic(), giving_way(self._stop)
        version = newest_version(self._settings)
        if (version != self._version or moment - self._whole > EVERY_SECONDS) and self._is_scored():
            begin = beginning(self._settings, self._jobs)
            _say(tick(self._settings, self._snapshots.current(), now(), begin=begin, pause=pause))
            self._whole, self._canaries, self._version = moment, moment, version
        elif moment - self._canaries > CANARIES_SECONDS:
            _say(tend(self._settings, self._snapshots.current(), now(), pause=pause))
            self._canaries = moment
        tell(self._settings, self._jobs)

    def _is_scored(self) -> bool:
        """Whether all forecasts of which a period is known are scored."""
        with reading(scores_engine_of(self._settings)) as connection:
            return connection.execute(to_open().limit(1)).first() is None


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
