"""What may differ from category to category in how it is forecast, apart from the data and the question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from forecast.errors import OptionError

Scale = Literal["auto", "log", "identity"]
SCALES: tuple[str, ...] = get_args(Scale)
LEAST_HISTORY, MOST_HISTORY = 8, 5000  # periods
LEAST_MEMORY, MOST_MEMORY = 0.1, 10.0


@dataclass(frozen=True)
class Configuration:
    """How a category is forecast; where it is not the default, `forecast(engine=Configuration(...))`.

    `signals` are those of the offered ones that may be admitted, None for all and () for none. `transform` is the
    working scale: "log" falls back to "identity" where sales are below zero. `history` is the most periods that are
    used, the newest. `memory` stretches the time over which the fast engine forgets errors when it weighs its experts
    and judges signals; below 1 it follows what works of late.
    """

    engine: str = "fast"
    signals: tuple[str, ...] | None = None
    transform: Scale = "auto"
    history: int | None = None
    memory: float = 1.0

    def check(self) -> None:
        """Raise OptionError for a setting that is none; whether there is such an engine is not looked at."""
        if self.transform not in SCALES:
            raise OptionError("configuration.transform", self.transform, f"one of {', '.join(SCALES)}")
        if self.history is not None and not _within(self.history, LEAST_HISTORY, MOST_HISTORY, int):
            allowed = f"a whole number of periods from {LEAST_HISTORY} to {MOST_HISTORY}, or none for all"
            raise OptionError("configuration.history", self.history, allowed)
        if not _within(self.memory, LEAST_MEMORY, MOST_MEMORY, (int, float)):
            raise OptionError("configuration.memory", self.memory, f"a number from {LEAST_MEMORY:g} to {MOST_MEMORY:g}")
        if self.signals is not None and not all(isinstance(name, str) and name for name in self.signals):
            raise OptionError("configuration.signals", self.signals, "names of signals")

    @property
    def name(self) -> str:
        """Its id, `cfg_` and 16 hexadecimal digits: the same for the same settings, wherever they are used."""
        digest = hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()
        return f"cfg_{digest[:16]}"

    def to_dict(self) -> dict[str, Any]:
        """Its settings as plain data; the order in which signals are named says nothing."""
        plain = asdict(self) | {"memory": float(self.memory)}
        return plain | {"signals": None if self.signals is None else sorted(set(self.signals))}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Configuration:
        """The configuration of `to_dict()`, whose settings may be left out; raises OptionError."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(plain) - set(known)):
            raise OptionError("configuration", unknown[0], f"some of {', '.join(known)}")
        signals = plain.get("signals")
        if signals is not None and not isinstance(signals, (list, tuple)):
            raise OptionError("configuration.signals", signals, "names of signals")
        made = cls(**{**plain, "signals": None if signals is None else tuple(signals)})
        made.check()
        return made


DEFAULT = Configuration()


def _within(value: object, least: float, most: float, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and least <= float(value) <= most  # type: ignore[arg-type]
