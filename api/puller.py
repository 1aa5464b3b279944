"""The puller: while `serve` runs, it pulls what groundswell.toml wants as it becomes due, in a process of its own.

It hands over through the inbox like any other importer, so that a slow source keeps nobody waiting.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

log = logging.getLogger("groundswell")


def run_puller(home: Path, check_seconds: float, stop: threading.Event) -> None:
    """Look every `check_seconds` for what is due, until `stop`.

    groundswell.toml is read anew each time; while it cannot be used nothing is pulled and the log says why, once.
    """
    told = ""
    while not stop.is_set():
        trouble = _pull_due(home, stop)
        if trouble and trouble != told:
            log.error("nothing is pulled: %s", trouble)
        told = trouble
        stop.wait(check_seconds)


def _pull_due(home: Path, stop: threading.Event) -> str:
    """Pull once; what hindered it, empty where nothing did."""
    from signals.connector import ConfigError
    from signals.runner import Options, pull_signals
    from signals.sales_sources import pull_due_sales
    from signals.trouble import DiskFull, StoreDamaged

    try:
        for result in pull_due_sales(home):
            log.info("sales %s: %s", result.name, result.status)
        for outcome in pull_signals(home, Options(due=True, stop=stop)):
            if outcome.status not in ("fresh", "busy"):
                level = logging.INFO if outcome.is_good else logging.WARNING
                log.log(level, "pull %s: %s, %d new values; %s", outcome.connector, outcome.status, outcome.inserted,
                        outcome.message)  # fmt: skip
    except (ConfigError, DiskFull, StoreDamaged) as error:
        return str(error)
    return ""
