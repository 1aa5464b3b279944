"""A search for a better configuration: on earlier origins, judged on later ones, as a job that can be broken off."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.database import engine_of, now, reading, retune_part
from api.jobs import Jobs
from api.life import grid, retune, retune_job, rolled
from api.life.log import happenings
from api.life.moves import forbid, pin, place_now
from api.life.scoring import no_pause
from api.life.serving import By
from api.settings import Settings
from forecast import Configuration, OptionError
from signals.store import open_snapshot
from tests.api.life.lives import GOOD, POOR, put
from tests.api.workers import wait_for, working


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few candidates and origins."""
    monkeypatch.setattr(grid, "ENGINES", ("fast", "seasonal_naive"))
    monkeypatch.setattr(grid, "SHARES", ())
    monkeypatch.setattr(grid, "YEARS", ())
    monkeypatch.setattr(grid, "TRANSFORMS", ())
    monkeypatch.setattr(retune, "SEARCHED", dict.fromkeys(retune.SEARCHED, 6))
    monkeypatch.setattr(retune, "GATED", dict.fromkeys(retune.GATED, 14))


def search(settings: Settings, why: str = "test") -> retune.Outcome:
    return retune.retune(settings, open_snapshot(settings.home), "Boots", why, now(), no_pause)


def test_a_better_configuration_becomes_a_challenger_in_shadow(poor: Path) -> None:
    settings = Settings(home=poor)
    done = search(settings)
    assert done.outcome == "challenger"
    place = place_now(settings, "Boots")
    assert done.challenger is not None
    assert (place.champion, place.challenger, place.share) == (POOR.name, done.challenger.name, 0)
    assert done.challenger.engine == "fast"
    assert done.evidence["gate"]["passed"]
    assert done.evidence["gate"]["gain_pct"] > 50
    assert done.evidence["searched"]["last"] < done.evidence["gate_origins"]["first"]
    log = [one.action for one in happenings(settings, category="Boots", limit=2)]
    assert log == ["challenger", "retuned"]


def test_nothing_takes_the_place_of_a_pinned_champion(poor: Path) -> None:
    settings = Settings(home=poor)
    pin(settings, "Boots", True, By("mine", now(), "Ann"))
    assert search(settings).outcome == "not taken"
    assert place_now(settings, "Boots").challenger is None


def test_what_a_person_vetoed_is_not_tried(poor: Path) -> None:
    settings = Settings(home=poor)
    first = search(settings).challenger
    assert first is not None
    forbid(settings, "Boots", first.name, By("too wild", now(), "Ann"))
    assert place_now(settings, "Boots").challenger is None
    plan = retune.plan_of(settings, open_snapshot(poor), "Boots", "test", now())
    assert first not in plan.candidates
    assert retune.from_body(retune.as_body(plan)) == plan


def test_a_champion_that_is_as_good_stays(poor: Path) -> None:
    settings = Settings(home=poor)
    put(settings, now() - dt.timedelta(days=1), champion=GOOD.name)
    assert search(settings).outcome == "champion stays"
    assert place_now(settings, "Boots").challenger is None


def test_too_short_a_history_is_noted_so_that_it_is_not_tried_at_once_again(poor: Path) -> None:
    settings, early = Settings(home=poor), now() - dt.timedelta(weeks=75)
    with pytest.raises(OptionError, match="past origins"):
        retune.retune(settings, open_snapshot(poor), "Boots", "schedule", early, no_pause)
    (noted,) = happenings(settings, category="Boots", actions=["retuned"])
    assert (noted.evidence["outcome"], noted.moment) == ("not possible", early)


def test_no_period_is_forecast_by_both_halves_and_the_last_origin_is_left_out() -> None:
    origins = [dt.datetime(2024, 1, 1) + dt.timedelta(weeks=week) for week in range(60)]
    earlier, later = retune.split(origins, "W-SUN", 4)
    assert later[-1] == origins[-2]
    assert origins.index(later[0]) - origins.index(earlier[-1]) > 4
    assert np.diff([origins.index(one) for one in earlier]).tolist() == [2] * (len(earlier) - 1)
    with pytest.raises(OptionError):
        retune.split(origins[:20], "W-SUN", 4)


def test_losses_look_at_nothing_that_became_known_later(poor: Path) -> None:
    """The same origin, with and without all that came after it."""
    snapshot, moment = open_snapshot(poor), now()
    past = rolled.Past(snapshot, "Boots", snapshot.data_version, moment, 2)
    origins = rolled.origins_of(past)
    found = rolled.losses_of(past, GOOD, origins[-8:-5], no_pause, whole=True)
    shorter = rolled.Past(snapshot, "Boots", snapshot.data_version, origins[-3], 2)
    again = rolled.losses_of(shorter, GOOD, origins[-8:-5], no_pause, whole=True)
    assert np.isfinite(found).all()
    assert found.tolist() == again.tolist()
    assert rolled.origins_of(shorter) == origins[:-2]


def test_the_best_of_each_setting_are_combined() -> None:
    champion = Configuration()
    losses = {champion: 10.0, Configuration(memory=2.0): 9.0, Configuration(signals=()): 9.5,
              Configuration("ets"): 11.0}  # fmt: skip
    assert grid.combined(champion, losses) == Configuration(memory=2.0, signals=())
    assert grid.combined(champion, {champion: 1.0, Configuration("ets"): 2.0}) is None


def test_a_search_is_a_job_and_is_not_begun_twice(poor: Path) -> None:
    settings = Settings(home=poor)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        asked = client.post("/v1/categories/Boots/retune", json={"reason": "looks poor"})
        again = client.post("/v1/categories/Boots/retune", json={})
        assert (asked.status_code, again.status_code) == (202, 202)
        number = asked.json()["job"]
        assert again.json()["job"] == number
        assert client.get("/v1/categories/Boots/configurations").json()["searching"] == number
        with working(settings):
            wait_for(lambda: client.get(f"/v1/jobs/{number}").status_code != 202)
        told = client.get(f"/v1/jobs/{number}").json()
        shown = client.get("/v1/categories/Boots/configurations").json()
    assert told["outcome"] == "challenger"
    assert shown["stage"] == "shadow"
    assert shown["searching"] is None
    assert shown["challenger"]["configuration"] == told["evidence"]["challenger"]
    assert parts_left(settings) == 0


def parts_left(settings: Settings) -> int:
    with reading(engine_of(settings)) as connection:
        return len(connection.execute(retune_part.select()).all())


def test_a_search_that_is_cancelled_ends_and_changes_nothing(poor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, usual = Settings(home=poor), rolled.run

    def slowly(*arguments: object, **more: object) -> object:
        time.sleep(0.5)
        return usual(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rolled, "run", slowly)
    jobs = Jobs(settings)
    number, _ = retune_job.begin(jobs, engine_of(settings), "Boots", "test")
    with working(settings):
        wait_for(lambda: (found := jobs.status(number)) is not None and found.done > 0)
        assert jobs.cancel(number)
        wait_for(lambda: parts_left(settings) == 0)
    found = jobs.status(number)
    assert found is not None
    assert found.state == "cancelled"
    assert place_now(settings, "Boots").challenger is None
    assert happenings(settings, category="Boots", actions=["retuned"]) == []


def test_a_search_that_was_interrupted_does_no_part_twice(poor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, tried = Settings(home=poor), list[str]()
    usual = retune_job.searched

    def counting(*arguments: object) -> object:
        tried.append(arguments[2].name)  # type: ignore[attr-defined]
        if len(tried) == 2:
            raise OSError("the process is killed")
        return usual(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(retune_job, "searched", counting)
    jobs = Jobs(settings)
    number, _ = retune_job.begin(jobs, engine_of(settings), "Boots", "test")
    with working(settings):  # a part that fails is tried again by itself
        wait_for(lambda: (found := jobs.status(number)) is not None and found.is_over)
    found = jobs.status(number)
    assert found is not None
    assert found.state == "succeeded", found.error
    assert orjson.loads(found.result or b"")["outcome"] == "challenger"
    assert tried[0] != tried[1]
    assert sorted(tried) == sorted([*set(tried), tried[1]])  # only the part that was interrupted, and it once


def test_an_unknown_category_cannot_be_searched_for(poor: Path) -> None:
    settings = Settings(home=poor)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        assert client.post("/v1/categories/Bots/retune", json={}).status_code == 404
