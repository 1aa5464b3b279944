"""Reading a column of numbers as people write them: 1,234.5 and 1.234,5, (12), 12-, € 12 and 12 %.

Which character is the decimal one is decided for the column as a whole, from the values that leave no choice.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from signals.tables import Table

LIMIT = 1e15  # beyond it a float no longer tells neighbouring whole numbers apart
BLANKS = ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "–", "—", ".", "nat", "<na>")

_PLAIN = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"
_INFINITE = r"(?i)^[-+]?\s*(?:inf|infinity|∞)$"
_CURRENCY = r"(?i)^(?:eur|usd|gbp|chf|jpy|cny|inr|aud|cad|sek|nok|dkk|pln|czk|brl|r\$)\s*|\s*(?:eur|usd|gbp|chf|jpy|cny|inr|aud|cad|sek|nok|dkk|pln|czk|brl|kr\.?|zł|kč|pcs|stk\.?)$"  # noqa: E501
_SPACES = r"[\s\x{00a0}\x{202f}\x{2009}'’]"
_SPACED = rf"^[-+]?\d{{1,3}}(?:{_SPACES}\d{{3}})+(?:[.,]\d*)?$"
_REMEDY = "Correct the value, or leave it blank where it is not known"


@dataclass(frozen=True)
class Numbers:
    """A column as floats, NaN where it is blank, and what was assumed on the way."""

    values: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()


def parse_numbers(table: Table, column: str, decimal: str | None = None) -> Numbers:
    """The column as float64, one value a row, NaN for blank.

    `decimal` ("." or ",") overrides what the column shows. Raises ImportRefused, with the first row, for text, for
    infinity, for |value| > 1e15 and for a column that is written in two ways.
    """
    if not table.is_text(column):
        values = _typed(table, column)
        notes: tuple[str, ...] = ()
    else:
        encoded = table.encoded(column)
        distinct, notes = _Reader(table, column, encoded.values, encoded.codes).read(decimal)
        values = distinct[encoded.codes]
    absurd = np.abs(values) > LIMIT
    if absurd.any():
        row = int(np.flatnonzero(absurd)[0])
        raise table.refusal(
            f"{values[row]:g} is not a number one can count with (the limit is {LIMIT:g})",
            row=row, column=column, value=f"{values[row]:g}", more=int(absurd.sum()) - 1, remedy=_REMEDY,
        )  # fmt: skip
    return Numbers(values, notes)


def _typed(table: Table, column: str) -> npt.NDArray[np.float64]:
    array = table.data[column].combine_chunks()
    if pa.types.is_boolean(array.type) or not table.readable(column):
        raise table.refusal(
            f"values of type {array.type} are not taken for numbers",
            row=0, column=column, value=table.shown(column, 0), remedy="Write them as whole numbers or float64",
        )  # fmt: skip
    try:
        values = pc.fill_null(pc.cast(array, pa.float64()), float("nan"))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise table.refusal(
            f"values of type {array.type} are not numbers", column=column, remedy="Name a column of numbers"
        ) from error
    return np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def is_number(values: pa.StringArray) -> npt.NDArray[np.bool_]:
    """Which of the texts read as a number, whatever the decimal character; blanks do not."""
    text = _bare(values)
    found = pc.match_substring_regex(text, r"^[-+]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][-+]?\d+)?$")
    return np.asarray(pc.and_(found, pc.invert(_blank(values))))


def is_blank(values: pa.StringArray) -> npt.NDArray[np.bool_]:
    """Which of the texts stand for nothing: empty, NA, null, a dash, a dot."""
    return np.asarray(_blank(values))


def _blank(values: pa.StringArray) -> pa.BooleanArray:
    return pc.is_in(pc.utf8_lower(values), value_set=pa.array(BLANKS))


def _bare(values: pa.StringArray) -> pa.StringArray:
    """Signs in front, no currency, no percent sign, no spaces or apostrophes between groups of three digits."""
    if pc.all(pc.match_substring_regex(values, _PLAIN)).as_py():
        return values
    text = pc.replace_substring_regex(values, r"[−‒]", "-")
    text = pc.replace_substring_regex(text, r"\p{Sc}|\s*%$", "")
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _CURRENCY, ""))
    text = pc.replace_substring_regex(text, r"^\(\s*([^()-]*[^()\s-])\s*\)$", r"-\1")
    text = pc.replace_substring_regex(text, r"^([\d.,\s]*\d)\s*-$", r"-\1")
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"^([-+])\s+", r"\1"))
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _CURRENCY, ""))
    spaced = pc.match_substring_regex(text, _SPACED)
    return pc.if_else(spaced, pc.replace_substring_regex(text, _SPACES, ""), text)


class _Reader:
    """The distinct values of one text column on their way to floats."""

    def __init__(self, table: Table, column: str, values: pa.StringArray, codes: npt.NDArray[np.int64]) -> None:
        self.table, self.column, self.values, self.codes = table, column, values, codes
        self.text = _bare(values)
        self.blank = _blank(values)

    def read(self, decimal: str | None) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
        self._refuse_where(pc.match_substring_regex(self.values, _INFINITE), "is not a number one can count with")
        notes = self._percent()
        chosen, note = (decimal, None) if decimal else self._decimal()
        group = "," if chosen == "." else "."
        text = self._without_groups(chosen, group)
        ungrouped = pc.invert(pc.match_substring(text, group))
        text = pc.replace_substring(text, ",", ".") if chosen == "," else text
        right = pc.and_(ungrouped, pc.match_substring_regex(text, _PLAIN))
        wrong = pc.invert(pc.or_(right, self.blank))
        self._refuse_where(wrong, f"is not a number (decimal character {chosen!r})" if decimal else "is not a number")
        numbers = pc.cast(pc.if_else(self.blank, None, text), pa.float64())
        floats = np.array(pc.fill_null(numbers, float("nan")).to_numpy(zero_copy_only=False))
        return floats, (*notes, *([note] if note else []))

    def _without_groups(self, decimal: str, group: str) -> pa.StringArray:
        if not pc.any(pc.match_substring(self.text, group)).as_py():
            return self.text
        g, d = rf"\{group}", rf"\{decimal}"
        # 12,34,567 is how India groups; a last group of other than three digits is no group at all.
        grouped = pc.match_substring_regex(self.text, rf"^[-+]?\d{{1,3}}(?:{g}\d{{2,3}})*{g}\d{{3}}(?:{d}\d*)?$")
        return pc.if_else(grouped, pc.replace_substring(self.text, group, ""), self.text)

    def _decimal(self) -> tuple[str, str | None]:
        """The decimal character that the column shows, and a note where the values alone do not settle it."""
        if not pc.any(pc.match_substring_regex(self.text, r"[.,]")).as_py():
            return ".", None
        dot, comma = self._proof("."), self._proof(",")
        if dot.any() and comma.any():
            self._refuse_two_ways(dot, comma)
        if dot.any() or comma.any():
            return ("." if dot.any() else ","), None
        return self._likely_decimal()

    def _proof(self, decimal: str) -> npt.NDArray[np.bool_]:
        """Which values can only be read with this decimal character."""
        d, g = rf"\{decimal}", r"\," if decimal == "." else r"\."
        patterns = (
            rf"^[-+]?\d*{d}(?:\d{{0,2}}|\d{{4,}})(?:[eE][-+]?\d+)?$",  # not three digits behind it
            rf"^[-+]?0?{d}\d+$",  # nothing but a zero before it
            rf"^[-+]?\d{{4,}}{d}\d+$",  # four ungrouped digits before it
            rf"^[-+]?\d{{1,3}}(?:{g}\d{{2,3}})+{d}\d*$",  # behind a group of the other
            rf"^[-+]?\d{{1,3}}(?:{g}\d{{2,3}}){{2,}}$",  # the other one twice
        )
        return np.asarray(pc.and_(pc.match_substring_regex(self.text, "|".join(patterns)), pc.invert(self.blank)))

    def _likely_decimal(self) -> tuple[str, str | None]:
        """Only values such as 1,234 or 1.234: do the other whole numbers look as if thousands were grouped?"""
        mark = "," if pc.any(pc.match_substring(self.text, ",")).as_py() else "."
        other = "." if mark == "," else ","
        ambiguous = np.asarray(pc.match_substring_regex(self.text, rf"^[-+]?\d{{1,3}}\{mark}\d{{3}}$"))
        if not ambiguous.any():
            return ".", None
        small = pc.any(pc.match_substring_regex(self.text, r"^[-+]?\d{1,3}$")).as_py()
        large = pc.any(pc.match_substring_regex(self.text, r"^[-+]?\d{4,}$")).as_py()
        grouped = not large and (mark == "," or small)
        example = self.values[int(np.flatnonzero(ambiguous)[0])].as_py()
        reading = example.replace(mark, "") if grouped else example.replace(mark, ".")
        option = mark if grouped else other
        note = (
            f"Column {self.column!r}: {example!r} could mean two numbers and was read as {reading}; "
            f"if that is wrong, give --decimal {option!r}."
        )
        return (other if grouped else mark), note

    def _percent(self) -> tuple[str, ...]:
        percent = np.asarray(pc.match_substring_regex(self.values, r"%$"))
        if not percent.any():
            return ()
        plain = ~percent & ~np.asarray(self.blank)
        if plain.any():
            self._refuse_where(pa.array(plain), "has no percent sign, other values of the column have one")
        return (f"Column {self.column!r}: percent signs were dropped, 12% is read as 12.",)

    def _refuse_where(self, wrong: pa.BooleanArray, problem: str) -> None:
        chosen = np.asarray(pc.fill_null(wrong, False))
        if not chosen.any():
            return
        rows = np.flatnonzero(chosen[self.codes])
        value = self.values[int(self.codes[rows[0]])].as_py()
        raise self.table.refusal(
            f"{value!r} {problem}", row=int(rows[0]), column=self.column, value=value, more=len(rows) - 1,
            remedy=_REMEDY,
        )  # fmt: skip

    def _refuse_two_ways(self, dot: npt.NDArray[np.bool_], comma: npt.NDArray[np.bool_]) -> None:
        first, second = (int(np.flatnonzero(chosen[self.codes])[0]) for chosen in (dot, comma))
        values = [self.values[int(self.codes[row])].as_py() for row in (first, second)]
        raise self.table.refusal(
            f"{values[1]!r} has a decimal comma, but {values[0]!r} on {self.table.unit} {self.table.line(first)} "
            "has a decimal point",
            row=second, column=self.column, value=values[1], remedy="Write all numbers of the column in one way",
        )  # fmt: skip
