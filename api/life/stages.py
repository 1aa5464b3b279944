"""Whether a challenger goes on to the next stage, waits, or ends: shadow, canary, and the time after its promotion."""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
from typing import Any

import numpy as np
import orjson
import pandas as pd
import sqlalchemy as sa

from api.database import canary_failure, engine_of, reading
from api.issued import page_of_category
from api.life.editions import Pause
from api.life.log import last_moments
from api.life.moves import FIRST_SHARE, drop, promote, roll_back, to_share
from api.life.paired import Compared, paired
from api.life.serving import CANARY, CHAMPION, By, Place
from api.receipts import receipt_at
from api.settings import Settings
from forecast.promotion import Bounds, Observed, Shadowed, canary_step, shadow_gate
from signals.store import Snapshot

WHOLE = 100  # per cent
LOOKED_AT = 2000  # of the champion's newest answers, for latency
PAGE = 200
FEWEST_TIMED = 20  # answers of each whose latencies are compared
UNDECIDED = dt.timedelta(days=364)  # a challenger that is neither better nor worse by then is let go
GUARDED = dt.timedelta(days=364)  # after a promotion the champion of before goes on being scored


def advance(settings: Settings, snapshot: Snapshot, place: Place, moment: dt.datetime, pause: Pause) -> str | None:
    """Do with a category's challenger, or its newest champion, what the gates say; what was done, in a word."""
    assert place.since is not None
    if place.challenger is None:
        return _guard(settings, snapshot, place, moment, pause)
    if place.share == 0:
        return _shadow(settings, snapshot, place, moment, pause)
    return _canary(settings, snapshot, place, moment, pause)


def _under_way(place: Place) -> tuple[dt.datetime, str]:
    """Since when a step lasts, and its challenger."""
    assert place.since is not None
    assert place.challenger is not None
    return place.since, place.challenger


def judged_since(
    settings: Settings, snapshot: Snapshot, compared: Compared, moment: dt.datetime, pause: Pause
) -> tuple[pd.DataFrame, Shadowed]:
    """Both on the same forecasts, and what the e-process says of the next period ahead: scored before the next is."""
    frame = paired(settings, snapshot, compared, moment, pause)
    near = frame[frame["lead"] == 1]
    return frame, shadow_gate(near["loss"].to_numpy(dtype=float), near["other_loss"].to_numpy(dtype=float))


def _shadow(settings: Settings, snapshot: Snapshot, place: Place, moment: dt.datetime, pause: Pause) -> str | None:
    """Gate 2."""
    since, challenger = _under_way(place)
    compared = Compared(place.category, place.champion, challenger, since)
    _, found = judged_since(settings, snapshot, compared, moment, pause)
    by = By(f"gate 2: {found.reason} from {found.scores} scores", moment, evidence=_plain(found))
    if found.decision == "promote":
        return "canary" if to_share(settings, place, FIRST_SHARE, by) else None
    if found.decision == "reject":
        return "dropped" if drop(settings, place, by) else None
    if moment - since > UNDECIDED:
        told = f"undecided after {UNDECIDED.days} days: {found.reason} from {found.scores} scores"
        return "dropped" if drop(settings, place, dataclasses.replace(by, reason=told)) else None
    return None


def _canary(settings: Settings, snapshot: Snapshot, place: Place, moment: dt.datetime, pause: Pause) -> str | None:
    """Gate 3."""
    since, challenger = _under_way(place)
    began = last_moments(settings, ("canary",)).get(place.category, since)
    compared = Compared(place.category, place.champion, challenger, began)
    frame, against = judged_since(settings, snapshot, compared, moment, pause)
    if against.decision == "reject":
        by = By(f"gate 3: {against.reason} from {against.scores} scores", moment, evidence=_plain(against))
        return "rolled back" if drop(settings, place, by) else None
    canary, champion = observed(settings, place, frame)
    step = canary_step(place.share / 100, canary, champion, Bounds(requests=settings.canary_answers))
    evidence = {"step": _plain(step), "canary": _plain(canary), "champion": _plain(champion)}
    by = By(f"gate 3: {step.reason}", moment, evidence=evidence)
    if step.action == "roll back":
        return "rolled back" if drop(settings, place, by) else None
    if not _held(settings, place, canary, moment):
        return None
    by = dataclasses.replace(by, reason=f"gate 3: {place.share} % held, {canary.requests} answers within bounds")
    if place.share == WHOLE:
        return "promoted" if promote(settings, place, challenger, by) else None
    following = canary_step(place.share / 100, canary, champion, Bounds(requests=0)).share
    return "share" if to_share(settings, place, round(100 * following), by) else None


def _held(settings: Settings, place: Place, canary: Observed, moment: dt.datetime) -> bool:
    """Whether a step lasted as long as it must, with as many answers or, where few ask, for the longest time."""
    assert place.since is not None
    lasted = moment - place.since
    if lasted < dt.timedelta(hours=settings.canary_hours):
        return False
    return canary.requests >= settings.canary_answers or lasted >= dt.timedelta(days=settings.canary_days)


def _guard(settings: Settings, snapshot: Snapshot, place: Place, moment: dt.datetime, pause: Pause) -> str | None:
    """After a promotion: back to the champion of before where that turns out to be the better one."""
    assert place.since is not None
    if place.previous is None or place.pinned or moment - place.since > GUARDED:
        return None
    compared = Compared(place.category, place.champion, place.previous, place.since)
    frame, found = judged_since(settings, snapshot, compared, moment, pause)
    reason = found.reason if found.decision == "promote" else _broken(frame)
    if reason is None:
        return None
    told = f"the champion of before is better again: {reason} from {found.scores} scores"
    return "rolled back" if roll_back(settings, place, By(told, moment, evidence=_plain(found))) else None


def _broken(frame: pd.DataFrame) -> str | None:
    """The bound of bias or coverage that the champion breaks beside the one of before."""
    ours, theirs = _accuracy(frame, ""), _accuracy(frame, "other_")
    step = canary_step(1.0, Observed(0, 0, 0.0, **ours), Observed(0, 0, 0.0, **theirs))
    return step.reason if step.action == "roll back" else None


def observed(settings: Settings, place: Place, frame: pd.DataFrame) -> tuple[Observed, Observed]:
    """What was seen of the canary in this step, and of the champion: of its newest answers where it gave none since.

    Bias and coverage are of the same forecasts for both, see `paired`.
    """
    seen = _latencies(settings, place)
    failed = _failed(settings, place)
    canary, champion = seen[CANARY], seen[CHAMPION]
    timed = min(len(canary), len(champion)) >= FEWEST_TIMED  # of fewer, one that came at a bad moment would decide
    return (
        Observed(len(canary) + failed, failed, _slow(canary) if timed else 0.0, **_accuracy(frame, "other_")),
        Observed(len(champion), 0, _slow(champion), **_accuracy(frame, "")),
    )


def _latencies(settings: Settings, place: Place) -> dict[str, list[float]]:
    """Milliseconds from the request to the answer by role: the canary's of this step, the champion's newest.

    It looks back until the canary gave as many answers as it must, or the step began; for an answer of the champion
    over `LOOKED_AT` answers at least.
    """
    assert place.since is not None
    since, before, looked, older = receipt_at(place.since, 0), None, 0, 0
    found: dict[str, list[float]] = {CANARY: [], CHAMPION: []}
    while len(found[CANARY]) < settings.canary_answers or (not found[CHAMPION] and looked < LOOKED_AT):
        page = page_of_category(settings, place.category, PAGE, before)
        for one in page.items:
            role, new = orjson.loads(one.request).get("role"), one.receipt >= since
            if (role == CANARY and new) or (role == CHAMPION and len(found[CHAMPION]) < LOOKED_AT):
                found[role].append(float(orjson.loads(one.answer)["timing_ms"]["total"]))
            looked, older = looked + 1, older + (not new)
        if not page.more or (older and (found[CHAMPION] or looked >= LOOKED_AT)):
            break
        before = page.items[-1].receipt
    return found


def _failed(settings: Settings, place: Place) -> int:
    """Requests that the challenger could not answer, in this step or before."""
    query = sa.select(canary_failure.c.count).where(
        canary_failure.c.category == place.category, canary_failure.c.configuration == place.challenger
    )
    with reading(engine_of(settings)) as connection:
        return int(connection.execute(query).scalar() or 0)


def _slow(latencies: list[float]) -> float:
    """The 95th percentile; 0 of none."""
    return float(np.percentile(latencies, 95)) if latencies else 0.0


def _accuracy(frame: pd.DataFrame, side: str) -> dict[str, Any]:
    sold, covered = frame["actual"].abs().sum(), frame[f"{side}covered80"].dropna()
    bias = 100 * frame[f"{side}error"].sum() / sold if sold > 0 else None
    return {
        "scored": len(frame),
        "bias_pct": None if bias is None else float(bias),
        "coverage": statistics.fmean(covered.astype(float)) if len(covered) else None,
    }


def _plain(found: Any) -> dict[str, Any]:
    return dataclasses.asdict(found)
