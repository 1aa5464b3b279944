"""What goes wrong is raised once, told once, and closed by a person or its remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import sqlalchemy as sa

from api.database import canary_failure, engine_of, now, reading
from api.errors import Problem
from api.jobs import Jobs
from api.keys import create
from api.life import alerts
from api.life.alerts import alert_of, note_done, settle, to_watch, watch
from api.life.failures import note_failure
from api.life.moves import forbid, pin, place_now, promote, promote_named, roll_back
from api.life.notices import tell
from api.life.scoring import no_pause
from api.life.serving import By
from api.life.tick import tick
from api.life.watching import record_of
from api.settings import Settings
from api.webhooks import Subscriptions, delivery
from forecast import OptionError
from forecast.drift import Alarm
from signals.store import open_snapshot
from tests.api.life.lives import GOOD, POOR, put
from tests.api.life.past import mondays
from tests.api.stores import last_week

Raise = Callable[..., None]


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Raise:
    """Lets drift be found."""

    def found(*kinds: str, weeks_ago: int = 0, cause: str = "configuration", signal: str | None = None) -> None:
        day = np.datetime64(last_week().date()) + 6 - 7 * weeks_ago
        made = [
            Alarm(kind, day - 70, day, 41.0, 20.0, 62.0, "%", cause, signal, f"Since then {kind}.") for kind in kinds
        ]
        monkeypatch.setattr(alerts.drift, "watch", lambda _: made)

    return found


def look(settings: Settings) -> list[alerts.Alert]:
    return watch(settings, open_snapshot(settings.home), "Boots", now(), now())


def test_an_alert_is_raised_once_while_it_lasts(poor: Path, alarm: Raise) -> None:
    settings = Settings(home=poor)
    alarm("loss", "bias")
    first = look(settings)
    assert [(one.kind, one.state, one.size, one.evidence["high"]) for one in first] == [
        ("loss", "open", 41.0, 62.0), ("bias", "open", 41.0, 62.0),
    ]  # fmt: skip
    assert look(settings) == []
    settle(settings, first[0].number, "acknowledged", actor="Ann", reason="seen", moment=now())
    assert look(settings) == []
    closed = settle(settings, first[0].number, "closed", actor="Ann", reason="over", moment=now())
    assert closed is not None
    assert (closed.state, closed.actor, closed.reason) == ("closed", "Ann", "over")
    assert look(settings) == []  # the same alarm is found again from the record, and is known
    again = settle(settings, first[0].number, "acknowledged", actor="Bob", reason=None, moment=now())
    assert again == closed


def test_what_was_closed_is_raised_where_it_is_found_anew(poor: Path, alarm: Raise) -> None:
    settings = Settings(home=poor)
    alarm("loss", weeks_ago=3)
    (first,) = look(settings)
    settle(settings, first.number, "closed", actor="Ann", reason=None, moment=now())
    alarm("loss")
    (second,) = look(settings)
    assert second.found > first.found


def test_old_alarms_of_a_record_that_is_looked_at_first_are_no_news(poor: Path, alarm: Raise) -> None:
    alarm("loss", weeks_ago=20)
    assert look(Settings(home=poor)) == []


def test_a_promotion_closes_what_it_was_to_mend(poor: Path, alarm: Raise) -> None:
    settings = Settings(home=poor)
    alarm("loss", "signal died", signal="rain")
    loss, died = sorted(look(settings), key=lambda one: one.kind)
    place = put(settings, now(), challenger=GOOD.name)
    assert promote(settings, place, GOOD.name, By("better", now()))
    assert alert_of(settings, loss.number).state == "closed"  # type: ignore[union-attr]
    assert "became the champion" in alert_of(settings, loss.number).done  # type: ignore[union-attr]
    assert alert_of(settings, died.number).state == "open"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "cause", "begun", "done"),
    [
        ("loss", "configuration", 1, "a search for a better configuration was begun"),
        ("loss", "data", 0, "nothing: the data are to be looked at first"),
        ("season moved", "regime", 0, "nothing: another configuration would not change it"),
    ],
)
def test_drift_begins_a_search_where_one_may_help(
    poor: Path, alarm: Raise, kind: str, cause: str, begun: int, done: str
) -> None:
    settings, asked = Settings(home=poor, retune_days=0), list[tuple[str, str]]()
    alarm(kind, cause=cause)
    found = tick(settings, open_snapshot(poor), now(), begin=lambda *one: asked.append(one) or True, pause=no_pause)  # type: ignore[func-returns-value]
    assert asked == [("Boots", "drift")] * begun == found.begun
    (one,) = found.alerts
    assert alert_of(settings, one.number).done.startswith(done)  # type: ignore[union-attr]
    assert to_watch(settings, now()) == {}  # looked at, and nothing new since
    assert tick(settings, open_snapshot(poor), now(), begin=lambda *_: False, pause=no_pause).alerts == []


def test_the_record_of_a_category_is_regular_and_knows_its_signals(lived: Settings) -> None:
    record = record_of(lived, open_snapshot(lived.home), "Boots", now())
    assert record is not None
    record.check()
    assert np.isfinite(record.loss).mean() > 0.9
    assert record.sales.size >= record.ds.size
    assert [one.name for one in record.signals] == ["weather"]
    assert np.isfinite(record.signals[0].values).all()


def test_the_record_has_nothing_that_became_known_later(lived: Settings) -> None:
    snapshot, then = open_snapshot(lived.home), mondays(8)[0]
    early, late = (record_of(lived, snapshot, "Boots", moment) for moment in (then, now()))
    assert early is not None
    assert late is not None
    n = early.ds.size
    assert n < late.ds.size
    assert np.array_equal(early.ds, late.ds[:n])
    # A later forecast of the same period may still be scored with the last ones.
    assert np.array_equal(early.loss[: n - 4], late.loss[: n - 4], equal_nan=True)
    assert np.array_equal(early.signals[0].values, late.signals[0].values[:n], equal_nan=True)


def bodies(settings: Settings, webhook: str) -> list[dict[str, Any]]:
    query = sa.select(delivery.c.body).where(delivery.c.webhook == webhook).order_by(delivery.c.created)
    with reading(engine_of(settings)) as connection:
        return [orjson.loads(body) for body in connection.scalars(query)]


def test_subscribers_are_told_once_of_what_their_key_may_see(poor: Path, alarm: Raise) -> None:
    settings, jobs = Settings(home=poor), Jobs(Settings(home=poor))
    ours, _ = create(settings, "erp", ["forecast:read"])
    theirs, _ = create(settings, "other", ["forecast:read"], categories=["Hats"])
    port = Subscriptions(engine_of(settings))
    each = port.add("https://a.example.com/", None, "https://api.example.com", ours.id)
    promoted = port.add("https://b.example.com/", "configuration.promoted", "https://api.example.com", ours.id)
    blind = port.add("https://c.example.com/", None, "https://api.example.com", theirs.id)
    alarm("loss")
    (one,) = look(settings)
    note_done(settings, one.number, "a search was begun")
    promote_named(settings, "Boots", GOOD.name, By("better", now(), "Ann"))
    assert tell(settings, jobs) == 2
    assert tell(settings, jobs) == 0
    assert [body["type"] for body in bodies(settings, each.id)] == ["alert.raised", "configuration.promoted"]
    assert [body["type"] for body in bodies(settings, promoted.id)] == ["configuration.promoted"]
    assert bodies(settings, blind.id) == []
    told = bodies(settings, each.id)[0]["data"]
    assert told["alert"] == f"https://api.example.com/v1/alerts/{one.id}"
    assert (told["category"], told["kind"], told["size"]) == ("Boots", "loss", 41.0)
    assert bodies(settings, promoted.id)[0]["data"]["actor"] == "Ann"


def test_a_person_pins_and_promotes_what_is_known(poor: Path) -> None:
    settings, by = Settings(home=poor), By("mine", now(), "Ann")
    put(settings, now(), challenger=GOOD.name, share=5)
    pinned = pin(settings, "Boots", True, by)
    assert (pinned.pinned, pinned.challenger, pinned.share) == (True, None, 0)
    assert promote_named(settings, "Boots", GOOD.name, by).champion == GOOD.name
    assert place_now(settings, "Boots").previous == POOR.name
    assert place_now(settings, "Boots").pinned


def test_failures_of_a_challenger_that_ended_do_not_count_again(poor: Path) -> None:
    settings, by = Settings(home=poor), By("mine", now(), "Ann")
    for end in (lambda: pin(settings, "Boots", True, by), lambda: forbid(settings, "Boots", GOOD.name, by)):
        put(settings, now(), challenger=GOOD.name, share=5, pinned=False)
        note_failure(settings, "Boots", GOOD.name, ValueError("broken"))
        end()
        with reading(engine_of(settings)) as connection:
            assert connection.execute(sa.select(canary_failure)).all() == []


def test_nobody_goes_back_to_what_was_vetoed(poor: Path) -> None:
    settings, by = Settings(home=poor), By("mine", now(), "Ann")
    promote_named(settings, "Boots", GOOD.name, by)
    former = place_now(settings, "Boots").previous
    assert former is not None
    assert forbid(settings, "Boots", former, by).previous is None
    with pytest.raises(OptionError, match="a previous champion"):
        roll_back(settings, place_now(settings, "Boots"), by)


def test_who_was_slower_is_told_that_nothing_was_promoted(poor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=poor)
    seen = place_now(settings, "Boots")
    promote_named(settings, "Boots", GOOD.name, By("first", now(), "Ann"))
    promote_named(settings, "Boots", seen.champion, By("back", now(), "Ann"))
    monkeypatch.setattr("api.life.moves.place_now", lambda *_: seen)
    with pytest.raises(Problem, match="by another"):
        promote_named(settings, "Boots", GOOD.name, By("second", now(), "Bob"))
