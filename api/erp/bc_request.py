"""What Business Central sends: rows of (item, bucket, quantity) and one row of parameters, in any of its spellings.

Batches of older versions send all rows of earlier items again, column names repeated; the last row of a bucket and the
last row of parameters win.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.erp.bc_errors import BODY, CELL, METHOD, MODEL, PARAMETER, BadArgument, shown
from api.fields import LARGEST

COLUMNS = ("GranularityAttribute", "DateKey", "TransactionQty")
SEASONALITIES = (365, 52, 12, 4, 1)  # days, weeks, months, quarters, years
MODELS = ("ARIMA", "ETS", "STL", "ETS+ARIMA", "ETS+STL", "ALL", "TBATS", "DEFAULT")
USUAL_CONFIDENCE = 95.0
LONGEST_NAME = 200
LARGEST_KEY = 2**31 - 1

_GROUP = " .,'’`·٬\u00a0\u2009\u202f"  # what languages put between groups of digits
_WHOLE = re.compile(rf"\d+|\d{{1,3}}(?:[{_GROUP}]\d{{2,3}})*[{_GROUP}]\d{{3}}")  # India groups by two
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)


@dataclass(frozen=True)
class Parameters:
    """The one row of parameters. `start_key`: the first bucket to forecast; None: the one after the last."""

    horizon: int
    seasonality: int
    start_key: int | None
    model: str
    confidence: float  # per cent


@dataclass(frozen=True)
class Question:
    """One request. `groups`: the quantity of each bucket by item, the item that was named last at the end."""

    parameters: Parameters
    groups: Mapping[str, Mapping[int, float]]


def parse(body: bytes) -> Question | None:
    """Read a request; None for a ping (`method=none`). Raises BadArgument."""
    try:
        document = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise BadArgument(BODY, f"the body is not JSON: {error}") from None
    inputs = _member(document, "Inputs")
    row = _parameter_row(document, inputs)
    if "time_series_model" not in row and (method := str(row.get("method", "")).strip()):
        if method.lower() == "none":
            return None
        raise BadArgument(METHOD, f"Unknown method: {shown(method)}; only forecasts are served here")
    return Question(_parameters(row), _groups(_member(inputs, "input1")))


def whole(cell: object) -> int | None:
    """A whole number from 0, written with or without a thousands separator of any language; None where it is none."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and 0 <= cell <= LARGEST_KEY else None
    if isinstance(cell, int):
        return cell if 0 <= cell <= LARGEST_KEY else None
    if isinstance(cell, str) and cell.isascii() and cell.isdecimal() and len(cell) < 10:
        return int(cell)
    if not isinstance(cell, str) or len(cell) > 40 or not _WHOLE.fullmatch(text := cell.strip()):
        return None
    number = int("".join(sign for sign in text if sign.isdecimal()))
    return number if number <= LARGEST_KEY else None


def decimal(cell: object) -> float | None:
    """A number in the invariant form, such as -12.5; None where it is none."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, str):
        text = cell.strip()
        cell = float(text) if len(text) <= 400 and _DECIMAL.fullmatch(text) else None
    return float(cell) if isinstance(cell, (int, float)) and math.isfinite(cell) else None


def _member(table: object, *names: str) -> Any:
    """The member of one of these names, in any case; None where there is none."""
    if not isinstance(table, dict):
        return None
    folded = {name.casefold(): value for name, value in table.items()}
    return next((folded[name.casefold()] for name in names if name.casefold() in folded), None)


# --- parameters


def _parameter_row(document: object, inputs: object) -> dict[str, object]:
    """The parameters by name in lower case."""
    table = _member(document, "GlobalParameters")
    for place in (_member(table, "Parameters"), table or None, _member(inputs, "input2", "Parameters")):
        if place is not None:
            return _last_row(place)
    message = "the parameters are missing: GlobalParameters.Parameters, a line of names and a line of values"
    raise BadArgument(PARAMETER, message)


def _last_row(table: object) -> dict[str, object]:
    names: Any
    rows: Any
    if isinstance(table, str):
        names, rows = _lines_of(table)
    elif (names := _member(table, "ColumnNames")) is not None:
        rows = _member(table, "Values")
    else:
        rows = table if isinstance(table, list) else [table]
        names = list(rows[-1]) if rows and isinstance(rows[-1], dict) else None
        rows = [list(rows[-1].values())] if names is not None else []
    if not isinstance(names, list) or not isinstance(rows, list) or not rows or not isinstance(rows[-1], list):
        raise BadArgument(PARAMETER, "the parameters have no row of values: names in one line, values in the next")
    found: dict[str, object] = {}
    for name, value in zip(names, rows[-1], strict=False):
        found.setdefault(str(name).strip().lower(), value)
    return found


def _lines_of(text: str) -> tuple[list[str] | None, list[list[str]]]:
    try:
        lines = [line for line in csv.reader(text.strip("\ufeff").splitlines(), skipinitialspace=True) if any(line)]
    except csv.Error as error:
        raise BadArgument(PARAMETER, f"the parameters are not CSV: {error}") from None
    return (lines[0], lines[1:]) if lines else (None, [])


def _parameters(row: Mapping[str, object]) -> Parameters:
    horizon = _whole_parameter(row, "horizon", None)
    if horizon is None or horizon < 1:
        given = "is missing" if "horizon" not in row else f"is {shown(row['horizon'])}"
        raise BadArgument(PARAMETER, f"horizon {given}; allowed: a whole number > 0")
    seasonality = _whole_parameter(row, "seasonality", 1)
    if seasonality not in SEASONALITIES:
        allowed = "365 (days), 52 (weeks), 12 (months), 4 (quarters), 1 (years)"
        raise BadArgument(PARAMETER, f"seasonality is {shown(row.get('seasonality'))}; allowed: {allowed}")
    start_key = _whole_parameter(row, "forecast_start_datekey", None)
    return Parameters(horizon, seasonality, start_key, _model(row), _confidence(row))


def _given(row: Mapping[str, object], name: str) -> object | None:
    value = row.get(name)
    return None if isinstance(value, str) and not value.strip() else value


def _whole_parameter(row: Mapping[str, object], name: str, usual: int | None) -> int | None:
    given = _given(row, name)
    if given is None:
        return usual
    number = whole(given)
    if number is None:
        raise BadArgument(PARAMETER, f"{name} is {shown(given)}; allowed: a whole number > 0")
    return number


def _model(row: Mapping[str, object]) -> str:
    given = _given(row, "time_series_model")
    name = "DEFAULT" if given is None else re.sub(r"\s", "", str(given)).upper()
    if name not in MODELS:
        raise BadArgument(MODEL, f"time_series_model is {shown(given)}; allowed: {', '.join(MODELS)}")
    return name


def _confidence(row: Mapping[str, object]) -> float:
    given = _given(row, "confidence_level")
    if given is None:
        return USUAL_CONFIDENCE
    level = decimal(given.replace(",", ".") if isinstance(given, str) else given)
    if level is None or not 0 < level < 100:
        raise BadArgument(PARAMETER, f"confidence_level is {shown(given)}; allowed: a number > 0 and < 100")
    return level


# --- the history


def _groups(table: object) -> dict[str, dict[int, float]]:
    groups: dict[str, dict[int, float]] = {}
    last = None
    for number, row in enumerate(_rows(table), 1):
        name, key, quantity = _cells(row, number)
        if name != last:
            groups[name] = groups.pop(name, {})  # to the end
            last = name
        groups[name][key] = quantity
    return groups


def _rows(table: object) -> Iterator[Sequence[object]]:
    """Each row as item, bucket, quantity."""
    if isinstance(table, list):
        for row in table:
            values = [_member(row, name) for name in COLUMNS]
            yield values if isinstance(row, dict) else []
        return
    names, values = _member(table, "ColumnNames"), _member(table, "Values")
    if not isinstance(values, list) or not isinstance(names, (list, type(None))):
        raise BadArgument(BODY, "Inputs.input1 is missing; allowed: ColumnNames and Values, or a list of objects")
    at = _places(names or COLUMNS)
    for row in values:
        yield [row[i] for i in at] if isinstance(row, list) and len(row) > max(at) else []


def _places(names: Iterable[object]) -> list[int]:
    """Where each column stands; repeated names count once, and names of other columns do no harm."""
    folded = [str(name).strip().replace(" ", "").casefold() for name in names]
    missing = [name for name in COLUMNS if name.casefold() not in folded]
    if missing:
        raise BadArgument(CELL, f"Inputs.input1.ColumnNames lacks {missing[0]}; allowed: {', '.join(COLUMNS)}")
    return [folded.index(name.casefold()) for name in COLUMNS]


def _cells(row: Sequence[object], number: int) -> tuple[str, int, float]:
    if not row:
        raise BadArgument(CELL, f"Inputs.input1, row {number}: allowed: a value for each of {', '.join(COLUMNS)}")
    item, key, quantity = row
    name = _name(item)
    if name is None:
        raise _bad_cell(number, COLUMNS[0], item, f"text of up to {LONGEST_NAME} characters")
    bucket = whole(key)
    if not bucket:
        raise _bad_cell(number, COLUMNS[1], key, "a whole number > 0")
    if quantity is None or quantity == "":
        return name, bucket, 0.0
    amount = decimal(quantity)
    if amount is None or abs(amount) > LARGEST:
        raise _bad_cell(number, COLUMNS[2], quantity, f"a number such as -12.5, at most {LARGEST:g}")
    return name, bucket, amount


def _name(cell: object) -> str | None:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell) if isinstance(cell, (str, int)) and not isinstance(cell, bool) else None
    return text if text is not None and len(text) <= LONGEST_NAME and "\0" not in text else None


def _bad_cell(row: int, column: str, value: object, allowed: str) -> BadArgument:
    return BadArgument(CELL, f"Inputs.input1, row {row}: {column} is {shown(value)}; allowed: {allowed}")
