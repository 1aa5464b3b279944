"""Set, change, withdraw and restore overrides: checked against the store, with what the author saw.

Each function takes the moment at which it is done (UTC without a zone).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from api.errors import Problem
from api.fields import FIRST, LAST
from api.issued import last_of_category
from api.ledger import Issued, Ledger
from api.overrides import kept
from api.overrides.applying import served, spans_of
from api.overrides.models import Override, OverrideChange, OverrideList, OverrideRequest, RestoreRequest, Seen
from api.overrides.versions import CHANGED, RESTORED, SET, WITHDRAWN, Author, Version
from api.settings import Settings
from forecast import OptionError, SignalsError
from forecast import frequency as freq
from forecast.changes import LEVEL_ALLOWED, days_of
from signals.store import Snapshot


def prepared(
    settings: Settings, snapshot: Snapshot, category: str, body: OverrideRequest, author: Author, moment: dt.datetime
) -> Version:
    """A new override, not kept yet. Raises Problem, OptionError and UnknownCategory."""
    record = snapshot.category(category)
    first, last = _days(body.periods, record.frequency)
    layers = kept.layers_of(settings)
    layer = body.layer or layers[0]
    if layer not in layers:
        raise OptionError("layer", layer, f"one of {', '.join(layers)} (setting override_layers)")
    made = Version(
        number=0, id=kept.new_id(), version=1, category=category, first=first, last=last, frequency=record.frequency,
        layer=layer, action=SET, moment=moment, author=body.author or author.name, key_id=author.key_id,
        value=body.value, percent=body.percent, reason=body.reason, expires=_naive(body.expires), withdrawn=False,
        seen={},
    )  # fmt: skip
    _check_value(snapshot, made)
    _check_expiry(made, moment)
    shown = _shown(settings, category, body.receipt)
    return dataclasses.replace(made, seen=_seen(shown, made))


def set_override(
    settings: Settings,
    snapshot: Snapshot,
    category: str,
    body: OverrideRequest,
    author: Author,
    moment: dt.datetime,
    *,
    since: int | None = None,
) -> Version:
    """Keep a new override. `since`: see `kept.add`. Raises as `prepared`, and the problem 409."""
    return kept.add(settings, [prepared(settings, snapshot, category, body, author, moment)], since)[0]


def change(
    settings: Settings, snapshot: Snapshot, seen: Version, body: OverrideChange, author: Author, moment: dt.datetime
) -> Version:
    """Change the number or the expiry of an override from the state that the author has seen.

    Raises the problem 409 where it is no longer the newest, or was withdrawn.
    """
    if seen.withdrawn:
        raise Problem(409, "override-withdrawn", f"{seen.told()}; restore it first")
    made = _next(seen, CHANGED, body.reason, body.author, author, moment)
    if body.is_given:
        made = dataclasses.replace(made, value=body.value, percent=body.percent)
    if "expires" in body.model_fields_set:
        made = dataclasses.replace(made, expires=_naive(body.expires))
    _check_expiry(made, moment)  # of one that has expired, another number alone would change nothing
    _check_value(snapshot, made)
    return kept.follow(settings, _looked_at(settings, made))


def withdraw(
    settings: Settings, seen: Version, reason: str, author: Author, moment: dt.datetime, *, by: str | None = None
) -> Version:
    """End an override; it can be restored. Raises the problem 409 as `change` does."""
    if seen.withdrawn:
        raise Problem(409, "override-withdrawn", f"{seen.told()}: it is withdrawn already")
    made = _next(seen, WITHDRAWN, reason, by, author, moment)
    return kept.follow(settings, dataclasses.replace(made, withdrawn=True))


def restore(settings: Settings, seen: Version, body: RestoreRequest, author: Author, moment: dt.datetime) -> Version:
    """Bring back an earlier state of an override, also of one that was withdrawn. Raises the problem 409."""
    states = [one for one in kept.history(settings, seen.category, seen.id) if one.version < seen.version]
    wanted = seen.version - 1 if body.version is None else body.version
    found = next((one for one in states if one.version == wanted and not one.withdrawn), None)
    if found is None:
        there = [str(one.version) for one in states if not one.withdrawn]
        raise OptionError("version", str(wanted), f"an earlier state of it: {', '.join(there) or 'there is none'}")
    made = _next(seen, RESTORED, body.reason, body.author, author, moment)
    made = dataclasses.replace(made, value=found.value, percent=found.percent, expires=found.expires, withdrawn=False)
    _check_expiry(made, moment)
    return kept.follow(settings, _looked_at(settings, made))


def told(one: Version, moment: dt.datetime) -> Override:
    """A state of an override as it is answered."""
    same = {name: value for name, value in vars(one).items() if name in Override.model_fields}
    return Override(
        **same
        | {
            "override": one.reference,
            "state": one.state(moment),
            "changed": aware(one.moment),
            "expires": None if one.expires is None else aware(one.expires),
            "seen": Seen.model_validate(one.seen) if one.seen else None,
        }
    )


def list_of(settings: Settings, category: str, moment: dt.datetime, *, everything: bool) -> OverrideList:
    """Those in force at a moment, or all with their states then."""
    found = [told(one, moment) for one in kept.listed(settings, category, moment)]
    items = [one for one in found if everything or one.state == "in_force"]
    return OverrideList(category=category, as_of=aware(moment), layers=kept.layers_of(settings), items=items)


def aware(moment: dt.datetime) -> dt.datetime:
    """A moment of the database, with its zone."""
    return moment.replace(tzinfo=dt.UTC)


def _naive(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def _days(periods: str, frequency: str) -> tuple[dt.date, dt.date]:
    """The first and the last day of the whole periods that a text means; raises OptionError."""
    parts = periods.split("..")
    try:
        ends = [days_of(part, "periods", LEVEL_ALLOWED) for part in parts]
    except SignalsError as error:
        raise OptionError("periods", periods, LEVEL_ALLOWED) from error
    days = np.array([ends[0][0], ends[-1][1]])
    if len(parts) > 2 or days[0] > days[1]:
        raise OptionError("periods", periods, LEVEL_ALLOWED)
    if days[0] < np.datetime64(FIRST) or days[1] > np.datetime64(LAST):
        raise OptionError("periods", periods, f"days from {FIRST} to {LAST}")
    starts, after = freq.spans(freq.label(days, frequency), frequency)
    first: dt.date = starts[0].item()
    last: dt.date = (after[1] - np.timedelta64(1, "D")).item()
    return first, last


def _check_value(snapshot: Snapshot, made: Version) -> None:
    if made.value is None or made.value >= 0:
        return
    if not (snapshot.sales(made.category)["quantity"] < 0).any():
        raise OptionError("value", made.value, "0 or more: no sale of the category is negative")


def _check_expiry(made: Version, moment: dt.datetime) -> None:
    if made.expires is not None and made.expires <= moment:
        raise OptionError("expires", f"{made.expires.isoformat()}Z", "a moment that has not come yet")


def _next(seen: Version, action: str, reason: str, by: str | None, author: Author, moment: dt.datetime) -> Version:
    return dataclasses.replace(
        seen, number=0, version=seen.version + 1, action=action, moment=moment, author=by or author.name,
        key_id=author.key_id, reason=reason,
    )  # fmt: skip


def _looked_at(settings: Settings, made: Version) -> Version:
    return dataclasses.replace(made, seen=_seen(last_of_category(settings, made.category), made))


def _shown(settings: Settings, category: str, receipt: str | None) -> Issued | None:
    """The forecast that the author saw: that of a receipt, else the last one of the category."""
    if receipt is None:
        return last_of_category(settings, category)
    found = Ledger(settings).resolve(receipt)
    if found is None or found.category != category:
        raise OptionError("receipt", receipt, f"the receipt of a forecast of {category}")
    return found


def _seen(shown: Issued | None, made: Version) -> Mapping[str, Any]:
    """Of the forecast what lies within the override; nothing where it does not reach there."""
    if shown is None:
        return {}
    answer = orjson.loads(shown.answer)
    rows: Sequence[Mapping[str, Any]] = answer["forecast"]
    found = [
        {"period": row["period"], "value": row["value"], "published": served(row)["value"]}
        for row, (start, end) in zip(rows, spans_of(answer), strict=True)
        if made.first <= start and end <= made.last + dt.timedelta(days=1)
    ]
    return {"receipt": shown.receipt, "periods": found} if found else {}
