"""Keeps what goes wrong inside a connector, which anybody may have written, from stopping the others."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signals.connector import Drift


@contextmanager
def slips(doing: str, *passed: type[Exception]) -> Iterator[None]:
    """Turn a connector's own mistake into Drift that says what and where; Drift and what is `passed` go through."""
    through: tuple[type[Exception], ...] = (Drift, *passed)
    try:
        yield
    except through:
        raise
    except (Exception, SystemExit) as error:
        raise Drift(f"{doing} failed: {told(error)}") from error


def told(error: BaseException) -> str:
    """An unforeseen error in one line, with the place that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
