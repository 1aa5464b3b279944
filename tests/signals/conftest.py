"""Connectors that only tests know, found as plug-ins are."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from signals import config
from signals.connector import GROUP


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connector `counter` of tests/fakes/counter.py, as if a plug-in had brought it."""
    point = EntryPoint("counter", "tests.fakes.counter:Counter", GROUP)
    monkeypatch.setattr(config, "_points", lambda: {"counter": point})
