import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.periods import labels, parse_frequency, place, spans, start, weekly
from signals.refused import ImportRefused

FREQUENCIES = ["D", "MS", "QS", *(weekly(day) for day in range(7))]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_labels_are_those_of_pandas(frequency):
    days = np.arange("1965-01-01", "2030-01-01", dtype="datetime64[D]")
    found = pd.DatetimeIndex(np.unique(labels(*spans(days, frequency), frequency)))
    assert found.equals(pd.date_range(found[0], found[-1], freq=frequency, unit=found.unit))


@pytest.mark.parametrize("frequency", FREQUENCIES)
@given(st.dates())
def test_a_span_contains_its_day_and_meets_the_next(frequency, day):
    begins, ends = spans(np.array([day], dtype="datetime64[D]"), frequency)
    assert begins[0] <= np.datetime64(day) < ends[0]
    assert start(place(ends, frequency), frequency)[0] == ends[0]


@pytest.mark.parametrize(
    ("text", "frequency"), [("weekly", "W"), ("w-sun", "W-SUN"), ("M", "MS"), ("quarterly", "QS"), (" d ", "D")]
)
def test_frequencies_have_several_names(text, frequency):
    assert parse_frequency(text) == frequency


def test_unknown_frequency_is_refused():
    with pytest.raises(ImportRefused, match="'fortnightly' is not known") as refusal:
        parse_frequency("fortnightly")
    assert "W-MON to W-SUN" in refusal.value.remedy
