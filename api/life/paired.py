"""Two configurations of a category on the same forecasts: same origins, same periods, loss beside loss."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from api.life.configurations import configuration_of
from api.life.editions import Pause
from api.life.score_as import score_as
from api.life.scores import Chosen, scores
from api.life.watching import LEADS
from api.settings import Settings
from forecast import frequency as freq
from signals.store import Snapshot

_KEY = ["origin", "period"]
_MADE = ("loss", "error", "covered80", "covered95")


@dataclass(frozen=True)
class Compared:
    """Two configurations by their ids, since a moment (UTC without a zone): only what became known after it counts."""

    category: str
    ours: str
    theirs: str
    since: dt.datetime


def paired(
    settings: Settings, snapshot: Snapshot, compared: Compared, moment: dt.datetime, pause: Pause
) -> pd.DataFrame:
    """One row a forecast and period that became known since: what both lost, in order of period and origin.

    Columns as of `score_as`: loss, error and coverage of ours, the same of theirs with `other_`, and actual. A forecast
    that was issued is made again by whichever did not issue it, as of its origin. Against actuals as first known.
    """
    reach = LEADS[freq.family(snapshot.category(compared.category).frequency)]
    theirs = _scored(settings, snapshot, compared, compared.theirs, moment, pause)
    issued = theirs["configuration"] == compared.ours
    if not issued.all():  # some were issued by another: theirs once it answers all, or an earlier champion's
        again = _scored(settings, snapshot, compared, compared.ours, moment, pause)
        own = again[_KEY + [f"other_{name}" for name in _MADE]].rename(columns={f"other_{n}": n for n in _MADE})
        theirs = theirs.drop(columns=list(_MADE)).merge(own, on=_KEY)
    sold = scores(settings, Chosen((compared.category,), basis="first", known_by=moment))[[*_KEY, "actual"]]
    theirs = theirs.merge(sold, on=_KEY)
    fresh = (theirs["known"] > pd.Timestamp(compared.since)) & (theirs["lead"] <= reach)
    return theirs[fresh].sort_values(["period", "origin"]).reset_index(drop=True)


def _scored(
    settings: Settings, snapshot: Snapshot, compared: Compared, name: str, moment: dt.datetime, pause: Pause
) -> pd.DataFrame:
    made = configuration_of(settings, name)
    # Of origins long before the comparison began no period can have become known since.
    since = (compared.since - _LONGEST_AGO).date()
    return score_as(
        settings, snapshot, compared.category, made, moment=moment, since=since, basis="first", pause=pause
    )  # fmt: skip


_LONGEST_AGO = dt.timedelta(days=400)
