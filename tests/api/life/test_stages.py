"""A challenger earns its place by three gates, and loses it where it does worse."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from pathlib import Path

import orjson
import pytest

from api.database import engine_of, now, writing
from api.forecasting import Forecaster
from api.ledger import Ledger
from api.life import stages
from api.life.configurations import keep
from api.life.failures import note_failure
from api.life.living import live_until
from api.life.log import happenings
from api.life.moves import place_now
from api.life.scoring import no_pause
from api.life.stages import advance
from api.life.tick import tick
from api.models import ForecastRequest
from api.receipts import receipt_at
from api.settings import Settings
from api.snapshots import Snapshots
from forecast import Configuration, ForecastError
from forecast.configuration import DEFAULT
from signals.store import open_snapshot
from tests.api.life.lives import GOOD, POOR, WEEKS, hasty, put
from tests.api.life.past import mondays
from tests.api.workers import wait_for


def step(settings: Settings, moment: dt.datetime | None = None) -> str | None:
    """One look at Boots."""
    place = place_now(settings, "Boots")
    return advance(settings, open_snapshot(settings.home), place, moment or now(), no_pause)


def began(weeks: int = WEEKS) -> dt.datetime:
    """Before the first of so many Mondays."""
    return mondays(weeks)[0] - dt.timedelta(days=1)


def test_a_better_challenger_goes_from_shadow_to_champion(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, began(), challenger=GOOD.name)
    assert [step(settings) for _ in range(5)] == ["canary", "share", "share", "share", "promoted"]
    place = place_now(settings, "Boots")
    assert (place.champion, place.previous, place.challenger, place.share) == (GOOD.name, POOR.name, None, 0)
    log = happenings(settings, category="Boots")
    canary = next(one for one in log if one.action == "canary")
    assert canary.evidence["evidence"] >= 20
    assert canary.evidence["scores"] >= 8
    shares = [one.evidence["canary"]["scored"] for one in log if one.action in ("share", "promoted")]
    assert len(shares) == 4


def test_a_challenger_that_is_no_better_waits_and_is_let_go_after_a_year(poor: Path) -> None:
    settings = hasty(poor)
    same = Configuration("seasonal_naive", history=80)
    with writing(engine_of(settings)) as connection:
        keep(connection, same, now())
    put(settings, began(), challenger=same.name)
    assert step(settings) is None
    assert place_now(settings, "Boots").share == 0
    assert step(settings, now() + stages.UNDECIDED) == "dropped"
    assert "undecided" in happenings(settings, category="Boots", limit=1)[0].reason


def test_a_worse_challenger_is_dropped(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, began(), champion=GOOD.name, challenger=POOR.name)
    assert step(settings) == "dropped"
    place = place_now(settings, "Boots")
    assert (place.champion, place.challenger) == (GOOD.name, None)
    assert happenings(settings, category="Boots", limit=1)[0].evidence["against"] >= 20


def test_what_was_known_before_the_challenger_counts_for_nothing(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, now() - dt.timedelta(minutes=1), challenger=GOOD.name)
    assert step(settings) is None


def test_a_worse_canary_is_rolled_back(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, began(), champion=GOOD.name, challenger=POOR.name, share=25)
    assert step(settings) == "rolled back"
    assert place_now(settings, "Boots").challenger is None


def test_a_canary_that_fails_is_rolled_back(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, now() - dt.timedelta(hours=1), challenger=GOOD.name, share=5)
    for _ in range(4):
        note_failure(settings, "Boots", GOOD.name, ValueError("broken"))
    assert step(settings) == "rolled back"
    assert "requests failed" in happenings(settings, category="Boots", limit=1)[0].reason


def test_a_step_lasts_as_long_as_it_must(poor: Path) -> None:
    settings = Settings(home=poor)
    since = now() - dt.timedelta(hours=1)
    put(settings, since, challenger=GOOD.name, share=5)
    assert step(settings) is None
    assert step(settings, since + dt.timedelta(hours=30)) is None  # long enough, but nobody was answered
    assert step(settings, since + dt.timedelta(days=7)) == "share"
    assert place_now(settings, "Boots").share == 25


def test_a_champion_that_proves_worse_than_the_one_before_is_rolled_back(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, began(), champion=POOR.name, previous=GOOD.name)
    assert step(settings) == "rolled back"
    place = place_now(settings, "Boots")
    assert (place.champion, place.previous) == (GOOD.name, None)


def test_a_pinned_champion_stays(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, began(), champion=POOR.name, previous=GOOD.name, pinned=True)
    assert step(settings) is None


def test_a_share_is_answered_by_the_challenger_which_says_so(poor: Path) -> None:
    settings = hasty(poor)
    put(settings, now(), challenger=GOOD.name, share=100)
    made = Forecaster(settings, Snapshots(poor)).make(ForecastRequest(category="Boots", horizon=2))
    told = orjson.loads(made.answer)["engine"]
    assert (told["configuration"], told["role"]) == (GOOD.name, "canary")
    assert told["reason"].startswith("the challenger answers 100 % of requests")


def test_where_the_challenger_fails_the_champion_answers_and_it_is_counted(
    poor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hasty(poor)
    place = put(settings, now() - dt.timedelta(hours=1), challenger=GOOD.name, share=100)
    forecaster = Forecaster(settings, Snapshots(poor))
    usual = Forecaster._result

    def broken(self: Forecaster, body: ForecastRequest, configuration: Configuration, *more: object) -> object:
        if configuration == GOOD:
            raise ZeroDivisionError("broken")
        return usual(self, body, configuration, *more)

    monkeypatch.setattr(Forecaster, "_result", broken)
    made = forecaster.make(ForecastRequest(category="Boots", horizon=2))
    told = orjson.loads(made.answer)["engine"]
    assert (told["configuration"], told["role"]) == (POOR.name, "champion")
    assert f"the challenger {GOOD.name} failed" in told["reason"]
    assert stages._failed(settings, place) == 1


def test_a_request_that_nobody_can_answer_is_no_failure_of_the_challenger(poor: Path) -> None:
    settings = hasty(poor)
    place = put(settings, now(), challenger=GOOD.name, share=100)
    forecaster = Forecaster(settings, Snapshots(poor))
    with pytest.raises(ForecastError):
        forecaster.make(ForecastRequest(category="Boots", horizon=2, as_of="1999-01-01T00:00:00Z"))
    assert stages._failed(settings, place) == 0


def test_a_look_moves_what_has_new_actuals_and_begins_what_is_due(poor: Path) -> None:
    settings = hasty(poor, retune_days=30)
    put(settings, began(), challenger=GOOD.name)
    begun: list[tuple[str, str]] = []

    def begin(category: str, why: str) -> bool:
        begun.append((category, why))
        return True

    done = tick(settings, open_snapshot(poor), now(), begin=begin, pause=no_pause)
    assert ("Boots", "canary") in done.moved
    assert begun == []  # a challenger is on its way
    put(settings, now(), challenger=None, champion=DEFAULT.name, share=0)
    done = tick(settings, open_snapshot(poor), now(), begin=begin, pause=no_pause)
    assert done.begun == begun == [("Boots", "schedule")]


def test_the_job_worker_looks_by_itself(poor: Path) -> None:
    settings, stop = hasty(poor, retune_days=0), threading.Event()
    put(settings, began(), challenger=GOOD.name)
    thread = threading.Thread(target=live_until, args=(settings, stop))
    thread.start()
    try:
        wait_for(lambda: place_now(settings, "Boots").share > 0)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize(("count", "ms", "said"), [(25, 900.0, "rolled back"), (25, 90.0, None), (5, 900.0, None)])
def test_a_canary_that_is_slower_is_rolled_back(
    poor: Path, monkeypatch: pytest.MonkeyPatch, count: int, ms: float, said: str | None
) -> None:
    settings = Settings(home=poor)
    put(settings, now() - dt.timedelta(hours=1), challenger=GOOD.name, share=5)
    monkeypatch.setattr(stages, "_latencies", lambda *_: {"canary": [ms] * count, "champion": [80.0] * 40})
    assert step(settings) == said
    if said:
        assert "latency 900 ms" in happenings(settings, category="Boots", limit=1)[0].reason


def test_latencies_are_those_of_the_ledger(poor: Path) -> None:
    settings = hasty(poor)
    place = put(settings, now() - dt.timedelta(hours=1), challenger=GOOD.name, share=100)
    Ledger(settings).append(Forecaster(settings, Snapshots(poor)).make(ForecastRequest(category="Boots", horizon=2)))
    found = stages._latencies(settings, place)
    assert len(found["canary"]) == 1
    assert len(found["champion"]) == WEEKS
    assert min(found["champion"]) > 0


def answered(settings: Settings, roles: list[str]) -> None:
    """As if the category was answered so just now, the last one last."""
    made = Forecaster(settings, Snapshots(settings.home)).make(ForecastRequest(category="Boots", horizon=2))
    asked = orjson.loads(made.request)
    moment = now() - dt.timedelta(minutes=30)
    for number, role in enumerate(roles):
        receipt = receipt_at(moment + dt.timedelta(seconds=number), number)
        request = orjson.dumps(asked | {"role": role})
        Ledger(settings).append(dataclasses.replace(made, receipt=receipt, request=request))


def test_a_small_share_has_its_answers_though_others_are_many(poor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "LOOKED_AT", 10)
    monkeypatch.setattr(stages, "PAGE", 7)
    settings = Settings(home=poor, canary_answers=3)
    place = put(settings, now() - dt.timedelta(hours=1), challenger=GOOD.name, share=5)
    answered(settings, [role for _ in range(4) for role in ("canary", *["champion"] * 19)])
    found = stages._latencies(settings, place)
    assert (len(found["canary"]), len(found["champion"])) == (3, 10)
