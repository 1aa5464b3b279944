"""What the forecast of a tree of categories needs, read from one snapshot."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from api.errors import Problem
from api.gaps import gap_of
from api.security import Caller
from api.service import AsOf, history_frame, moment_of, signals_frame
from forecast import HistoryError, OptionError
from forecast import frequency as freq
from signals.store import CategoryRecord, Snapshot


@dataclass(frozen=True)
class TreeInputs:
    """The categories of a tree by parent, None for the one at the top, and what is known of them."""

    parents: dict[str, str | None]
    history: pd.DataFrame  # unique_id, ds, y of the leaves, which end alike
    signals: dict[str, pd.DataFrame]  # by category
    leaves: list[CategoryRecord]
    horizon: int  # with the periods that were over, but whose sales were not known
    as_of: dt.datetime | None
    warnings: list[str]

    @property
    def frequency(self) -> str:
        """That of every leaf."""
        return self.leaves[0].frequency

    def shared(self, name: str) -> Any:
        """What is the same of all leaves, such as their unit; None where they differ."""
        found = {getattr(leaf, name) for leaf in self.leaves}
        return found.pop() if len(found) == 1 else None


def tree_below(snapshot: Snapshot, category: str, data_version: int, caller: Caller) -> dict[str, str | None]:
    """The parent of each category below one, and None for that itself, as far down as the tree goes.

    Raises UnknownCategory, OptionError where none is below, and the problem that the caller may not see one of them.
    """
    caller.check_category(category)
    frame = snapshot.categories(data_version)
    children: dict[str, list[str]] = {}
    for name, parent in zip(frame["category"], frame["parent"], strict=True):
        if isinstance(parent, str):
            children.setdefault(parent, []).append(name)
    if category not in children:
        snapshot.category(category, data_version)
        raise OptionError("category", category, "a category that others name as their parent")
    found: dict[str, str | None] = {category: None}
    waiting = [category]
    while waiting:
        name = waiting.pop(0)
        found |= dict.fromkeys(children.get(name, ()), name)
        waiting += children.get(name, ())
    if not all(caller.may_see(name) for name in found):
        raise Problem(403, "forbidden", f"the key may not see all categories below {category!r}")
    return found


def read_tree(
    snapshot: Snapshot,
    parents: Mapping[str, str | None],
    horizon: int,
    *,
    as_of: AsOf,
    data_version: int,
    max_nowcast_days: int,
) -> TreeInputs:
    """Read a tree; its horizon counts from `as_of`, else now, as that of one category does.

    Raises HistoryError where the leaves cannot be summed.
    """
    moment = moment_of(as_of) or dt.datetime.now(dt.UTC).replace(tzinfo=None)
    metadata = snapshot.categories(data_version).set_index("category")
    above = set(parents.values())
    records = {name: snapshot.category(name, data_version) for name in parents if name in metadata.index}
    warnings = [
        f"{name} has sales of its own, which are left out: it is the sum of those below it"
        for name, record in records.items()
        if name in above and record.periods
    ]
    sales = {name: _sold(snapshot, one, moment, data_version) for name, one in records.items() if name not in above}
    unsold = [name for name, own in sales.items() if own.empty]
    warnings += [f"no sales of {name} are known: it is left out" for name in unsold]
    sales = {name: own for name, own in sales.items() if not own.empty}
    leaves = [records[name] for name in sales]
    _check_frequencies(leaves, next(iter(parents)))
    sales, last = _ending_alike(sales, leaves[0].frequency, max_nowcast_days, warnings)
    if len({one.calendar for one in leaves}) > 1:
        warnings.append("the categories do not all have one calendar: no moving holidays are followed")
    gap = gap_of(snapshot.sales(last, moment, data_version, vintages=True), records[last], moment)
    stale = gap.days > max_nowcast_days
    if stale:
        warnings.append(gap.warning(max_nowcast_days))
    kept = _bearing(parents, set(sales))
    offered = {
        name: signals_frame(snapshot, name, as_of=moment, data_version=data_version) for name in kept if name in records
    }
    return TreeInputs(
        kept,
        pd.concat([own.assign(unique_id=name) for name, own in sales.items()], ignore_index=True),
        {name: frame for name, frame in offered.items() if frame is not None},
        leaves,
        horizon + (0 if stale else gap.periods),
        None if stale and as_of is None else moment,
        warnings,
    )


def _sold(snapshot: Snapshot, record: CategoryRecord, moment: dt.datetime, data_version: int) -> pd.DataFrame:
    """ds, y of the periods of a category that were over and known, in their latest version."""
    frame = history_frame(snapshot, record.category, as_of=moment, data_version=data_version)
    newest = frame.drop_duplicates("ds", keep="last").dropna(subset="y")[["ds", "y"]]
    ends = freq.spans(newest["ds"].to_numpy().astype("datetime64[D]"), record.frequency)[1]
    return newest[ends <= np.datetime64(moment, "us")]


def _check_frequencies(leaves: list[CategoryRecord], top: str) -> None:
    if not leaves:
        raise HistoryError("history", f"no sales below {top}", "sales of one category at least")
    for one in leaves[1:]:
        if one.frequency != leaves[0].frequency:
            found = f"{one.category} of {one.frequency} beside {leaves[0].category} of {leaves[0].frequency}"
            raise HistoryError("history", found, "categories of one frequency: others cannot be summed")


def _ending_alike(
    sales: dict[str, pd.DataFrame], frequency: str, max_days: int, warnings: list[str]
) -> tuple[dict[str, pd.DataFrame], str]:
    """Sales to the last period that all have, and a category whose last one it is.

    One that ended more than `max_days` before the newest is no longer sold: it has zeros from there on.
    """
    ends = {name: own["ds"].iloc[-1] for name, own in sales.items()}
    newest = max(ends.values())
    over = [name for name, end in ends.items() if (newest - end).days > max_days]
    last = min((name for name in ends if name not in over), key=lambda name: ends[name])
    found = {}
    for name, own in sales.items():
        if name in over:
            labels = freq.between(np.datetime64(ends[name], "D"), np.datetime64(ends[last], "D"), frequency)[1:]
            own = pd.concat([own, pd.DataFrame({"ds": pd.DatetimeIndex(labels), "y": 0.0})], ignore_index=True)
            warnings.append(f"{name} was last sold in {ends[name]:%Y-%m-%d}, and counts as zero since then")
        found[name] = own[own["ds"] <= ends[last]]
    if ends[last] < newest:
        warnings.append(f"all are forecast from {ends[last]:%Y-%m-%d} on: later sales of {last} are not known")
    return found, last


def _bearing(parents: Mapping[str, str | None], leaves: set[str]) -> dict[str, str | None]:
    """The tree without what has no leaf below it any more."""
    kept: set[str | None] = set(leaves)
    for name in leaves:
        while (name := parents[name] or "") and name not in kept:
            kept.add(name)
    return {name: parent for name, parent in parents.items() if name in kept}
