"""What the forecast of a tree of categories needs, read from one snapshot."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from api.decisions import in_force
from api.errors import Problem
from api.gaps import gap_of
from api.likeness import NOTHING_SAID, phases_of
from api.security import Caller
from api.service import Inputs, signals_frame
from api.tree_leaves import Asked, Leaf, LeftOutError, read_leaf
from forecast import HistoryError, OptionError
from forecast import frequency as freq
from forecast.totals import known_sales, summed_versions
from signals.store import CategoryRecord, Snapshot


@dataclass(frozen=True)
class TreeInputs:
    """The categories of a tree by parent, None for the one at the top, and what a forecast of each needs."""

    parents: dict[str, str | None]
    leaves: dict[str, Inputs]
    totals: dict[str, Inputs]  # of the leaves that are not `new`; none of a total that has only such
    sales: dict[str, pd.Series]  # what is known of each leaf, by label
    new: frozenset[str]  # leaves that borrow, begin or end
    warnings: list[str]

    @property
    def frequency(self) -> str:
        """That of every leaf."""
        return next(iter(self.leaves.values())).record.frequency

    def shared(self, name: str) -> Any:
        """What is the same of all leaves, such as their unit; None where they differ."""
        return shared([one.record for one in self.leaves.values()], name)

    def without(self, names: Collection[str]) -> TreeInputs:
        """The same tree without leaves that cannot be forecast."""
        leaves = {name: one for name, one in self.leaves.items() if name not in names}
        parents = _bearing(self.parents, set(leaves))
        totals = {name: one for name, one in self.totals.items() if name in parents}
        return replace(self, parents=parents, leaves=leaves, totals=totals, new=self.new.difference(names))


def shared(records: Sequence[CategoryRecord], name: str) -> Any:
    """What is the same in all records; None where they differ."""
    found = {getattr(one, name) for one in records}
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


def read_tree(asked: Asked, parents: Mapping[str, str | None]) -> TreeInputs:
    """Read a tree; its horizon counts from the moment, as that of one category does.

    Each leaf is read as for a forecast of its own: with those that it is like, its phases and its accepted events.
    Raises HistoryError where the leaves cannot be summed.
    """
    metadata = asked.snapshot.categories(asked.data_version).set_index("category")
    records = {n: asked.snapshot.category(n, asked.data_version) for n in parents if n in metadata.index}
    inner = {name for name in parents.values() if name is not None}
    warnings = _told_of_totals(records, inner)
    leaves: dict[str, Leaf] = {}
    for name in (name for name in records if name not in inner):
        try:
            leaves[name] = read_leaf(asked, records[name])
        except LeftOutError as error:
            warnings.append(str(error))
    _check_alike(list(leaves.values()), next(iter(parents)))
    leaves, end = _ending_alike(asked, leaves, warnings)
    if len({one.inputs.record.calendar for one in leaves.values()}) > 1:
        warnings.append("the categories do not all have one calendar: no moving holidays are followed by totals")
    kept = _bearing(parents, set(leaves))
    return TreeInputs(
        kept,
        {name: end.reached(one) for name, one in leaves.items()},
        _totals(asked, kept, leaves, records, end),
        {name: one.known for name, one in leaves.items()},
        frozenset(name for name, one in leaves.items() if one.is_new),
        warnings,
    )


def _told_of_totals(records: Mapping[str, CategoryRecord], inner: Collection[str]) -> list[str]:
    """What of a total's own is not used."""
    found = []
    for name, record in records.items():
        if name in inner and record.periods:
            found.append(f"{name} has sales of its own, which are left out: it is the sum of those below it")
        if name in inner and phases_of(record, NOTHING_SAID):
            found.append(f"phase_in and phase_out of {name} are not applied: it is the sum of those below it")
    return found


def _check_alike(leaves: list[Leaf], top: str) -> None:
    if all(one.known.empty for one in leaves):
        raise HistoryError("history", f"no sales below {top}", "sales of one category at least")
    records = [one.inputs.record for one in leaves]
    for one in records[1:]:
        if one.frequency != records[0].frequency:
            found = f"{one.category} of {one.frequency} beside {records[0].category} of {records[0].frequency}"
            raise HistoryError("history", found, "categories of one frequency: others cannot be summed")


@dataclass(frozen=True)
class _End:
    """The last period of the horizon of a tree, and the moment from which it is forecast."""

    label: np.datetime64
    as_of: dt.datetime | None

    def reached(self, leaf: Leaf) -> Inputs:
        """What a forecast of a leaf to that period needs."""
        return replace(leaf.inputs, horizon=self.after(leaf.last, leaf.inputs.record.frequency), as_of=self.as_of)

    def after(self, last: np.datetime64, frequency: str) -> int:
        """How many periods there are after one."""
        return freq.between(last, self.label, frequency).size - 1


def _ending_alike(asked: Asked, leaves: dict[str, Leaf], warnings: list[str]) -> tuple[dict[str, Leaf], _End]:
    """Leaves whose sales are still coming in, or are zero by now, and the period that all are forecast to.

    One that ended long before the newest, or was to end by then, is no longer sold: it has zeros from there on.
    """
    newest = max((one for one in leaves.values() if not one.known.empty), key=lambda one: one.known.index[-1])
    label, record = newest.known.index[-1], newest.inputs.record
    sales = asked.snapshot.sales(record.category, asked.moment, asked.data_version, vintages=True)
    gap = gap_of(sales, record, asked.moment)
    stale = gap.days > asked.max_nowcast_days
    if stale:
        warnings.append(gap.warning(asked.max_nowcast_days))
    horizon = asked.horizon + (0 if stale else gap.periods)
    last = freq.following(np.datetime64(label, "D"), horizon, record.frequency)[-1]
    found = {}
    for name, one in leaves.items():
        if one.is_over(label, asked.max_nowcast_days):
            warnings.append(f"{name} was last sold in {one.known.index[-1]:%Y-%m-%d}, and counts as zero since then")
            one = one.over(label)
        if one.last < last:
            found[name] = one
        else:
            warnings.append(f"{name} is left out: those that it is like have newer sales than the tree")
    warnings += _told_of_ends(found)
    return found, _End(last, None if stale and not asked.named else asked.moment)


def _told_of_ends(leaves: Mapping[str, Leaf]) -> list[str]:
    """What to say where some are known further than others."""
    ends = {name: one.known.index[-1] for name, one in leaves.items() if not one.known.empty}
    first, newest = min(ends.values()), max(ends.values())
    if first == newest:
        return []
    late = ", ".join(name for name, end in ends.items() if end == first)
    return [f"later sales than {first:%Y-%m-%d} are not known of {late}; those of the others stand as they are"]


def _totals(
    asked: Asked,
    parents: Mapping[str, str | None],
    leaves: Mapping[str, Leaf],
    records: Mapping[str, CategoryRecord],
    end: _End,
) -> dict[str, Inputs]:
    """What a forecast of each total needs: the sum of the leaves below it whose history tells their forecast."""
    below: dict[str, list[Leaf]] = {}
    for name, leaf in leaves.items():
        above = parents[name]
        while above is not None:
            below.setdefault(above, []).append(leaf)
            above = parents[above]
    like = [one.inputs.record for one in leaves.values()]
    found = {}
    for name, under in below.items():
        if not (old := [one.versions for one in under if not one.is_new]):
            continue
        history = summed_versions(old)
        known = known_sales(history, like[0].frequency, pd.Timestamp(asked.moment))
        given = name in records
        found[name] = Inputs(
            record=replace(like[0], category=name, unit=shared(like, "unit"), calendar=shared(like, "calendar")),
            history=history,
            signals=signals_frame(asked.snapshot, name, as_of=asked.moment, data_version=asked.data_version)
            if given
            else None,
            horizon=end.after(np.datetime64(known.index[-1], "D"), like[0].frequency),
            as_of=end.as_of,
            warnings=(),
            events=in_force(asked.snapshot, name, asked.moment, asked.data_version),
        )
    return found


def _bearing(parents: Mapping[str, str | None], leaves: set[str]) -> dict[str, str | None]:
    """The tree without what has no leaf below it any more."""
    kept: set[str | None] = set(leaves)
    for name in leaves:
        while (name := parents[name] or "") and name not in kept:
            kept.add(name)
    return {name: parent for name, parent in parents.items() if name in kept}
