"""Import of sales from a CSV file, a Parquet file or a pandas frame."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from signals.batch import Batch
from signals.cadence import Cadence, spoken
from signals.dates import Precision, parse_dates
from signals.mapping import CATEGORY, CONSTANT, DATE, KNOWN_AT, QUANTITY, Mapper
from signals.numbers import parse_numbers
from signals.plausible import implausible_note
from signals.prepared import (
    Prepared,
    Progress,
    Steps,
    check_options,
    counted,
    date_notes,
    find_cadence,
    order_notes,
    payload_sha,
    read_known_at,
    refuse_missing,
    texts,
    unused_note,
)
from signals.regular import Regular, Rules, refuse_far_future, regularise
from signals.rows import Naming, Rows, blank_rows, series_names, utc_now, zone
from signals.tables import Source, Table, read_table
from signals.weeks import check_week


def prepare_sales(
    data: Source | Table,
    /,
    *,
    category: str | None = None,
    date: str | None = None,
    quantity: str | None = None,
    frequency: str | None = None,
    week: str | None = None,
    known_at: str | None = None,
    unit: str | None = None,
    timezone: str | None = None,
    duplicates: str = "refuse",
    gaps: str = "missing",
    dayfirst: bool | None = None,
    decimal: str | None = None,
    lag_days: int = 0,
    known_categories: Mapping[str, str] | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Check a table of sales and turn it into a batch for the store; all of it or, with ImportRefused, nothing.

    Parameters
    ----------
    data: path of a CSV or Parquet file, or a frame, with one row a category and period (or finer, see `frequency`); or
        a table that was read before. Of several files in one table the later ones correct the earlier ones.
    category, date, quantity, known_at: names of columns, guessed where not given. `category="=Shoes"` says that all
        rows belong to Shoes.
    frequency: D, W, W-SUN, MS or QS; found from the dates where not given. Finer data is added up to it.
    week: whether dates of weeks are their first day ("begins") or their last ("ends").
    unit, timezone: of the quantities, and of the places where they are sold (a name such as Europe/Berlin).
    duplicates: what to do with two rows for one category and date: "refuse", "sum" or "last".
    gaps: whether a period without a row is not known ("missing") or had no sales ("zero").
    dayfirst: how to read 03/04/2025 where no date of the column settles it.
    decimal: "." or ",", where the numbers do not settle it.
    lag_days: how many days after its end the sales of a period became known, where `known_at` does not say.
    known_categories: frequency of each category that the store holds: rows must fit it, and it decides for those too
        few to show their own.
    now: the moment of the import, UTC.
    """
    check_options(decimal, lag_days)
    check_week(week)
    moment, steps = utc_now(now), Steps(progress, 4)
    rules = Rules(moment.astimezone(zone(timezone)).date(), duplicates, gaps)
    steps.next("reading the table")
    table = data if isinstance(data, Table) else read_table(data)
    mapping = _mapping(table, category, date, quantity, known_at)
    steps.next("reading dates and numbers")
    rows, precision, notes = _rows(table, mapping, dayfirst, decimal, timezone, moment)
    naming = Naming(table, "category", mapping["date"])
    refuse_far_future(rows, rules, naming)
    steps.next("forming periods")
    cadence = find_cadence(rows, precision, frequency, week, known_categories or {}, naming)
    regular = regularise(rows, cadence.frequencies, rules, naming)
    notes = [
        _summary(cadence, regular),
        *notes,
        *cadence.notes,
        *regular.notes,
        *_remarks(rows, regular, table),
        *implausible_note(rows, mapping["quantity"], table),
        *_new(rows.names, known_categories),
        *unused_note(table, list(mapping.values())),
    ]
    steps.next("forming the batch")
    batch = _batch(rows.names, cadence, regular, table.name, unit, timezone, lag_days)
    steps.next("done")
    return Prepared(batch, mapping, notes, len(regular.series))


def _mapping(
    table: Table, category: str | None, date: str | None, quantity: str | None, known_at: str | None
) -> dict[str, str]:
    mapper = Mapper(table)
    if category is None and quantity is None:
        _refuse_wide(mapper)
    # Moments of knowledge are dates too: by their name they are out of the way before the date is looked for.
    mapper.assign({KNOWN_AT: known_at, DATE: date, QUANTITY: quantity, CATEGORY: category})
    order = ("category", "date", "quantity", "known_at")
    return {field: mapper.chosen[field] for field in order if field in mapper.chosen}


def _refuse_wide(mapper: Mapper) -> None:
    """A column of numbers a category would otherwise be asked about as if one of them were the quantity."""
    kinds = {column: mapper.kind(column) for column in mapper.free}
    numbers = [column for column, kind in kinds.items() if kind == "number"]
    named = mapper.by_name(CATEGORY) or mapper.by_name(QUANTITY)
    if len(numbers) > 1 and not named and "text" not in kinds.values() and "date" in kinds.values():
        dates = next(column for column, kind in kinds.items() if kind == "date")
        raise mapper.table.refusal(
            f"the table seems to have a column for each category ({', '.join(numbers[:3])}"
            f"{', …' if len(numbers) > 3 else ''}), which is not supported for sales",
            column=numbers[0],
            remedy="Give a row for each category and date, in pandas: "
            f'frame.melt({dates!r}, var_name="category", value_name="quantity"); or, if the file is about one '
            f"category, name it and its column: --category '=Name' --quantity {numbers[0]!r}",
        )


def _rows(
    table: Table, mapping: dict[str, str], dayfirst: bool | None, decimal: str | None, timezone: str | None,
    now: datetime,
) -> tuple[Rows, Precision, list[str]]:  # fmt: skip
    """The rows in order, how finely their dates are given, and what was assumed."""
    dates = parse_dates(table, mapping["date"], dayfirst, timezone)
    numbers = parse_numbers(table, mapping["quantity"], decimal)
    known = read_known_at(table, mapping.get("known_at"), dayfirst, now)
    names, codes = series_names(table, mapping["category"], "category")
    blank = blank_rows(table, [column for column in mapping.values() if not column.startswith(CONSTANT)])
    refuse_missing(np.isnat(dates.stamps) & ~blank, table, mapping["date"], "date")
    refuse_missing((codes == 0) & (names[0] == "") & ~blank, table, mapping["category"], "category")
    rows = Rows(names, codes, dates.days, numbers.values, known, np.arange(len(codes)))
    rows = (rows.take(~blank).compact() if blank.any() else rows).in_order()
    rows, corrected = _corrected(rows, table)
    skipped = [f"{counted(int(blank.sum()), 'blank row')} skipped."] if blank.any() else []
    notes = [*table.notes, *date_notes(dates, mapping["date"]), *numbers.notes, *skipped, *corrected]
    notes += order_notes(rows)
    return rows, dates.precision, notes


def _corrected(rows: Rows, table: Table) -> tuple[Rows, list[str]]:
    """Of the rows about one category, day and moment of knowledge, all those that stand in the last file with any."""
    part = table.part(rows.row)
    if not part.any():
        return rows, []
    leads = rows.begins
    leads[1:] |= (rows.days[1:] != rows.days[:-1]) | (np.diff(rows.known_at.view(np.int64)) != 0)
    last = np.maximum.reduceat(part, np.flatnonzero(leads))
    earlier = part < last[np.cumsum(leads) - 1]
    if not earlier.any():
        return rows, []
    at = int(np.flatnonzero(earlier)[0])
    name, day = rows.names[rows.series[at]], rows.days[at]
    note = f"{counted(int(earlier.sum()), 'row')} corrected by a later file (first: {name!r} on {day})."
    return rows.take(~earlier), [note]


def _summary(cadence: Cadence, regular: Regular) -> str:
    categories = counted(len(np.unique(regular.series)), "category")
    frequencies = sorted({cadence.frequencies[code] for code in np.unique(regular.series)})
    rhythm = ", ".join(f"{spoken(one)} ({one})" for one in frequencies)
    last = regular.end.max() - np.timedelta64(1, "D")
    return f"{counted(len(regular.series), 'value')} of {categories}, {rhythm}, from {regular.start.min()} to {last}."


def _remarks(rows: Rows, regular: Regular, table: Table) -> list[str]:
    """What is unusual about the quantities, and who is left without a period."""
    notes = []
    negative = np.flatnonzero(rows.values < 0)
    if len(negative):
        line = table.line(int(rows.row[negative].min()))
        notes.append(
            f"{counted(len(negative), 'row')} with a negative quantity (first: {table.unit} {line}) kept as returns."
        )
    blank = int(np.isnan(regular.values).sum())
    if blank:
        notes.append(
            f"{counted(blank, 'period')} without a quantity: it withdraws a value that was known, else nothing changes."
        )
    empty = sorted(set(range(len(rows.names))) - set(np.unique(regular.series).tolist()))
    if empty:
        notes.append(f"{counted(len(empty), 'category')} without a whole period left out: {rows.names[empty[0]]!r}"
                     f"{' …' if len(empty) > 1 else ''}.")  # fmt: skip
    return notes


def _new(names: Sequence[str], known: Mapping[str, str] | None) -> list[str]:
    """Which categories the store does not have, with a known one that looks much the same."""
    if known is None:
        return []
    new = [name for name in names if name not in known]
    alike = {name.casefold(): name for name in known}
    twins = [(name, alike[name.casefold()]) for name in new if name.casefold() in alike]
    notes = []
    if new:
        shown = ", ".join(repr(name) for name in new[:5])
        kind = "new category" if len(new) == 1 else "new categories"
        notes.append(f"{len(new):,} {kind}: {shown}{' …' if len(new) > 5 else ''}.")
    notes += [f"New category {new!r} differs from {old!r} only in capitals: are they one?" for new, old in twins[:3]]
    return notes


def _batch(
    names: Sequence[str], cadence: Cadence, regular: Regular, file: str, unit: str | None, timezone: str | None,
    lag_days: int,
) -> Batch:  # fmt: skip
    sales = pd.DataFrame(
        {
            "category": texts(names, regular.series),
            "start": regular.start.astype("datetime64[us]"),
            "end": regular.end.astype("datetime64[us]"),
            "quantity": regular.values,
            "known_at": regular.known_at,
            "source": texts([file], np.zeros_like(regular.series)),
        },
        copy=False,
    )
    used = np.unique(regular.series)
    categories = pd.DataFrame(
        {
            "category": [names[code] for code in used],
            "frequency": [cadence.frequencies[code] for code in used],
            "unit": unit,
            "timezone": timezone,
            "calendar": None,
            "parent": None,
            "attributes": None,
        },
        dtype="str",
    )
    sha = payload_sha(sales, categories, str(lag_days))
    return Batch("sales_import", sales=sales, categories=categories, payload_sha=sha, lag=timedelta(days=lag_days))
