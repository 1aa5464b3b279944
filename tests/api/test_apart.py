"""Forecasts of jobs in processes of their own: the same answers, low priority, and a death is not the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import orjson
import pytest

import api.apart
from api.apart import Apart
from api.batch.pool import NICENESS
from api.database import now
from api.forecasting import Forecaster
from api.jobs import SINGLE, Job
from api.ledger import Issued
from api.making import made_for
from api.models import ForecastRequest
from api.settings import Settings
from api.snapshots import Snapshots

pytestmark = pytest.mark.heavy
BOOTS = ForecastRequest.model_validate({"category": "Boots", "horizon": 2})
UNKNOWN = ForecastRequest.model_validate({"category": "Gloves", "horizon": 2})


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def apart(settings: Settings) -> Iterator[Apart]:
    made = Apart(settings)
    yield made
    made.close()


def job() -> Job:
    return Job("3f9c", SINGLE, None, "pending", now(), None, None, 1, 0, b"{}", None, None, None)


def processes() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def numbers(made: Issued | bytes) -> object:
    """What must not depend on where it was made."""
    assert isinstance(made, Issued)
    answer = orjson.loads(made.answer)
    return {name: answer[name] for name in ("receipt", "category", "forecast", "signals", "quality")}


def test_the_same_is_made_there(apart: Apart, settings: Settings) -> None:
    one, forecaster = job(), Forecaster(settings, Snapshots(settings.home))
    assert numbers(apart(one, BOOTS, 0)) == numbers(made_for(forecaster, one, BOOTS, 0))
    assert apart(one, UNKNOWN, 1) == made_for(forecaster, one, UNKNOWN, 1)
    (process,) = processes()
    assert os.getpriority(os.PRIO_PROCESS, process) == NICENESS


def test_a_process_that_was_killed_is_replaced(apart: Apart) -> None:
    apart(job(), BOOTS, 0)
    (killed,) = processes()
    os.kill(killed, signal.SIGKILL)
    assert isinstance(apart(job(), BOOTS, 0), Issued)
    assert killed not in processes()


def test_what_kills_every_process_is_told(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.apart, "_made", _die)
    with pytest.raises(BrokenProcessPool):
        apart(job(), BOOTS, 0)


def test_one_that_was_closed_starts_again(apart: Apart) -> None:
    apart(job(), BOOTS, 0)
    apart.close()
    assert not processes()
    assert isinstance(apart(job(), BOOTS, 0), Issued)


def _die(*_: object) -> None:
    os._exit(1)
