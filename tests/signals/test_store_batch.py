"""Frames that a batch may not hold, and the one clear message for each."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from signals.batch import Batch, BatchRefused, to_arrow
from tests.signals.store_frames import NOW, batch, categories, observations, sales, signals


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (sales([1]).drop(columns="end"), "sales has no column 'end'; its columns are: category, start"),
        (sales([1]).assign(knownat=1), "sales has the column 'knownat' which the store does not know"),
        (sales([1]).assign(category=5), "column 'category' has type int64.*allowed: text"),
        (sales([1, 2]).assign(category=["a", ""]), "sales row 2 .*category is ; every row needs one"),
        (sales([1]).assign(start="2026-01-05"), "column 'start' has type str.*allowed: datetime64 without a time zone"),
        (sales([1], known_at=pd.DatetimeIndex([NOW], tz="UTC")), "column 'known_at' has type datetime64.*UTC"),
        (sales([1]).assign(quantity="many"), "column 'quantity' has type str.*for instance 'many'"),
        (sales([1, 2, 3]).assign(quantity=[1, np.inf, 2]), "sales row 2 .*quantity is inf; it must be a finite number"),
        (
            sales([1, 2]).assign(end=lambda f: f["start"]),
            "sales row 1 .*a period ends after it starts.*2 rows are like",
        ),
        (sales([1]).assign(end=pd.NaT), "end is NaT; every row needs one"),
        (sales([1], known_at=pd.DatetimeIndex([NOW + timedelta(seconds=1)])), "known_at .*lies in the future"),
    ],
)
def test_sales_that_are_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(BatchRefused, match=message):
        to_arrow(batch(frame, categories=None), NOW)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Batch(""), "names no connector"),
        (batch(lag=timedelta(days=-1)), "lag is -1 day"),
        (batch(categories=categories("Shoes", attributes="{")), "attributes is {; it must be a JSON object"),
        (batch(signals=signals(future_known="yes")), "column 'future_known' has type str.*allowed: true or false"),
        (batch(signals=signals(publication_lag=3)), "column 'publication_lag' has type int64.*allowed: timedelta64"),
        (batch(observations=observations([1], value=True)), "column 'value' has type bool.*allowed: numbers"),
    ],
)
def test_batches_that_are_refused(bad: Batch, message: str) -> None:
    with pytest.raises(BatchRefused, match=message):
        to_arrow(bad, NOW)


def test_frames_may_come_as_pandas_makes_them() -> None:
    frame = sales([1, None], known_at=None).astype({"category": "category", "start": "datetime64[s]"})
    table = to_arrow(batch(frame), NOW)["sales"]
    assert table.column("quantity").to_pylist() == [1.0, None]
    assert table.column("known_at").null_count == 2
    assert table.column("category").to_pylist() == ["Shoes", "Shoes"]


def test_columns_that_are_left_out_are_missing_and_empty_frames_are_no_tables() -> None:
    tables = to_arrow(batch(sales([]), categories=None, observations=observations([1])), NOW)
    assert set(tables) == {"observations"}
    assert tables["observations"].column("window").to_pylist() == [""]
    assert tables["observations"].column("is_partial").to_pylist() == [None]
