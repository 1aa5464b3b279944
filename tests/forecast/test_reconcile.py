"""Forecasts of a tree of categories: they add up, leaves and totals alike, and a plan is split exactly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from forecast import Hierarchy, HistoryError, OptionError, reconcile
from forecast.coherent import METHODS, Method, coherent, least_variance, moments_of, shrunk_covariance, top_down
from forecast.reconcile import DRIVER
from forecast.records import records_of
from forecast.tree import tree_of

PARENTS = {"boots": "shoes", "sandals": "shoes", "shoes": "all", "hats": "all"}
LEAVES = ["boots", "sandals", "hats"]
WEEKS = pd.date_range("2022-01-02", periods=156, freq="W-SUN")
TREE = tree_of(PARENTS)


def sales(*, leaves: list[str] = LEAVES, moved: float = 0.25) -> pd.DataFrame:
    """What is bought of one leaf is not bought of another: the total is easier to forecast than its parts."""
    rng = np.random.default_rng(4)
    season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(WEEKS.size) / 52)
    taste = rng.normal(scale=moved, size=(len(leaves), WEEKS.size))
    taste -= taste.mean(axis=0)
    frames = []
    for i, name in enumerate(leaves):
        y = (100 + 40 * i) * season * (1 + taste[i] + rng.normal(scale=0.03, size=WEEKS.size))
        frames.append(pd.DataFrame({"unique_id": name, "ds": WEEKS, "y": y.clip(0)}))
    return pd.concat(frames, ignore_index=True)


@lru_cache(maxsize=4)
def answer(method: Method) -> Hierarchy:
    return reconcile(sales(), 6, PARENTS, method=method)


def test_the_tree() -> None:
    assert TREE.inner == ("all", "shoes")
    assert TREE.leaves == ("boots", "sandals", "hats")
    assert TREE.depths.tolist() == [0, 1, 2, 2, 1]
    assert TREE.below.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert TREE.sums(np.array([[1.0], [2.0], [4.0]])).ravel().tolist() == [7, 3, 1, 2, 4]


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ({"a": "b", "b": "c", "c": "a"}, "no category above itself"),
        ({"a": "a"}, "no category above itself"),
        ({"a": None}, "a parent for each category below a total"),
        ({}, "a parent for each category below a total"),
    ],
)
def test_what_is_no_tree(parents: dict[str, str | None], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tree_of(parents)


def test_mint_is_the_formula_of_its_authors() -> None:
    errors = np.random.default_rng(1).normal(size=(5, 40))
    errors[0] += errors[2:].sum(axis=0)
    moments = shrunk_covariance(errors)
    sums, inverse = TREE.sums(np.eye(3)), np.linalg.inv(moments)
    expected = sums @ np.linalg.solve(sums.T @ inverse @ sums, sums.T @ inverse)
    np.testing.assert_allclose(least_variance(TREE, moments), expected, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_what_adds_up_stays(method: Method) -> None:
    values = TREE.sums(np.random.default_rng(2).uniform(size=(3, 4)))
    errors = np.random.default_rng(3).normal(size=(5, 40))
    np.testing.assert_allclose(coherent(TREE, method, values, moments_of(method, errors, {})), values, atol=1e-9)


def test_a_node_that_never_errs_does_no_harm() -> None:
    errors = np.random.default_rng(3).normal(size=(5, 40))
    errors[1] = 0
    values = np.array([[9.0], [5], [2], [2], [5]])
    for method in METHODS:
        made = coherent(TREE, method, values, moments_of(method, errors, {}))
        assert np.isfinite(made).all()
        np.testing.assert_allclose(made, TREE.sums(made[2:]))


def test_without_past_errors_the_leaves_are_summed() -> None:
    values = np.array([[9.0], [5], [2], [2], [5]])
    made = coherent(TREE, "mint", values, moments_of("mint", np.ones((5, 3)), {}))
    assert made.ravel().tolist() == [9, 4, 2, 2, 5]


def test_a_total_is_split_as_the_parts_are_forecast() -> None:
    values = np.array([[100.0, 90], [30, 0], [1, 0], [3, 0], [10, 0]])
    expected = [[100, 90], [75, 45], [18.75, 22.5], [56.25, 22.5], [25, 45]]
    np.testing.assert_allclose(top_down(TREE, values), expected)


def test_a_total_is_split_by_size_where_some_are_negative() -> None:
    values = np.array([[-4.0], [-5], [99], [-104], [1]])  # boots sold, sandals returned
    made = top_down(TREE, values).ravel()
    assert made[0] == pytest.approx(-4)
    assert made[2:4] == pytest.approx([99, -104], rel=0.01)
    np.testing.assert_allclose(made, TREE.sums(made[2:]))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_known_stays(method: Method) -> None:
    values = np.array([[100.0, 90], [30, 50], [1, 20], [3, 20], [10, 70]])
    known = np.array([[5.0, np.nan], [np.nan, np.nan], [12.0, np.nan]])
    errors = np.random.default_rng(3).normal(size=(5, 40))
    moments = moments_of(method, errors, {})
    made = coherent(TREE, method, values, moments, known)
    np.testing.assert_allclose(made, TREE.sums(made[2:]))
    assert made[[2, 4], 0].tolist() == [5, 12]
    np.testing.assert_allclose(made[:, 1], coherent(TREE, method, values[:, 1:], moments)[:, 0])


def test_errors_of_who_has_no_record_are_taken_as_told() -> None:
    errors = np.random.default_rng(3).normal(size=(5, 40))
    for method in ("wls", "mint"):
        moments = moments_of(method, errors, {3: 7.0})
        assert moments is not None
        assert moments[3].tolist() == [0, 0, 0, 49, 0]
        assert moments[0, 0] == pytest.approx(np.square(errors[0]).mean())
    alone = moments_of("mint", errors[:, :2], dict.fromkeys(range(5), 2.0))
    assert alone is not None
    assert alone.tolist() == (4 * np.eye(5)).tolist()


def test_what_is_dead_may_still_be_dead() -> None:
    frame = sales()
    frame.loc[(frame["unique_id"] == "hats") & (frame["ds"] >= WEEKS[40]), "y"] = 0.0
    frame.loc[frame["unique_id"] == "sandals", "y"] = 0.0
    for method in METHODS:
        found = reconcile(frame, 6, PARENTS, method=method)
        for name in ("hats", "sandals"):
            one = found.forecasts[name]
            low, high = one.interval(95)
            assert (low <= 0.05 * np.maximum(one.mean, 1)).all()
            assert (high >= one.mean).all()
            assert (np.diff(one.grid, axis=1) >= 0).all()
            parts = one.contributions().drop(columns="ds").sum(axis=1)
            assert (parts[one.mean == 0] == 0).all()


def test_a_short_leaf_borrows_and_its_totals_know() -> None:
    frame = sales()
    short = frame[(frame["unique_id"] != "sandals") | (frame["ds"] >= WEEKS[-3])]
    found = reconcile(short, 6, PARENTS)
    assert found.before["sandals"].engine.name == "like"
    assert found.before["sandals"].mean == pytest.approx(np.full(6, 140), rel=0.5)
    parts = sum(found.before[name].mean for name in LEAVES)
    assert found.before["all"].mean == pytest.approx(parts, rel=0.1)
    assert found.before["all"].contributions()["below/sandals"].tolist() == found.before["sandals"].mean.tolist()
    assert np.isfinite(found.gains["wape_after"].to_numpy(dtype=float)).all()
    alone = frame[frame["ds"] >= WEEKS[-20]]
    assert {one.engine.name for one in reconcile(alone, 2, PARENTS).before.values()} == {"fast"}


@pytest.mark.parametrize("method", METHODS)
def test_every_level_adds_up(method: Method) -> None:
    found = answer(method)
    mean = np.array([found.forecasts[name].mean for name in TREE.names])
    np.testing.assert_allclose(mean, TREE.sums(mean[2:]), rtol=1e-12)
    assert (mean > 0).all()
    for name, one in found.forecasts.items():
        parts = one.contributions().drop(columns="ds")
        np.testing.assert_allclose(parts.sum(axis=1), one.mean, rtol=1e-9)
        np.testing.assert_allclose(parts[DRIVER], one.mean - found.before[name].mean)
        assert (np.diff(one.grid, axis=1) >= 0).all()
        assert one.to_dict()["engine"]["reason"].endswith(f"reconciled by {method}")


def test_bottom_up_leaves_the_leaves() -> None:
    found = answer("bottom_up")
    for name in LEAVES:
        np.testing.assert_allclose(found.forecasts[name].mean, found.before[name].mean)
        np.testing.assert_allclose(found.forecasts[name].grid, found.before[name].grid)


def test_the_total_says_something_to_its_parts() -> None:
    by = {method: answer(method).gains for method in METHODS}
    wape = {method: gains["wape_after"].to_numpy(dtype=float) for method, gains in by.items()}
    gained = by["mint"]["gain_pct"].to_numpy(dtype=float)
    assert by["mint"]["nodes"].tolist() == [1, 2, 2]
    assert wape["mint"][0] < wape["bottom_up"][0] * 1.01
    assert wape["wls"][0] < wape["bottom_up"][0] * 1.01
    assert (gained > -2).all()
    assert gained.max() > 1
    assert list(by["mint"])[2:] == ["wape_before", "mase_before", "wape_after", "mase_after", "gain_pct"]


def test_past_origins_rest_on_errors_of_their_past() -> None:
    past = records_of(TREE, answer("mint").before, frozenset())
    for at in (0, 5, past.ds.size - 1):
        assert past.errors(at).shape[1] == int((past.periods <= past.ds[at]).sum())
    assert past.errors(0).shape[1] < past.errors(past.ds.size - 1).shape[1] < past.errors().shape[1]


def test_one_frame() -> None:
    frame = answer("mint").to_frame()
    assert list(frame) == ["unique_id", "level", "ds", "mean", "median", "lo-80", "hi-80", "lo-95", "hi-95"]
    assert frame["unique_id"].drop_duplicates().tolist() == list(TREE.names)
    assert len(frame) == 6 * len(TREE.names)


def test_signals_go_to_their_node() -> None:
    signal = pd.DataFrame({"signal": "search", "ds": WEEKS, "value": np.arange(WEEKS.size, dtype=float)})
    found = reconcile(sales(), 2, PARENTS, signals={"shoes": signal})
    assert [len(found.forecasts[name].signals) for name in TREE.names] == [0, 1, 0, 0, 0]
    with pytest.raises(OptionError, match="a category of the tree"):
        reconcile(sales(), 2, PARENTS, signals={"gloves": signal})


def test_a_plan_is_split_as_the_forecasts_are() -> None:
    found = answer("mint")
    ds = pd.DatetimeIndex(found.forecasts["all"].ds)[1:3]
    split = found.split("shoes", pd.Series([1000.0, 2000.0], index=ds))
    wide = split.pivot(index="ds", columns="unique_id", values="plan")
    assert wide.columns.tolist() == ["boots", "sandals", "shoes"]
    np.testing.assert_allclose(wide["shoes"], [1000, 2000])
    np.testing.assert_allclose(wide["boots"] + wide["sandals"], wide["shoes"], rtol=1e-12)
    forecasts = {name: found.forecasts[name].mean[1:3] for name in ("boots", "sandals")}
    np.testing.assert_allclose(wide["boots"] / wide["sandals"], forecasts["boots"] / forecasts["sandals"])


@pytest.mark.parametrize(
    ("name", "days", "message"),
    [
        ("boots", ["2025-01-05"], "a category with others below it: all, shoes"),
        ("all", ["2024-12-22"], "periods of the horizon, 2024-12-29 to 2025-02-02"),
        ("all", ["2026-12-22"], "periods of the horizon"),
        ("all", [], "periods of the horizon"),
    ],
)
def test_a_plan_that_cannot_be_split(name: str, days: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        answer("mint").split(name, pd.Series(1.0, index=pd.DatetimeIndex(days)))


def test_a_leaf_that_came_later_sold_nothing_before() -> None:
    frame = sales()
    late = frame[(frame["unique_id"] != "hats") | (frame["ds"] >= WEEKS[100])]
    total = reconcile(late, 2, PARENTS).forecasts["all"].history
    others = frame[frame["unique_id"] != "hats"].groupby("ds")["y"].sum()
    np.testing.assert_allclose(total["y"].to_numpy()[:100], others.to_numpy()[:100])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (sales().rename(columns={"y": "sales"}), "no column y"),
        (sales().assign(known_at="2026-01-01"), "totals have no vintages"),
        (pd.concat([sales(), sales().head(1)]), "boots at 2022-01-02 00:00:00 twice"),
        (sales(leaves=["boots", "sandals"]), "no sales of hats"),
        (sales(leaves=[*LEAVES, "shoes"]), "sales of shoes; wanted sales of each category without children"),
        (sales().iloc[:-1], "hats, which ends at 2024-12-15; wanted sales to 2024-12-22"),
    ],
    ids=["column", "vintages", "twice", "missing", "inner", "ends"],
)
def test_histories_that_cannot_be_summed(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        reconcile(frame, 2, PARENTS)


def test_an_unknown_method() -> None:
    with pytest.raises(OptionError, match="one of wls, mint, bottom_up, top_down"):
        reconcile(sales(), 2, PARENTS, method="ols")  # type: ignore[arg-type]
