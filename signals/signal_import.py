"""Import of outside signals from a CSV file, a Parquet file or a pandas frame, long or wide."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from signals.batch import Batch
from signals.cadence import Cadence, spoken
from signals.prepared import (
    Prepared,
    Progress,
    Steps,
    check_options,
    counted,
    find_cadence,
    order_notes,
    payload_sha,
    texts,
    unused_note,
)
from signals.regular import Regular, Rules, refuse_far_future, regularise
from signals.rows import Naming, Rows, utc_now
from signals.signal_table import Constants, Reading, read_signals
from signals.tables import Source, Table, read_table
from signals.weeks import check_week


def prepare_signals(
    data: Source | Table,
    /,
    *,
    signal: str | None = None,
    date: str | None = None,
    value: str | None = None,
    category: str | None = None,
    known_at: str | None = None,
    future_known: bool | None = None,
    source: str | None = None,
    region: str | None = None,
    unit: str | None = None,
    aggregation: str | None = None,
    frequency: str | None = None,
    week: str | None = None,
    duplicates: str = "refuse",
    gaps: str = "missing",
    dayfirst: bool | None = None,
    decimal: str | None = None,
    lag_days: int = 0,
    known_signals: Mapping[str, str] | None = None,
    known_categories: Collection[str] | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Check a table of signals and turn it into a batch for the store; all of it or, with ImportRefused, nothing.

    A long table has a row a signal and date (columns signal, date, value), a wide one a row a date and a column of
    numbers a signal.

    Parameters
    ----------
    signal, date, value, category, known_at: names of columns, guessed where not given. `signal="=Rain"` and
        `category="=Shoes"` hold for all rows. Without a category the signals may serve every category.
    future_known: whether coming values are known today, as with holidays and planned promotions.
    source, region, unit, aggregation ("mean" or "sum"): of all signals; else taken from columns of these names.
    frequency: D, W, W-SUN, MS or QS; found from each signal's dates where not given.
    lag_days: how many days after its end a period's value was published, where the columns `publication_lag` and
        `known_at` do not say.
    known_signals: cadence of each signal that the store holds; it decides for those with too few rows.
    known_categories: categories that the store holds; another one is refused with the nearest of them.
    week, duplicates, gaps, dayfirst, decimal, now, progress: as for sales.
    """
    check_options(decimal, lag_days)
    check_week(week)
    moment, steps = utc_now(now), Steps(progress, 4)
    steps.next("reading the table")
    table = data if isinstance(data, Table) else read_table(data)
    columns = {"signal": signal, "date": date, "value": value, "category": category, "known_at": known_at}
    constants = Constants(source, region, unit, aggregation, lag_days, future_known)
    steps.next("reading dates and numbers")
    reading = read_signals(table, columns, constants, dayfirst, decimal, moment, known_signals or {}, known_categories)
    rows, naming = reading.rows, Naming(table, "signal", reading.mapping["date"])
    steps.next("forming periods")
    ahead = np.array([reading.metadata.future_known[name] for name in rows.names], dtype=bool)
    rules = Rules(moment.date(), duplicates, gaps, False, ahead)
    refuse_far_future(rows, rules, naming)
    cadence = find_cadence(rows, reading.precision, frequency, week, known_signals or {}, naming)
    regular = regularise(rows, cadence.frequencies, rules, naming)
    notes = [_summary(cadence, regular), *reading.notes, *cadence.notes, *order_notes(rows), *regular.notes]
    notes += [*_remarks(rows, regular, reading), *unused_note(table, reading.used)]
    steps.next("forming the batch")
    batch = _batch(rows.names, cadence, regular, reading, lag_days)
    steps.next("done")
    return Prepared(batch, reading.mapping, notes, len(regular.series))


def _summary(cadence: Cadence, regular: Regular) -> str:
    used = np.unique(regular.series)
    rhythm = ", ".join(f"{spoken(one)} ({one})" for one in sorted({cadence.frequencies[code] for code in used}))
    last = regular.end.max() - np.timedelta64(1, "D")
    return (
        f"{counted(len(regular.series), 'value')} of {counted(len(used), 'signal')}, {rhythm}, "
        f"from {regular.start.min()} to {last}."
    )


def _remarks(rows: Rows, regular: Regular, reading: Reading) -> list[str]:
    notes = []
    blank = int(np.isnan(regular.values).sum())
    if blank:
        notes.append(
            f"{counted(blank, 'period')} without a value: it withdraws one that was known, else nothing changes."
        )
    empty = sorted(set(range(len(rows.names))) - set(np.unique(regular.series).tolist()))
    if empty:
        notes.append(f"{counted(len(empty), 'signal')} without a whole period left out: {rows.names[empty[0]]!r}.")
    if all(category == "*" for category, _ in reading.candidates):
        notes.append("The signals may serve every category; name one with --category to narrow that down.")
    return notes


def _batch(
    names: Sequence[str], cadence: Cadence, regular: Regular, reading: Reading, lag_days: int
) -> Batch:  # fmt: skip
    observations = pd.DataFrame(
        {
            "signal": texts(names, regular.series),
            "start": regular.start.astype("datetime64[us]"),
            "end": regular.end.astype("datetime64[us]"),
            "value": regular.values,
            "known_at": regular.known_at,
            "window": "",
            "is_partial": False,
        },
        copy=False,
    )
    used = [(names[code], cadence.frequencies[code]) for code in np.unique(regular.series)]
    signals = reading.metadata.frame(used)
    kept = {name for name, _ in used}
    pairs = sorted(pair for pair in reading.candidates if pair[1] in kept)
    candidates = pd.DataFrame(pairs, columns=["category", "signal"], dtype="str")
    sha = payload_sha(observations, signals, candidates, str(lag_days))
    return Batch(
        "signal_import",
        signals=signals,
        observations=observations,
        candidates=candidates,
        payload_sha=sha,
        lag=timedelta(days=lag_days),
    )
