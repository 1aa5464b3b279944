"""Cells as any locale writes them, and bodies of any shape: a right reading or an error, never a failure."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.erp.bc_errors import BadArgument
from api.erp.bc_request import LARGEST_KEY, MODELS, SEASONALITIES, Question, decimal, parse, whole
from tests.api.erp.exchange import COLUMNS, NAMES, request_of

SEPARATORS = [",", ".", " ", "'", "’", "\u00a0", "\u202f", "\u2009", "٬", ""]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९"]


def grouped(number: int, separator: str, indian: bool) -> str:
    """A number as a locale groups its digits."""
    text, size = f"{number:,}".replace(",", separator), 2
    if not indian or number < 1000:
        return text
    head, tail = str(number)[:-3], str(number)[-3:]
    parts = [head[max(0, end - size) : end] for end in range(len(head), 0, -size)]
    return separator.join([*parts[::-1], tail])


@given(st.integers(0, LARGEST_KEY), st.sampled_from(SEPARATORS), st.booleans(), st.sampled_from(DIGITS))
def test_a_bucket_is_read_in_every_locale(number: int, separator: str, indian: bool, digits: str) -> None:
    text = grouped(number, separator, indian).translate(str.maketrans("0123456789", digits))
    assert whole(text) == number
    assert whole(f" {text} ") == number
    assert whole(number) == whole(float(number)) == number


@pytest.mark.parametrize(
    "cell", ["", "-1", "1.5", "12,34", "1e3", "0x10", "1__000", ",100", "1,00", "½", "²", None, [], {}, 1.5, -1, True]
)
def test_no_other_cell_is_a_bucket(cell: object) -> None:
    assert whole(cell) is None


@given(st.floats(-1e15, 1e15))
def test_a_quantity_is_read_as_it_was_written(number: float) -> None:
    assert decimal(number) == decimal(repr(number)) == decimal(f" {number!r}\t") == number


@given(st.text(max_size=12) | st.none() | st.booleans() | st.lists(st.integers()))
def test_a_quantity_is_what_python_reads_too_or_nothing(cell: object) -> None:
    found = decimal(cell)
    if found is not None:
        assert isinstance(cell, str)
        assert found == float(cell)
        assert math.isfinite(found)


@pytest.mark.parametrize("cell", ["1,5", "1_0", "nan", "inf", "1e400", "１", "0x1", "--1", "1.2.3", True, float("nan")])
def test_no_other_cell_is_a_quantity(cell: object) -> None:
    assert decimal(cell) is None


quantities = st.decimals(-10_000, 10_000, places=3).map(lambda number: f"{number.normalize():f}")


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name and name.isprintable()),
        st.lists(quantities, min_size=1, max_size=30),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(SEPARATORS),
    st.booleans(),
    st.sampled_from(SEASONALITIES),
    st.sampled_from(MODELS),
    st.integers(1, 400),
    st.floats(0.01, 99.99).map(lambda level: round(level, 2)),
    st.randoms(use_true_random=False),
)
def test_every_spelling_of_a_request_says_the_same(
    groups: dict[str, list[str]], separator: str, numbers: bool, seasonality: int, model: str, horizon: int,
    confidence: float, random: Any,
) -> None:  # fmt: skip
    rows = [
        [item, key + 999 if numbers else grouped(key + 999, separator, False), float(text) if numbers else text]
        for item, texts in groups.items()
        for key, text in enumerate(texts, 1)
    ]
    random.shuffle(rows)
    expected = {item: {key + 999: float(text) for key, text in enumerate(texts, 1)} for item, texts in groups.items()}
    body = request_of(rows, f"{horizon},{seasonality},1100,{model},{confidence}")
    order = list(range(3))
    random.shuffle(order)
    turned = {"ColumnNames": [COLUMNS[i] for i in order], "Values": [[row[i] for i in order] for row in rows]}
    objects = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    for table in (body["Inputs"]["input1"], turned, objects):
        body["Inputs"]["input1"] = table
        question = parse(orjson.dumps(body))
        assert isinstance(question, Question)
        assert question.groups == expected
        given = question.parameters
        assert (given.horizon, given.seasonality, given.start_key, given.model, given.confidence) == (
            horizon, seasonality, 1100, model, confidence,
        )  # fmt: skip


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["ColumnNames", "Values", "horizon", "DateKey", "method"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(anything, anything)
def test_any_json_is_a_question_or_an_error_in_words(table: Any, parameters: Any) -> None:
    fixed = f"{NAMES}\n3,12,6,ARIMA,80"
    for body in (
        {"Inputs": {"input1": table}, "GlobalParameters": {"Parameters": fixed}},
        {"Inputs": {"input1": {"ColumnNames": COLUMNS, "Values": table}}, "GlobalParameters": {"Parameters": fixed}},
        {"Inputs": {"input1": table}, "GlobalParameters": {"Parameters": parameters}},
        {"Inputs": table, "GlobalParameters": parameters},
        table,
    ):
        with suppress(BadArgument):
            question = parse(json.dumps(body).encode())
            assert question is None or question.parameters.horizon >= 1
