"""A search for a better configuration of a category, as a durable job that goes on where it was interrupted.

Candidates are compared on earlier origins, and the best of them is put beside the champion on later ones that nothing
was searched on (gate 1). What passes becomes the challenger, in shadow: it answers nobody yet.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from api.database import engine_of, reading, veto, writing
from api.ledger import Ledger
from api.life.configurations import configuration_of, keep
from api.life.editions import Pause
from api.life.grid import combined, neighbours
from api.life.moves import is_vetoed
from api.life.rolled import Past, losses_of, origins_of
from api.life.scores import Chosen, scores
from api.life.serving import By, change, note, place_of
from api.life.watching import LEADS, admitted
from api.service import history_frame
from api.settings import Settings
from forecast import Configuration, OptionError
from forecast import frequency as freq
from forecast.promotion import backtest_gate
from forecast.transform import FloatArray
from signals.store import Snapshot

STRIDE = {"D": 7}  # periods between two origins, where not each is one
SEARCHED = {"D": 20, "W": 20, "MS": 18, "QS": 12}  # origins that candidates are compared on, every second
GATED = {"D": 52, "W": 39, "MS": 24, "QS": 16}  # later ones, for gate 1
FEWEST_GATED = 12


@dataclass(frozen=True)
class Plan:
    """What a search is to do; made once, so that all its parts speak of the same."""

    category: str
    why: str
    moment: dt.datetime  # UTC without a zone
    data_version: int
    horizon: int
    champion: Configuration
    candidates: tuple[Configuration, ...]  # the champion first
    vetoed: frozenset[str]
    search: tuple[dt.datetime, ...]
    gate: tuple[dt.datetime, ...]


@dataclass(frozen=True)
class Outcome:
    """What a search came to: `challenger`, `champion stays`, or `not taken`, with a sentence and the evidence."""

    outcome: str
    sentence: str
    evidence: dict[str, Any]
    challenger: Configuration | None = None


def plan_of(settings: Settings, snapshot: Snapshot, category: str, why: str, moment: dt.datetime) -> Plan:
    """Raises UnknownCategory, and OptionError where too little is known for a comparison."""
    record = snapshot.category(category)
    with reading(engine_of(settings)) as connection:
        place = place_of(connection, category)
        vetoed = frozenset(connection.scalars(sa.select(veto.c.configuration).where(veto.c.category == category)))
    champion = configuration_of(settings, place.champion)
    scored = scores(settings, Chosen((category,), known_by=moment))
    horizon = LEADS[freq.family(record.frequency)]
    past = Past(snapshot, category, snapshot.data_version, moment, horizon)
    search, later = split(origins_of(past), record.frequency, horizon)
    known = history_frame(snapshot, category, as_of=moment)
    tried = neighbours(champion, record.frequency, known["ds"].nunique(), admitted(Ledger(settings), scored))
    tried = [one for one in tried if one == champion or one.name not in vetoed]
    return Plan(
        category, why, moment, snapshot.data_version, horizon, champion, tuple(tried), vetoed, tuple(search),
        tuple(later),
    )  # fmt: skip


def plan_or_note(settings: Settings, snapshot: Snapshot, category: str, why: str, moment: dt.datetime) -> Plan:
    """As `plan_of`; that a search is not possible yet is written down, so that it is not begun again at once."""
    try:
        return plan_of(settings, snapshot, category, why, moment)
    except OptionError as error:
        with writing(engine_of(settings)) as connection:
            told = {"why": why, "outcome": "not possible"}
            note(connection, category, "retuned", None, By(str(error), moment, evidence=told))
        raise


def split(
    origins: Sequence[dt.datetime], frequency: str, horizon: int
) -> tuple[Sequence[dt.datetime], Sequence[dt.datetime]]:
    """Earlier origins to search on, and later ones for gate 1; no period is forecast from both.

    Raises OptionError where there are too few.
    """
    kind = freq.family(frequency)
    stride = STRIDE.get(kind, 1)
    between = -(-horizon // stride)
    usable = list(origins[-2::-stride][::-1])  # of the last one nothing is known yet
    later = min(GATED[kind], (len(usable) - between) // 2)
    fewest = max(FEWEST_GATED, 2 * horizon)
    if later < fewest:
        raise OptionError("history", f"{len(usable)} past origins", f"{between + 2 * fewest} or more for a search")
    earlier = usable[: len(usable) - later - between]
    return earlier[-2 * SEARCHED[kind] :][::-2][::-1], usable[len(usable) - later :]


def past_of(snapshot: Snapshot, plan: Plan) -> Past:
    """What the search looks back on."""
    return Past(snapshot, plan.category, plan.data_version, plan.moment, plan.horizon)


def searched(snapshot: Snapshot, plan: Plan, configuration: Configuration, pause: Pause) -> FloatArray:
    """Its losses on the origins to search on, (origins, horizon)."""
    return losses_of(past_of(snapshot, plan), configuration, plan.search, pause, whole=False)


def gated(snapshot: Snapshot, plan: Plan, configuration: Configuration, pause: Pause) -> FloatArray:
    """Its losses on the origins of gate 1, (origins, horizon), made as requests are answered."""
    return losses_of(past_of(snapshot, plan), configuration, plan.gate, pause, whole=True)


def ranked(plan: Plan, found: dict[Configuration, FloatArray]) -> dict[Configuration, float]:
    """The mean loss of each that could forecast wherever the champion could, the lowest first."""
    needed = np.isfinite(found[plan.champion])
    means = {
        one: float(losses[needed].mean())
        for one, losses in found.items()
        if needed.any() and np.isfinite(losses[needed]).all()
    }
    return dict(sorted(means.items(), key=lambda item: item[1]))


def combination(plan: Plan, found: dict[Configuration, FloatArray]) -> Configuration | None:
    """What the best of each setting make together, where that was not tried and may be."""
    means = ranked(plan, found)
    made = combined(plan.champion, means) if plan.champion in means else None
    return None if made is None or made.name in plan.vetoed else made


def outcome_of(plan: Plan, means: dict[Configuration, float], both: tuple[FloatArray, FloatArray] | None) -> Outcome:
    """What it came to. `both`: the losses of the champion and of the best at gate 1; None where the champion is it."""
    tried = [{"configuration": one.name, "settings": one.to_dict(), "loss": loss} for one, loss in means.items()]
    evidence: dict[str, Any] = {
        "why": plan.why, "horizon": plan.horizon, "data_version": plan.data_version, "champion": plan.champion.name,
        "searched": _span(plan.search), "gate_origins": _span(plan.gate), "candidates": tried,
    }  # fmt: skip
    if both is None:
        told = f"none of {len(tried)} configurations did better than the champion on earlier origins"
        return Outcome("champion stays", told, evidence)
    best = next(iter(means))
    verdict = backtest_gate(*both)
    evidence |= {"challenger": best.name, "gate": dataclasses.asdict(verdict)}
    if not verdict.passed:
        return Outcome("champion stays", f"the best of {len(tried)} did not pass gate 1: {verdict.reason}", evidence)
    lower = f"a loss {verdict.gain_pct:.1f} % lower than the champion's"
    told = f"{lower} at {verdict.origins} past origins (p = {verdict.p:.3f})"
    return Outcome("challenger", told, evidence, best)


def _span(origins: Sequence[dt.datetime]) -> dict[str, Any]:
    return {"count": len(origins), "first": origins[0].isoformat(), "last": origins[-1].isoformat()}


def conclude(settings: Settings, plan: Plan, outcome: Outcome, moment: dt.datetime) -> Outcome:
    """Write down what the search came to; a challenger goes into shadow, unless the category changed meanwhile."""
    made = outcome.challenger
    with writing(engine_of(settings)) as connection:
        place = place_of(connection, plan.category)
        free = place.challenger is None and not place.pinned and place.champion == plan.champion.name
        free = free and not (made is not None and is_vetoed(connection, plan.category, made.name))
        if made is not None and not free:
            outcome = dataclasses.replace(outcome, outcome="not taken", challenger=None)
        name = None if made is None else keep(connection, made, moment)
        told = By(outcome.sentence, moment, evidence=outcome.evidence | {"outcome": outcome.outcome})
        note(connection, plan.category, "retuned", name, told)
        if outcome.challenger is not None:
            shadow = dataclasses.replace(place, challenger=name, share=0, since=moment)
            change(connection, shadow, "challenger", name, dataclasses.replace(told, evidence=outcome.evidence["gate"]))
    return outcome


def retune(
    settings: Settings, snapshot: Snapshot, category: str, why: str, moment: dt.datetime, pause: Pause
) -> Outcome:
    """The whole search at once, here; raises as `plan_or_note`."""
    plan = plan_or_note(settings, snapshot, category, why, moment)
    found = {one: searched(snapshot, plan, one, pause) for one in plan.candidates}
    if (extra := combination(plan, found)) is not None:
        found[extra] = searched(snapshot, plan, extra, pause)
    means = ranked(plan, found)
    best = next(iter(means), plan.champion)
    both = None
    if best != plan.champion:
        both = gated(snapshot, plan, plan.champion, pause), gated(snapshot, plan, best, pause)
    return conclude(settings, plan, outcome_of(plan, means, both), moment)


def as_body(plan: Plan) -> bytes:
    """A plan as it is kept."""
    plain = {
        "category": plan.category, "why": plan.why, "moment": plan.moment.isoformat(),
        "data_version": plan.data_version, "horizon": plan.horizon, "champion": plan.champion.to_dict(),
        "candidates": [one.to_dict() for one in plan.candidates], "vetoed": sorted(plan.vetoed),
        "search": [one.isoformat() for one in plan.search], "gate": [one.isoformat() for one in plan.gate],
    }  # fmt: skip
    return json.dumps(plain).encode()


def from_body(body: bytes) -> Plan:
    """The plan of `as_body`."""
    plain = json.loads(body)
    return Plan(
        plain["category"], plain["why"], dt.datetime.fromisoformat(plain["moment"]), plain["data_version"],
        plain["horizon"], Configuration.from_dict(plain["champion"]),
        tuple(Configuration.from_dict(one) for one in plain["candidates"]), frozenset(plain["vetoed"]),
        tuple(map(dt.datetime.fromisoformat, plain["search"])), tuple(map(dt.datetime.fromisoformat, plain["gate"])),
    )  # fmt: skip
