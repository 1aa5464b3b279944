import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.numbers import parse_numbers
from signals.refused import ImportRefused
from signals.tables import read_table


def parsed(values, decimal=None):
    return parse_numbers(read_table(pd.DataFrame({"units": pd.Series(values)})), "units", decimal)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1.234.567", 1234567),
        ("1,234,567", 1234567),
        ("12,34,567", 1234567),
        ("1 234,5", 1234.5),
        ("1\u202f234", 1234),
        ("1'234.50", 1234.5),
        ("0,123", 0.123),
        ("12,5", 12.5),
        (".5", 0.5),
        ("+7", 7),
        ("3.", 3),
        ("2.5E+03", 2500),
        ("(12)", -12),
        ("12-", -12),
        ("− 4", -4),
        ("€ 12.50", 12.5),
        ("-$5", -5),
        ("1,200.00 USD", 1200),
        ("(€ 3)", -3),
        ("CHF 1'000.00", 1000),
    ],
)
def test_number_formats(text, number):
    assert parsed([text]).values.tolist() == [number]


@pytest.mark.parametrize("blank", ["", " ", "NA", "n/a", "#N/A", "null", "None", "-", ".", "–"])
def test_blanks_are_not_known(blank):
    assert np.isnan(parsed([blank, "3"]).values).tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "first", "note"),
    [
        (["1,234", "950"], 1234, True),  # what is below 1000 has no comma: thousands are grouped
        (["1,234", "1500"], 1.234, True),  # they are not
        (["1.234", "950"], 1234, True),
        (["1.234", "2.500"], 1.234, True),
        (["1,234", "1,2"], 1.234, False),
        (["1,234", "1,234.5"], 1234, False),
    ],
)
def test_ambiguous_mark_is_decided_by_the_column(values, first, note):
    numbers = parsed(values)
    assert numbers.values[0] == first
    assert bool(numbers.notes) == note


def test_decimal_option_decides():
    assert parsed(["1,234", "950"], decimal=",").values.tolist() == [1.234, 950]
    assert parsed(["1.234"], decimal=",").values.tolist() == [1234]
    with pytest.raises(ImportRefused, match=r"'1\.5' is not a number \(decimal character ','\)"):
        parsed(["1.5"], decimal=",")


@pytest.mark.parametrize("value", ["abc", "12 pieces of 3", "1,23,45", "1.2.3", "--5", "12:30"])
def test_text_is_refused_with_its_row(value):
    with pytest.raises(ImportRefused, match="is not a number") as refusal:
        parsed(["1", value, "2", value])
    assert (refusal.value.row, refusal.value.column, refusal.value.value) == (2, "units", value)
    assert "1 more row" in str(refusal.value)


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e16", float("inf"), 1e300])
def test_infinite_and_absurd_numbers_are_refused(value):
    with pytest.raises(ImportRefused, match="not a number one can count with"):
        parsed([value])


def test_two_decimal_characters_are_refused_with_both_rows():
    with pytest.raises(ImportRefused, match=r"'1,5' has a decimal comma, but '2\.5' on row 1"):
        parsed(["2.5", "1,5"])


def test_percent_signs():
    assert parsed(["12%", "3 %"]).values.tolist() == [12, 3]
    with pytest.raises(ImportRefused, match="has no percent sign"):
        parsed(["12%", "3"])


@pytest.mark.parametrize(("group", "decimal"), [(",", "."), (".", ","), (" ", ","), ("'", "."), ("", "."), ("", ",")])
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(10**11), 10**11), min_size=1, max_size=8))
def test_formatted_numbers_come_back(group, decimal, cents):
    texts = [f"{cent / 100:,.2f}".replace(",", "G").replace(".", decimal).replace("G", group) for cent in cents]
    assert parsed(texts).values.tolist() == [cent / 100 for cent in cents]
