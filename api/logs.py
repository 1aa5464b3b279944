"""What the processes log, to stderr: lines for people, or one JSON object a line (setting `log_format`)."""

from __future__ import annotations

import datetime as dt
import logging
import logging.config
from contextvars import ContextVar
from typing import Any

import orjson

from api.settings import Settings

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")  # of the request that is being answered
FIELDS = "fields"  # the attribute of a record that holds what its line says, by name


class JsonLine(logging.Formatter):
    """One JSON object: time (UTC), level, process, message, and what else is known of it."""

    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": record.processName,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class Cancelled(logging.Filter):
    """Leaves out what DBOS logs as an error where somebody has cancelled a job: an ordinary end."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return type(error).__name__ != "DBOSAwaitedWorkflowCancelledError"  # by name: to import DBOS takes a second


def log_config(settings: Settings) -> dict[str, Any]:
    """One format for all processes, to stderr; as `logging.config.dictConfig` takes it."""
    line = {"format": "%(asctime)s %(levelname)-7s %(processName)s %(message)s"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": line, "json": {"()": JsonLine}},
        "filters": {"cancelled": {"()": Cancelled}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format}},
        "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
        "loggers": {
            "uvicorn": {"propagate": True},
            "uvicorn.access": {"propagate": True},
            "dbos": {
                "handlers": ["stderr"],
                "filters": ["cancelled"],
                "propagate": False,
                "level": "WARNING",
            },  # else it takes a handler of its own
            "httpx": {"level": "WARNING"},  # at info it writes whole addresses, keys included
        },
    }


def configure(settings: Settings) -> None:
    """Log so in this process, warnings included."""
    logging.config.dictConfig(log_config(settings))
    logging.captureWarnings(True)
