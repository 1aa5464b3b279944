"""What the store holds already, for imports: new rows must fit it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from signals.store import Snapshot


def known_categories(home: Path) -> dict[str, str]:
    """The frequency of each category that is stored; new rows must fit it."""
    snapshot = _newest(home)
    return {} if snapshot is None else _pairs(snapshot.categories(), "category", "frequency")


def known_signals(home: Path) -> dict[str, str]:
    """The cadence of each signal that is stored; it decides for those with too few rows."""
    snapshot = _newest(home)
    return {} if snapshot is None else _pairs(snapshot.signals().dropna(subset=["cadence"]), "signal", "cadence")


def served_by(home: Path, signals: list[str]) -> list[tuple[str, str]]:
    """Each of these signals with each category that it may serve; `*` is every category."""
    snapshot = _newest(home)
    return [] if snapshot is None else snapshot.served_by(signals)


def _newest(home: Path) -> Snapshot | None:
    from signals.store import StoreBusy, StoreEmpty, open_mended

    try:
        return open_mended(home)
    except StoreEmpty:
        return None  # the first import
    except StoreBusy:
        return None  # the snapshot is damaged, and its owner publishes it afresh with what this import hands over


def _pairs(frame: pd.DataFrame, key: str, value: str) -> dict[str, str]:
    return dict(zip(frame[key], frame[value], strict=True))
