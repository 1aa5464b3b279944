"""The configurations that a search tries for a category: a small grid that is stated, one setting changed at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from forecast import Configuration
from forecast import frequency as freq
from forecast.configuration import LEAST_HISTORY, Scale

ENGINES = ("fast", "additive", "direct_additive", "ets", "theta", "seasonal_naive")  # those that answer while one waits
MEMORIES = (0.5, 2.0)  # times that of the champion, within what is allowed
YEARS = (2, 3)  # of history, where there is more
SHARES = (0.5, 0.75)  # of the history, where it is shorter than the least of these
TRANSFORMS: tuple[Scale, ...] = ("log", "identity")
AXES = ("engine", "signals", "transform", "history", "memory")
_FEWEST = 26  # periods that a shorter history keeps


def neighbours(champion: Configuration, frequency: str, periods: int, admitted: Collection[str]) -> list[Configuration]:
    """The champion first, then what differs from it in one setting; each once.

    `periods` are known of the sales; `admitted` are the signals that the last answers rest on.
    """
    changes: list[dict[str, object]] = [{"engine": name} for name in ENGINES]
    changes += [{"signals": None}, {"signals": ()}]
    changes += [{"signals": tuple(sorted(admitted))}] if admitted else []
    changes += [{"transform": name} for name in TRANSFORMS]
    changes += [{"history": most} for most in _histories(frequency, periods)]
    if champion.engine == "fast":
        changes += [{"memory": memory} for factor in MEMORIES if 0.1 <= (memory := champion.memory * factor) <= 10.0]
    tried = [champion, *(dataclasses.replace(champion, **change) for change in changes)]  # type: ignore[arg-type]
    return list({one.name: one for one in tried}.values())


def _histories(frequency: str, periods: int) -> list[int | None]:
    season = round(freq.season_lengths(frequency)[-1])
    lengths = [years * season for years in YEARS if years * season < periods]
    lengths = lengths or [round(share * periods) for share in SHARES]
    return [None, *(length for length in lengths if length >= max(_FEWEST, LEAST_HISTORY))]


def combined(champion: Configuration, losses: Mapping[Configuration, float]) -> Configuration | None:
    """The champion with, of each setting, the value that alone lowered its loss most; None where that is nothing new.

    `losses`: of the champion and of its `neighbours`. Another engine is combined with what engines share.
    """
    best, changes = losses[champion], {}
    for axis in AXES:
        own = {one: loss for one, loss in losses.items() if getattr(one, axis) != getattr(champion, axis)}
        if own and min(own.values()) < best:
            changes[axis] = getattr(min(own, key=lambda one: own[one]), axis)
    if changes.get("engine", "fast") != "fast":
        changes.pop("memory", None)
    made = dataclasses.replace(champion, **changes)
    return None if made in losses else made
