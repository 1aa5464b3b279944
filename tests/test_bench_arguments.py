"""A benchmark asked for nothing says so, and does not begin."""

import argparse

import pytest

from bench.arguments import whole_number


def test_a_count_is_a_whole_number_from_one() -> None:
    assert whole_number("12") == 12


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "many", ""])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="allowed: a whole number from 1"):
        whole_number(text)
