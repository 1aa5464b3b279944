"""Issued forecasts are scored as their actuals come: rightly, once each, and again after whatever happens."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
import sqlalchemy as sa

from api.database import now, reading, scores_engine_of
from api.forecasting import Forecaster
from api.issued import BUSINESS_CENTRAL
from api.ledger import Issued, Ledger
from api.life.keeping import forget_receipts, forget_scores
from api.life.score_as import score_as
from api.life.score_tables import edition, scored_receipt
from api.life.scores import Chosen, losses, scores
from api.life.scoring import LOOK_SECONDS, giving_way, score_issued, score_until
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.service import history_frame, read_inputs
from api.settings import Settings
from api.snapshots import Snapshots
from forecast import Configuration, OptionError, forecast
from signals.store import Batch, open_snapshot, submit
from tests.api.life.past import fill_revised, forget, issue, mondays, score, tables


def sold(settings: Settings, category: str = "Boots") -> pd.DataFrame:
    """All vintages: ds, y, known_at."""
    return history_frame(open_snapshot(settings.home), category)


def test_a_score_is_what_was_forecast_beside_what_came(lived: Settings) -> None:
    frame, vintages = scores(lived, Chosen(("Boots",))), sold(lived)
    latest = vintages.drop_duplicates("ds", keep="last").set_index("ds")
    assert len(frame) > 60
    for _, row in frame.iterrows():
        answer = orjson.loads(Ledger(lived).resolve(row["receipt"]).answer)  # type: ignore[union-attr]
        (said,) = [one for one in answer["forecast"] if one["period"] == f"{row['period']:%Y-%m-%d}"]
        assert (row["mean"], row["system"]) == (said["value"], said["median"])
        assert [row["lower80"], row["upper80"]] == said["intervals"]["80"]
        assert [row["lower95"], row["upper95"]] == said["intervals"]["95"]
        assert (row["actual"], row["known"]) == tuple(latest.loc[row["period"], ["y", "known_at"]])
        assert row["lead"] == (row["period"] - pd.Timestamp(answer["history"]["end"])).days // 7
        assert row["nowcast"] == (said["kind"] == "nowcast")


def test_naive_forecasts_rest_on_what_was_known_at_the_origin(lived: Settings) -> None:
    frame, vintages = scores(lived, Chosen(("Boots",))), sold(lived)
    for _, row in frame.iterrows():
        known = vintages[vintages["known_at"] <= row["as_of"]].drop_duplicates("ds", keep="last").set_index("ds")["y"]
        assert known.index[-1] == row["origin"]
        assert row["naive"] == known.iloc[-1]
        assert row["seasonal_naive"] == known[row["period"] - pd.Timedelta(weeks=52)]
        steps = (known - known.shift(52)).abs().mean()
        assert row["scale"] == pytest.approx(steps)


def test_the_model_without_signals_is_what_it_would_have_said(lived: Settings) -> None:
    frame = scores(lived, Chosen(("Boots",)))
    assert frame["without_signals"].notna().all()
    driven = frame["lead"] <= 2  # sales follow the signal by a week, which is known a week ahead of them
    assert (frame["without_signals"] != frame["system"])[driven].mean() > 0.9
    snapshot = open_snapshot(lived.home)
    for origin in frame["origin"].unique()[[0, 9]]:
        rows = frame[frame["origin"] == origin]
        as_of = rows["as_of"].iloc[0]
        inputs = read_inputs(snapshot, "Boots", 4, as_of=as_of, from_origin=True)
        bare = forecast(inputs.history, inputs.horizon, frequency="W-SUN", as_of=as_of)
        assert rows["without_signals"].tolist() == bare.median[: len(rows)].tolist()


def test_without_a_candidate_signal_it_is_the_model_itself(lived: Settings) -> None:
    frame = scores(lived, Chosen(("Hats",)))
    assert len(frame)
    assert (frame["without_signals"] == frame["system"]).all()


def test_first_and_latest_print_are_both_kept(lived: Settings) -> None:
    first, latest = (scores(lived, Chosen(("Boots",), basis=basis)) for basis in ("first", "latest"))
    old = latest["period"] < pd.Timestamp(now()) - pd.Timedelta(days=20)
    assert old.any()
    assert np.allclose(latest["actual"][old], 1.02 * first["actual"][old])
    assert (first["known"] == first["period"] + pd.Timedelta(days=2)).all()
    assert (latest["known"][old] == latest["period"][old] + pd.Timedelta(days=16)).all()


def test_a_pass_again_changes_nothing_and_the_file_can_be_made_again(scored: Settings) -> None:
    before = tables(scored)
    assert all(before.values())
    again = score(scored)
    assert (again.forecasts, again.actuals, again.opened, again.without_signals) == (0, 0, 0, 0)
    assert tables(scored) == before
    forget(scored)
    score(scored)
    assert tables(scored) == before


class Broken(Exception):  # noqa: N818
    pass


def test_a_pass_that_breaks_off_anywhere_goes_on_where_it_was(lived: Settings, fresh: Settings) -> None:
    """The pauses lie between the transactions: it ends after each of them once."""
    passes = 0
    for allowed in range(1, 1000):
        left = iter(range(allowed % 7))

        def pause(left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise Broken

        try:
            score_issued(fresh, open_snapshot(fresh.home), moment=now(), pause=pause)
            break
        except Broken:
            passes += 1
    assert passes > 10
    assert tables(fresh) == tables(lived)


def test_it_is_whole_after_kill_9(lived: Settings, fresh: Settings) -> None:
    command = [sys.executable, "-c", "from api.cli import main; main()", "score", "--home", str(fresh.home)]
    root, ends = Path(__file__).parents[3], []
    for _ in range(3):
        child = subprocess.Popen(
            command, cwd=root, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(root)}
        )
        deadline = time.monotonic() + 60
        while child.poll() is None and not _has_moved(fresh) and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        ends.append(child.wait())
    assert -signal.SIGKILL in ends  # in the middle of its work
    score(fresh)
    assert tables(fresh) == tables(lived)


_SEEN: dict[Path, int] = {}


def _has_moved(settings: Settings) -> bool:
    """Whether more forecasts were opened since the last time."""
    with reading(scores_engine_of(settings)) as connection:
        opened = connection.execute(sa.select(sa.func.count()).where(edition.c.opened == sa.true())).scalar_one()
    moved = opened > _SEEN.get(settings.home, 0)
    if moved:
        _SEEN[settings.home] = opened
    return bool(moved)


def test_week_by_week_it_comes_to_the_same(lived: Settings, fresh: Settings) -> None:
    for moment in mondays(8):
        score(fresh, moment)
    known = scores(fresh, Chosen())["known"]
    assert known.max() <= pd.Timestamp(mondays(1)[0])
    assert len(losses(fresh, "Boots", moment=mondays(3)[0])) < len(losses(fresh, "Boots"))
    score(fresh)
    assert tables(fresh) == tables(lived)


def revise(settings: Settings, quantity: float | None, weeks_ago: int = 2) -> pd.Timestamp:
    """Give a week of the past another quantity now; the label of the week."""
    sales = open_snapshot(settings.home).sales("Boots")
    row = sales.iloc[[-weeks_ago]][["start", "end", "quantity"]].assign(category="Boots", quantity=quantity)
    submit(settings.home, Batch("revision", sales=row.assign(known_at=pd.NaT, source="test")))
    return pd.Timestamp(row["end"].iloc[0]) - pd.Timedelta(days=1)


def test_a_revision_replaces_the_score_and_leaves_the_first(scored: Settings) -> None:
    first = scores(scored, Chosen(("Boots",), basis="first"))
    period = revise(scored, 777.0)
    done = score(scored)
    assert (done.forecasts, done.actuals, done.opened) == (0, 1, 0)
    latest = scores(scored, Chosen(("Boots",)))
    assert set(latest["actual"][latest["period"] == period]) == {777.0}
    assert 777.0 not in set(latest["actual"][latest["period"] != period])
    pd.testing.assert_frame_equal(scores(scored, Chosen(("Boots",), basis="first")), first)


def test_a_category_that_was_not_sold_is_not_read(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    revise(scored, 777.0)
    read: list[str] = []
    snapshot = open_snapshot(scored.home)
    monkeypatch.setattr(
        snapshot, "sales", lambda name, *given, _=snapshot.sales, **more: read.append(name) or _(name, *given, **more)
    )
    moment = now()
    score_issued(scored, snapshot, moment=moment)
    assert read == ["Boots"]
    score_issued(scored, snapshot, moment=moment)
    assert read == ["Boots"]


def test_what_is_withdrawn_is_not_scored(scored: Settings) -> None:
    period = revise(scored, None)
    score(scored)
    assert period not in set(scores(scored, Chosen(("Boots",)))["period"])
    assert period in set(scores(scored, Chosen(("Boots",), basis="first"))["period"])


def test_forecasts_that_say_the_same_are_one(scored: Settings) -> None:
    moment = mondays(10)[0]
    again = issue(scored, [moment, moment + dt.timedelta(minutes=1)], "Boots")
    before = scores(scored, Chosen(every=True))
    done = score(scored)
    assert (done.forecasts, done.opened, done.without_signals) == (2, 0, 0)
    after = scores(scored, Chosen(every=True))
    assert len(after) == len(before)
    for receipt in again:
        rows = scores(scored, Chosen(receipt=receipt))
        assert set(rows["receipt"]) == {again[-1]}
        assert rows["origin"].nunique() == 1


def test_of_an_origin_the_last_of_the_champion_counts(scored: Settings) -> None:
    moment = mondays(10)[0]
    (asked,) = issue(scored, [moment + dt.timedelta(hours=3)], "Boots", engine="seasonal_naive")
    (longer,) = issue(scored, [moment + dt.timedelta(hours=2)], "Boots", horizon=6)
    score(scored)
    counting = scores(scored, Chosen(("Boots",)))
    assert longer in set(counting["receipt"])
    assert asked not in set(counting["receipt"])
    assert counting.groupby("origin")["receipt"].nunique().eq(1).all()
    assert set(scores(scored, Chosen(receipt=asked))["role"]) == {"asked"}


def test_one_that_came_late_is_found(scored: Settings) -> None:
    snapshot = open_snapshot(scored.home)
    issue(scored, [now() - dt.timedelta(weeks=3)], "Hats", horizon=2)
    (receipt,) = issue(scored, [now() - dt.timedelta(days=1)], "Hats", horizon=2)
    assert score_issued(scored, snapshot, moment=now()).forecasts == 1
    assert score_issued(scored, snapshot, moment=now(), whole=True).forecasts == 1
    with reading(scores_engine_of(scored)) as connection:
        assert connection.execute(
            sa.select(scored_receipt.c.edition).where(scored_receipt.c.receipt == receipt)
        ).scalar()


def test_what_does_not_speak_for_the_store_is_not_scored(scored: Settings) -> None:
    moment = mondays(6)[0]
    forecaster = Forecaster(scored, Snapshots(scored.home))
    body = ForecastRequest(category="Boots", horizon=2, as_of=f"{moment.isoformat()}Z")
    made = forecaster.make(body, receipt=receipt_at(now(), 1))
    backtested = dataclasses.replace(made, issued=now())
    sent = dataclasses.replace(made, receipt=receipt_at(now(), 2), issued=moment, face=BUSINESS_CENTRAL)
    history = {"start": "2026-08-30", "frequency": "W-SUN", "values": [5.0] * 9}
    inline = forecaster.make(ForecastRequest(category="Boots", horizon=2, history=history))  # type: ignore[arg-type]
    broken = Issued(receipt_at(now(), 3), "Boots", b'{"Results": {}}', made.request, issued=moment)
    Ledger(scored).append(backtested, sent, inline, broken)
    done = score(scored)
    assert (done.forecasts, done.opened) == (4, 0)
    assert score(scored).forecasts == 0


def test_losses_are_what_a_watch_needs(lived: Settings) -> None:
    frame, all_leads = losses(lived, "Boots"), losses(lived, "Boots", lead=None)
    assert len(frame) == frame["period"].nunique()
    assert set(frame["lead"]) == {1}
    assert set(all_leads["lead"]) == {1, 2, 3, 4, 5}  # the first is a nowcast
    rows = scores(lived, Chosen(("Boots",), lead=1)).sort_values("period").reset_index(drop=True)
    assert frame["loss"].tolist() == (rows["system"] - rows["actual"]).abs().tolist()
    assert frame["reference"].tolist() == (rows["seasonal_naive"] - rows["actual"]).abs().tolist()
    assert frame["error"].tolist() == (rows["mean"] - rows["actual"]).tolist()
    assert frame["covered95"].tolist() == rows["actual"].between(rows["lower95"], rows["upper95"]).tolist()
    assert frame["period"].is_monotonic_increasing


def test_another_configuration_is_scored_on_the_same_forecasts(scored: Settings) -> None:
    snapshot, made = open_snapshot(scored.home), Configuration(history=70, signals=())
    since = mondays(10)[0].date()
    frame = score_as(scored, snapshot, "Boots", made, since=since)
    own = losses(scored, "Boots", lead=None)
    own = own[own["origin"] >= pd.Timestamp(since)].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame[own.columns], own)
    rows = scores(scored, Chosen(("Boots",)))
    rows = rows[rows["origin"] == rows["origin"].max()]
    as_of = rows["as_of"].iloc[0]
    inputs = read_inputs(snapshot, "Boots", 4, as_of=as_of, from_origin=True)
    bare = forecast(inputs.history, inputs.horizon, engine=made, frequency="W-SUN", as_of=as_of)
    expected = np.abs(bare.median[: len(rows)] - rows["actual"].to_numpy())
    assert frame["other_loss"][frame["origin"] == rows["origin"].iloc[0]].tolist() == expected.tolist()
    assert (frame["other_loss"] != frame["loss"]).mean() > 0.9
    same = score_as(scored, snapshot, "Boots", Configuration(), lead=1)
    assert same["other_loss"].tolist() == same["loss"].tolist() == losses(scored, "Boots")["loss"].tolist()
    assert same["other_covered80"].tolist() == same["covered80"].tolist()


def test_a_configuration_is_made_again_once(scored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = open_snapshot(scored.home)
    frame = score_as(scored, snapshot, "Boots", Configuration(memory=0.5))
    monkeypatch.setattr("api.life.score_as.made_as", None)
    pd.testing.assert_frame_equal(score_as(scored, snapshot, "Boots", Configuration(memory=0.5)), frame)


def test_a_configuration_that_cannot_be_made_has_no_rows(scored: Settings) -> None:
    assert score_as(scored, open_snapshot(scored.home), "Boots", Configuration(engine="sktime:no.such.Class")).empty
    with pytest.raises(OptionError, match="memory"):
        score_as(scored, open_snapshot(scored.home), "Boots", Configuration(memory=0))


def test_old_scores_are_forgotten_and_not_made_anew(scored: Settings) -> None:
    stop, before = threading.Event(), mondays(8)[0].date()
    kept = scores(scored, Chosen(every=True))
    removed = forget_scores(scored, before, stop)
    assert removed > 5
    after = scores(scored, Chosen(every=True))
    assert 0 < len(after) < len(kept)
    assert score(scored).opened == 0
    pd.testing.assert_frame_equal(scores(scored, Chosen(every=True)), after)
    oldest = min(row["period"] for row in tables(scored)["actual"])
    assert oldest >= min(row["first"] for row in tables(scored)["edition"])
    forget_receipts(scored)
    assert score(scored).forecasts == 0


def test_forecasts_that_the_ledger_lost_leave_no_trace(fresh: Settings) -> None:
    from api.database import engine_of, issued, writing

    score(fresh, mondays(WEEKS_BEFORE)[0])
    with writing(engine_of(fresh)) as connection:
        connection.execute(issued.delete())
    done = score(fresh)
    assert scores(fresh, Chosen()).empty
    assert done.forecasts == 0


WEEKS_BEFORE = 25  # before the first forecast of the home


def test_a_category_of_another_store_is_passed_over(fresh: Settings, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "other")
    fill_revised(other.home, names=("Hats", "Gloves"))
    shutil.copytree(fresh.home / "state", other.home / "state", dirs_exist_ok=True)
    score(other)
    assert set(scores(other, Chosen())["category"]) == {"Hats"}


def test_in_the_background_it_follows_the_store(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.life.scoring.LOOK_SECONDS", 0.05)
    stop = threading.Event()
    thread = threading.Thread(target=score_until, args=(fresh, stop))
    thread.start()
    try:
        _wait_for(lambda: not scores(fresh, Chosen()).empty)
        period = revise(fresh, 777.0)
        _wait_for(lambda: 777.0 in set(scores(fresh, Chosen(("Boots",)))["actual"]))
        assert period in set(scores(fresh, Chosen(("Boots",)))["period"])
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def _wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.05)
    assert condition()  # type: ignore[operator]


def test_it_gives_way_where_others_have_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    pause = giving_way(Stop())
    time.sleep(0.05)  # no work was done in that time
    pause()
    began = time.thread_time()
    while time.thread_time() - began < 0.05:
        sum(range(1000))
    pause()
    assert waited[0] > 0.1
    assert LOOK_SECONDS >= 1
