"""Which configuration serves a category, in which role, and that a request made again is answered by the same."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from api.database import engine_of, reading, writing
from api.forecasting import Forecaster, asked_again
from api.life import configurations, serving
from api.life.serving import By, Place, change, place_of
from api.models import ForecastRequest
from api.settings import Settings
from api.snapshots import Snapshots
from forecast import Configuration, OptionError
from forecast.configuration import DEFAULT

MOMENT = dt.datetime(2026, 11, 1)
SHORT = Configuration(history=60)
BOOTS = "Boots"


@pytest.fixture
def forecaster(own: Settings, monkeypatch: pytest.MonkeyPatch) -> Forecaster:
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.0)
    return Forecaster(own, Snapshots(own.home))


def put(settings: Settings, place: Place, *configured: Configuration) -> None:
    with writing(engine_of(settings)) as connection:
        for one in configured:
            configurations.keep(connection, one, MOMENT)
        change(connection, place, "promoted", place.champion, By("to see", MOMENT, "a test"))


def answer_of(forecaster: Forecaster, key_id: str | None = None, **asked: Any) -> dict[str, Any]:
    body = ForecastRequest.model_validate({"category": BOOTS, "horizon": 4} | asked)
    answer: dict[str, Any] = orjson.loads(forecaster.make(body, key_id=key_id).answer)
    return answer


def test_without_a_choice_the_default_serves(forecaster: Forecaster) -> None:
    used = answer_of(forecaster)["engine"]
    assert (used["configuration"], used["role"]) == (DEFAULT.name, "champion")
    assert answer_of(forecaster, engine="fast")["engine"]["role"] == "asked"


def test_the_champion_serves_from_now_on(forecaster: Forecaster) -> None:
    assert answer_of(forecaster)["history"]["periods"] > 60
    put(forecaster.settings, Place(BOOTS, SHORT.name, previous=DEFAULT.name), SHORT)
    answer = answer_of(forecaster)
    assert answer["history"]["periods"] == 60
    assert answer["engine"]["configuration"] == SHORT.name
    assert answer["engine"]["reason"].startswith("champion of the category since 2026-11-01; ")


def test_an_engine_that_is_asked_for_is_given(forecaster: Forecaster) -> None:
    put(forecaster.settings, Place(BOOTS, SHORT.name), SHORT)
    assert answer_of(forecaster, engine="seasonal_naive")["engine"]["name"] == "seasonal_naive"
    named = answer_of(forecaster, configuration=DEFAULT.name)
    assert (named["history"]["periods"] > 60, named["engine"]["role"]) == (True, "asked")


def test_a_challenger_answers_its_share_and_always_the_same_questions(forecaster: Forecaster) -> None:
    def roles(share: int) -> dict[int, str]:
        put(forecaster.settings, Place(BOOTS, challenger=SHORT.name, share=share), SHORT)
        return {h: answer_of(forecaster, horizon=h)["engine"]["role"] for h in range(1, 21)}

    shadow, half, all_ = roles(0), roles(50), roles(100)
    assert set(shadow.values()) == {"champion"}
    assert set(half.values()) == {"champion", "canary"}
    assert half == roles(50)
    assert set(all_.values()) == {"canary"}


@pytest.mark.parametrize("asked", [{}, {"engine": "fast"}, {"engine": "ets"}, {"configuration": DEFAULT.name}])
def test_whatever_was_asked_is_made_again_to_the_byte(forecaster: Forecaster, asked: dict[str, Any]) -> None:
    issued = forecaster.make(ForecastRequest.model_validate({"category": BOOTS, "horizon": 4} | asked))
    body, served = asked_again(forecaster.settings, issued.request)
    again = orjson.loads(forecaster.make(body, served=served, receipt=issued.receipt).answer)
    assert again | {"timing_ms": None} == orjson.loads(issued.answer) | {"timing_ms": None}


def test_a_request_made_again_is_answered_by_the_same_configuration(forecaster: Forecaster) -> None:
    put(forecaster.settings, Place(BOOTS, challenger=SHORT.name, share=100), SHORT)
    issued = forecaster.make(ForecastRequest(category=BOOTS, horizon=4))
    put(forecaster.settings, Place(BOOTS))
    body, served = asked_again(forecaster.settings, issued.request)
    again = orjson.loads(forecaster.make(body, served=served, receipt=issued.receipt).answer)
    assert again["engine"]["role"] == "canary"
    assert again | {"timing_ms": None} == orjson.loads(issued.answer) | {"timing_ms": None}


def test_an_unknown_configuration_is_refused(forecaster: Forecaster) -> None:
    with pytest.raises(OptionError, match="cfg_0123456789abcdef"):
        answer_of(forecaster, configuration="cfg_0123456789abcdef")


def test_each_change_is_written_down(own: Settings) -> None:
    put(own, Place(BOOTS, SHORT.name), SHORT)
    with reading(engine_of(own)) as connection:
        assert place_of(connection, BOOTS).champion == SHORT.name
        (told,) = connection.execute(serving.life_event.select()).mappings()
    assert (told["action"], told["actor"], told["configuration"]) == ("promoted", "a test", SHORT.name)
