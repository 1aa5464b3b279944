"""The ladder of forecast value added: its figures, its intervals and its words."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from api.database import scores_engine_of, writing
from api.life.ladder import ENOUGH, gain_of, sentence, steps_of, sums
from api.life.score_answers import category_scores, ladder_frame, portfolio
from api.life.score_models import Step
from api.life.score_tables import edition, remade
from api.life.score_tables import score as score_table
from api.life.scores import Chosen, scores
from api.settings import Settings
from forecast import metrics
from signals.store import UnknownCategory, open_snapshot
from tests.api.life.past import mondays, publish


def by_name(steps: list[Step]) -> dict[str, Step]:
    return {one.step: one for one in steps}


@pytest.mark.parametrize("lead", [None, 2])
def test_each_step_is_what_its_scores_say(lived: Settings, lead: int | None) -> None:
    wanted = Chosen(("Boots",), lead=lead)
    frame, steps = scores(lived, wanted), by_name(steps_of(sums(lived, wanted)))
    assert list(steps) == ["naive", "seasonal_naive", "without_signals", "system"]
    actual, means = frame["actual"].to_numpy(), {"system": "mean"}
    for name, step in steps.items():
        point = frame[name].to_numpy()
        assert (step.origins, step.forecasts) == (frame["origin"].nunique(), len(frame))
        assert step.wape == pytest.approx(metrics.wape(actual, point))
        assert step.mase == pytest.approx((np.abs(point - actual) / frame["scale"]).mean())
        if name != "without_signals":
            assert step.bias_pct == pytest.approx(metrics.bias_pct(actual, frame[means.get(name, name)].to_numpy()))
    for level in (80, 95):
        held = metrics.coverage(actual, frame[f"lower{level}"].to_numpy(), frame[f"upper{level}"].to_numpy())
        assert steps["system"].coverage[str(level)] == pytest.approx(held)
    scaled = (frame[["without_signals", "system"]].sub(frame["actual"], axis=0).abs()).div(frame["scale"], axis=0)
    total = scaled.sum()
    assert steps["system"].gain_pct == pytest.approx(100 * (1 - total["system"] / total["without_signals"]))


def test_a_signal_that_drives_the_sales_is_found_worth_it(lived: Settings) -> None:
    told = category_scores(lived, open_snapshot(lived.home), "Boots", Chosen(lead=1))
    system = by_name(told.ladder[0].steps)["system"]
    assert system.gain_pct is not None
    assert system.gain_interval_pct is not None
    assert system.gain_interval_pct[0] > 0
    assert f"signals made the error {system.gain_pct:.0f} % smaller" in told.sentence
    assert told.sentence.startswith(f"Over {told.periods} weeks ")


def test_below_the_minimum_sample_nothing_is_said(lived: Settings) -> None:
    told = category_scores(lived, open_snapshot(lived.home), "Hats", Chosen())
    origins = scores(lived, Chosen(("Hats",)))["origin"].nunique()
    assert 0 < origins < ENOUGH
    for step in told.ladder[0].steps:
        assert (step.gain_pct, step.gain_interval_pct, step.note) == (None, None, f"too few: {origins} of {ENOUGH}")
    assert told.sentence == f"Nothing can be said yet: {origins} of {ENOUGH} origins are scored."
    far = category_scores(lived, open_snapshot(lived.home), "Boots", Chosen(lead=50))
    assert (far.sentence, far.ladder[0].steps, far.periods, far.since) == ("No forecast was scored yet.", [], 0, None)
    with pytest.raises(UnknownCategory):
        category_scores(lived, open_snapshot(lived.home), "Boot", Chosen())


def test_there_is_one_ladder_of_all_leads_and_one_of_each(lived: Settings) -> None:
    told = category_scores(lived, open_snapshot(lived.home), "Boots", Chosen())
    assert [one.lead for one in told.ladder] == [None, 1, 2, 3, 4, 5]
    for one in told.ladder[1:]:
        assert (
            one.steps
            == category_scores(lived, open_snapshot(lived.home), "Boots", Chosen(lead=one.lead)).ladder[0].steps
        )
    whole = told.ladder[0].steps[0].forecasts
    assert whole == sum(one.steps[0].forecasts for one in told.ladder[1:])


def test_periods_and_prints_can_be_chosen(lived: Settings) -> None:
    snapshot, since, until = open_snapshot(lived.home), mondays(12)[0].date(), mondays(6)[0].date()
    told = category_scores(lived, snapshot, "Boots", Chosen(since=since, until=until))
    assert (told.since, told.until) == (since + dt.timedelta(days=6), until - dt.timedelta(days=1))
    assert told.periods == 6
    first = category_scores(lived, snapshot, "Boots", Chosen(basis="first"))
    latest = category_scores(lived, snapshot, "Boots", Chosen())
    assert first.basis == "first"
    assert first.ladder[0].steps[0].bias_pct != latest.ladder[0].steps[0].bias_pct


def test_the_portfolio_is_over_all_that_may_be_seen(lived: Settings) -> None:
    snapshot = open_snapshot(lived.home)
    whole = portfolio(lived, snapshot, Chosen())
    assert [one.category for one in whole.items] == ["Boots", "Hats"]
    frame = scores(lived, Chosen())
    system = by_name(whole.ladder.steps)["system"]
    assert system.forecasts == len(frame)
    assert system.mase == pytest.approx(((frame["system"] - frame["actual"]).abs() / frame["scale"]).mean())
    assert system.wape == pytest.approx(metrics.wape(frame["actual"].to_numpy(), frame["system"].to_numpy()))
    boots = portfolio(lived, snapshot, Chosen(), visible={"Boots", "Gloves"})
    alone = category_scores(lived, snapshot, "Boots", Chosen()).ladder[0].steps
    assert [one.wape for one in boots.ladder.steps] == pytest.approx([one.wape for one in alone])
    assert boots.ladder.steps[-1].gain_interval_pct == pytest.approx(alone[-1].gain_interval_pct)
    assert [one.category for one in boots.items] == ["Boots"]
    assert boots.items[0].steps == boots.ladder.steps
    page = portfolio(lived, snapshot, Chosen(), limit=1, offset=1)
    assert ([one.category for one in page.items], page.total) == (["Hats"], 2)
    assert page.ladder == whole.ladder
    nothing = portfolio(lived, snapshot, Chosen(), visible=set())
    assert (nothing.items, nothing.total, nothing.ladder.steps) == ([], 0, [])


def test_sales_of_several_units_are_not_added_up(lived: Settings) -> None:
    steps = by_name(steps_of(sums(lived, Chosen()), one_unit=False))
    assert (steps["system"].wape, steps["system"].bias_pct) == (None, None)
    assert steps["system"].mase is not None
    assert steps["system"].gain_pct is not None


def test_what_people_published_is_the_last_step(scored: Settings) -> None:
    publish(scored, 24, better=True)
    told = category_scores(scored, open_snapshot(scored.home), "Boots", Chosen(lead=1))
    published = by_name(told.ladder[0].steps)["published"]
    frame = scores(scored, Chosen(("Boots",), lead=1))
    assert frame["overridden"].sum() == 24
    assert published.gain_pct is not None
    assert published.gain_pct > 0
    assert "overrides made the error" in told.sentence
    assert "smaller" in told.sentence


def test_people_who_did_harm_are_told_so(scored: Settings) -> None:
    publish(scored, 20, better=False)
    told = category_scores(scored, open_snapshot(scored.home), "Boots", Chosen(lead=1))
    published = by_name(told.ladder[0].steps)["published"]
    assert published.gain_interval_pct is not None
    assert published.gain_interval_pct[1] < 0
    assert f"overrides made the error {-published.gain_pct:.0f} % larger" in told.sentence  # type: ignore[operator]


def test_who_changes_nothing_has_no_effect(scored: Settings) -> None:
    publish(scored, 20, better=None)
    told = category_scores(scored, open_snapshot(scored.home), "Boots", Chosen(lead=1))
    published = by_name(told.ladder[0].steps)["published"]
    assert (published.gain_pct, published.gain_interval_pct) == (0.0, (0.0, 0.0))
    frame = scores(scored, Chosen(("Boots",), lead=1))
    assert (frame["mean"] != frame["system"]).any()  # else the mean would do as well


def test_a_few_overrides_say_nothing_yet(scored: Settings) -> None:
    publish(scored, 3, better=True)
    told = category_scores(scored, open_snapshot(scored.home), "Boots", Chosen())
    rest = scores(scored, Chosen(("Boots",))).query("not overridden")
    assert (rest["published"] == rest["system"]).all()
    assert by_name(told.ladder[0].steps)["published"].note == "too few: 3 of 8"
    assert "of overrides nothing can be said yet (too few: 3 of 8)" in told.sentence


def test_a_step_is_compared_where_both_have_a_number(scored: Settings) -> None:
    before = by_name(steps_of(sums(scored, Chosen(("Boots",)))))
    with writing(scores_engine_of(scored)) as connection:  # as where a configuration could not be made again
        some = sa.select(edition.c.edition).order_by(edition.c.edition).limit(6)
        connection.execute(remade.delete().where(remade.c.edition.in_(some)))
        connection.execute(score_table.update().where(score_table.c.lead == 3).values(naive=None))
    steps, frame = by_name(steps_of(sums(scored, Chosen(("Boots",))))), scores(scored, Chosen(("Boots",)))
    assert steps["system"].forecasts == before["system"].forecasts > steps["without_signals"].forecasts
    errors = (
        frame[["without_signals", "system"]].sub(frame["actual"], axis=0).abs().div(frame["scale"], axis=0).dropna()
    )
    total = errors.sum()
    assert steps["system"].gain_pct == pytest.approx(100 * (1 - total["system"] / total["without_signals"]))
    assert steps["naive"].forecasts == (frame["lead"] != 3).sum()


def test_the_frame_has_the_whole_ladder(lived: Settings) -> None:
    frame = ladder_frame(lived, Chosen())
    told = category_scores(lived, open_snapshot(lived.home), "Boots", Chosen())
    own = frame[frame["category"] == "Boots"]
    assert own["lead"].isna().sum() == len(told.ladder[0].steps)
    assert own["wape"].tolist() == [step.wape for one in told.ladder for step in one.steps]
    assert {"gain_low_pct", "gain_high_pct", "coverage80", "coverage95", "note"} <= set(frame)
    assert ladder_frame(lived, Chosen(("Gloves",))).empty


def drawn(rng: np.random.Generator, n: int, ahead: int, better: float) -> tuple[np.ndarray, np.ndarray]:
    """Errors by origin of two forecasts of `ahead` periods each, whose shocks overlap from origin to origin."""
    shocks = np.abs(rng.standard_t(5, (2, n + ahead))) + 0.5
    common = np.abs(rng.standard_normal(n + ahead))
    each = [np.convolve(common + one, np.ones(ahead), "valid")[:n] for one in shocks]
    return each[0], better * each[1]


@pytest.mark.parametrize(("n", "ahead"), [(8, 1), (8, 4), (26, 1), (26, 8), (104, 8)])
def test_the_interval_of_a_gain_holds_as_often_as_it_says(n: int, ahead: int) -> None:
    rng, held = np.random.default_rng(n + ahead), []
    for _ in range(1500):
        gain = gain_of(*drawn(rng, n, ahead, 0.9), ahead)
        assert gain is not None
        held.append(gain.interval[0] <= 10 <= gain.interval[1])
    assert 0.86 <= np.mean(held) <= 0.97


def test_there_is_no_gain_over_no_error() -> None:
    assert gain_of(np.zeros(9), np.ones(9)) is None
    assert gain_of(np.ones(1), np.ones(1)) is None
    gain = gain_of(np.ones(9), np.full(9, 0.8))
    assert gain is not None
    assert gain.pct == pytest.approx(20)
    assert gain.interval == pytest.approx((20, 20))


def step(name: str, gain: float | None, between: tuple[float, float] | None, note: str | None = None) -> Step:
    return Step.model_validate({
        "step": name, "origins": 26, "forecasts": 26, "wape": 0.1, "mase": 0.8, "bias_pct": 0.0, "coverage": {},
        "gain_pct": gain, "gain_interval_pct": between, "note": note,
    })  # fmt: skip


def test_the_sentence_says_it_plainly() -> None:
    first = [step("naive", None, None), step("seasonal_naive", 3.0, (-1, 7)).model_copy(update={"mase": 1.0})]
    first.append(step("without_signals", 20.0, (10, 30)))
    clear = [*first, step("system", 4.2, (1.0, 7.0)), step("published", -3.1, (-5.0, -1.0))]
    assert sentence(clear, "26 weeks") == (
        "Over 26 weeks signals made the error 4 % smaller; overrides made the error 3 % larger; the forecast's error "
        "was 20 % smaller than seasonal naive's."
    )
    unclear = [*first, step("system", 1.2, (-1.0, 3.0))]
    assert "Over 1 month signals made no clear difference (error 1.2 % smaller); the" in sentence(unclear, "1 month")
    nothing = [*first, step("system", 0.0, (0.0, 0.0))]
    assert "Over 9 origins signals changed nothing; the" in sentence(nothing, "9 origins")
    unknown = [*first, step("system", None, None)]
    assert "signals could not be judged" in sentence(unknown, "9 days")
    assert sentence([], "0 days") == "No forecast was scored yet."


def test_days_are_those_of_the_periods(lived: Settings) -> None:
    frame = scores(lived, Chosen(("Boots",)))
    assert (frame["period"].dt.dayofweek == 6).all()
    assert frame["origin"].lt(frame["period"]).all()
    assert isinstance(frame["period"].dtype, type(pd.Series(dtype="datetime64[us]").dtype))


def test_the_portfolio_is_added_up_once_a_pass(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, before = open_snapshot(scored.home), portfolio(scored, open_snapshot(scored.home), Chosen()).ladder
    with monkeypatch.context() as patch:
        patch.setattr("api.life.score_answers._summaries", lambda *_: [])
        patch.setattr("api.life.score_answers.sums", None)
        assert portfolio(scored, snapshot, Chosen()).ladder == before
    publish(scored, 9, better=True)
    after = portfolio(scored, snapshot, Chosen()).ladder
    assert [one.step for one in after.steps] == [*(one.step for one in before.steps), "published"]
