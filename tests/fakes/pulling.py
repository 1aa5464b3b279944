"""Pulls through the real runner, without its pauses."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from signals.runner import Options, Outcome, pull_signals
from signals.transport import Transport


def pull(home: Path, toml: str, now: datetime | None = None, **options: Any) -> list[Outcome]:
    """Write groundswell.toml into a home and pull what it wants; the outcomes in its order.

    The pauses between requests are skipped, those that a fake asks for with Retry-After are kept.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "groundswell.toml").write_text(toml, encoding="utf-8")
    return pull_signals(home, Options(**options), now=now, make_transport=transport)


def transport(*args: Any) -> Transport:
    """A transport that does not wait for its turn."""
    *given, _ = args
    return Transport(*given, lambda _: False, first_pause=0.001)
