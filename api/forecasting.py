"""One forecast, whichever face asks for it: within the limits, retrained, with a receipt; kept before it goes out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import orjson
import pandas as pd

from api.database import now
from api.errors import invalid_field, known_problem
from api.fields import LAST
from api.ledger import Issued, with_inline
from api.life.configurations import configuration_of
from api.life.failures import note_failure
from api.life.serving import ASKED, CANARY, CHAMPION, Served, Serving
from api.likeness import said_phases
from api.made_with import name_here
from api.metrics import forecast_made
from api.models import ForecastRequest, Values
from api.overrides.kept import named
from api.overrides.publishing import in_force, publish_over
from api.receipts import new_receipt
from api.security import Caller
from api.service import MAX_NOWCAST_DAYS, as_answer, moment_of, read_related, run
from api.settings import Settings
from api.snapshots import Snapshots
from forecast import Configuration, Forecast, ForecastError, Phases, SignalValues, arrays, forecast
from forecast.configuration import DEFAULT
from forecast.engines import Wanted

log = logging.getLogger("groundswell")
RECORDED = ("inline", "made_with", "max_nowcast_days", "moment")  # in a resolved request, beside what can be asked


@dataclass(frozen=True)
class Forecaster:
    """What a forecast needs beside the request; for many threads."""

    settings: Settings
    snapshots: Snapshots

    @cached_property
    def serving(self) -> Serving:
        """Which configuration serves a category."""
        return Serving(self.settings)

    def make(
        self,
        body: ForecastRequest,
        *,
        asked: float | None = None,
        face: str = "rest",
        key_id: str | None = None,
        run: str | None = None,
        receipt: str | None = None,
        served: Served | None = None,
        moment: dt.datetime | None = None,
    ) -> Issued:
        """Retrain and forecast; not kept yet. `asked`: `time.perf_counter()` when the request came.

        `served` is what answers a request that is made again; without it, what serves now. `moment`, UTC without a
        zone, is the one of forecasting where the request names none; default: the clock.

        Raises Problem, ForecastError, and what the store raises.
        """
        started = time.perf_counter()
        check_limits(body, self.settings)
        served, moment = served or self._served(body, key_id), moment or now()
        served, (version, result, read) = self._answered(body, served, moment)
        result = _told(result, served)
        answer = {"receipt": receipt or new_receipt()} | as_answer(result, version)
        overrides = self._publish(body, result, answer)
        answer["timing_ms"] = _timing(asked or started, started, read)
        forecast_made(face, result.engine.name, time.perf_counter() - started)
        request, inline = self._resolved(body, served, result, version, moment)
        if body.history is None and body.overrides != "none":  # made again, the very same ones apply
            request["overrides"] = overrides
            request["overrides_named"] = isinstance(body.overrides, list)
        given, resolved = orjson.dumps(answer), orjson.dumps(request)
        return Issued(answer["receipt"], body.category, given, resolved, face, key_id, run, inline=inline)

    def _resolved(
        self, body: ForecastRequest, served: Served, result: Forecast, version: int | None, moment: dt.datetime
    ) -> tuple[dict[str, Any], bytes | None]:
        """All that it takes to make the forecast again, and the history and signals that came along."""
        as_of = None if result.as_of is None else f"{result.as_of.isoformat()}Z"
        request = body.model_dump(mode="json", exclude_defaults=True) | {
            "as_of": as_of, "data_version": version, "engine": served.configuration.engine, "levels": body.levels,
            "role": served.role, "because": served.because,
        }  # fmt: skip
        if body.engine is None:
            request["configuration"] = served.configuration.name
        if body.deadline_ms is not None and result.engine.members:  # asked again with them, no clock decides
            request["members"] = list(result.engine.members)
        if version is not None and body.as_of is None and as_of != f"{moment.isoformat()}Z":
            # Sales ended long ago, and are forecast from there on; the warning counts the days to this moment.
            request["moment"] = moment.isoformat()
        if version is not None and self.settings.max_nowcast_days != MAX_NOWCAST_DAYS:
            request["max_nowcast_days"] = self.settings.max_nowcast_days
        request["made_with"] = name_here()
        return (
            (request, None)
            if body.history is None
            else with_inline(request, request["history"], request.get("signals", []))
        )

    def _publish(self, body: ForecastRequest, result: Forecast, answer: dict[str, Any]) -> tuple[str, ...]:
        """Lay overrides on an answer from the store; their references, as they apply."""
        if body.history is not None or body.category is None or body.overrides == "none":
            return ()
        if isinstance(body.overrides, list):
            found = named(self.settings, body.category, body.overrides)
        else:
            found = in_force(self.settings, body.category, answer, moment_of(body.as_of) or now())
        return publish_over(result, answer, found)

    def _served(self, body: ForecastRequest, key_id: str | None) -> Served:
        """The configuration that the request names, or the one that serves its category."""
        if body.engine is not None:
            return Served(Configuration(body.engine), ASKED)
        if body.configuration is not None:
            return Served(configuration_of(self.settings, body.configuration), ASKED)
        if body.history is not None or body.category is None:
            return Served(DEFAULT)
        return self.serving.of(body.category, f"{key_id}\n{body.horizon}")

    def _answered(
        self, body: ForecastRequest, served: Served, moment: dt.datetime
    ) -> tuple[Served, tuple[int | None, Forecast, float]]:
        """What came of it, and by which configuration: where a challenger fails, its champion answers."""
        try:
            return served, self._result(body, served.configuration, moment)
        except Exception as error:
            if served.role != CANARY or served.instead is None:
                raise
            instead = Served(served.instead, CHAMPION, f"the challenger {served.configuration.name} failed")
            # A request that nobody can answer is no failure of the challenger.
            result = self._result(body, instead.configuration, moment)
            log.warning("%s: challenger %s failed: %r", body.category, served.configuration.name, error)
            note_failure(self.settings, body.category or "", served.configuration.name, error)
            return instead, result

    def _result(
        self, body: ForecastRequest, configuration: Configuration, moment: dt.datetime
    ) -> tuple[int | None, Forecast, float]:
        """The version of the store that was read, the forecast, and when reading was over."""
        wanted = Wanted(configuration, body.deadline_ms, body.members)
        if body.history is not None:
            read = time.perf_counter()
            return None, _inline(body, body.history, wanted), read
        snapshot = self.snapshots.current()
        version = snapshot.data_version if body.data_version is None else body.data_version
        inputs = read_related(
            snapshot,
            body.category or "",
            body.horizon,
            body.said,
            as_of=body.as_of,
            data_version=version,
            from_origin=True,
            max_nowcast_days=self.settings.max_nowcast_days,
            events=body.events == "accepted",
            now=moment,
        )
        read = time.perf_counter()
        return version, run(inputs, wanted, levels=body.levels), read


def asked_again(settings: Settings, request: bytes, inline: bytes | None = None) -> tuple[ForecastRequest, Served]:
    """What a resolved request of the ledger asks, and the configuration that answered it, in its role.

    `inline` is the history that came along with it. Raises OptionError where the configuration is not kept.
    """
    asked = orjson.loads(request)
    asked.pop("overrides_named", None)
    # Those of earlier versions tell nothing of them: only the default served, and nobody overrode anything.
    role, because = asked.pop("role", CHAMPION), asked.pop("because", "")
    if "history" not in asked:
        asked.setdefault("overrides", "none")
    if "configuration" in asked:
        configuration = configuration_of(settings, asked["configuration"])
        del asked["engine"]
    else:
        configuration = Configuration(asked["engine"])
    unasked = (*RECORDED, "as_of") if "moment" in asked else RECORDED
    known = {name: value for name, value in asked.items() if name not in unasked}
    body = ForecastRequest.model_validate(known | orjson.loads(inline or b"{}"))
    return body, Served(configuration, role, because)


def _told(result: Forecast, served: Served) -> Forecast:
    """The forecast, which says in which role its configuration answered, and why."""
    because = f"{served.because}; " if served.because else ""
    used = dataclasses.replace(result.engine, role=served.role, reason=because + result.engine.reason)
    return dataclasses.replace(result, engine=used)


def _timing(asked: float, started: float, read: float) -> dict[str, float]:
    ended = time.perf_counter()
    spans = {"read": read - started, "fit": ended - read, "total": ended - asked}  # total: with the wait for its turn
    return {name: round(seconds * 1000, 3) for name, seconds in spans.items()}


def within_sight(body: ForecastRequest, caller: Caller) -> ForecastRequest:
    """The request as the caller may make it; raises the problem that a category is not theirs.

    With a key of some categories nothing is borrowed but from those that the request names: answers name the others.
    """
    caller.check_category(body.category)
    for name in body.like or ():
        caller.check_category(name)
    unnamed = caller.categories is not None and body.history is None and body.like is None
    return body.model_copy(update={"like": []}) if unnamed else body


def check_limits(body: ForecastRequest, settings: Settings) -> None:
    """Refuse what the models cannot state: what is beyond a setting, or no engine can do; raises Problem."""
    try:
        Wanted(body.engine or DEFAULT.engine, body.deadline_ms, body.members).check()
    except ForecastError as error:
        problem = known_problem(error)
        assert problem is not None
        raise problem from error
    series = [("history", body.history), *((f"signals.{i}", signal) for i, signal in enumerate(body.signals))]
    checks = [("horizon", body.horizon, settings.max_horizon, "max_horizon")]
    checks += [("signals", len(body.signals), settings.max_signals, "max_signals")]
    checks += [
        (f"{name}.values", len(item.values), settings.max_history, "max_history") for name, item in series if item
    ]
    checks.append(("body", sum(len(item.values) for _, item in series if item), settings.max_values, "max_values"))
    for field, value, most, setting in checks:
        if value > most:
            message = f"{field}: {value} is above the limit of {most} ({setting})"
            raise invalid_field(field, value, f"<= {most}", message)


def _inline(body: ForecastRequest, history: Values, wanted: Wanted) -> Forecast:
    moment = moment_of(body.as_of)
    signals = [
        SignalValues(
            **_consecutive(signal),
            signal=signal.signal,
            future_known=signal.future_known,
            aggregation=signal.aggregation,
        )
        for signal in body.signals
    ]
    sales = arrays.Values(**_consecutive(history))
    _check_labels("history", sales)
    for i, signal in enumerate(signals):
        _check_labels(f"signals.{i}", signal)
    phases = said_phases(body.said)
    result = forecast(
        _at_full_level(sales, phases) if phases else sales,
        body.horizon,
        signals=signals,
        engine=wanted.asked,
        deadline_ms=wanted.deadline_ms,
        members=wanted.members,
        levels=tuple(body.levels),
        as_of=None if moment is None else pd.Timestamp(moment),
        category=body.category,
        unit=body.unit,
    )
    return phases.applied(result) if phases else result


def _at_full_level(sales: arrays.Values, phases: Phases) -> pd.DataFrame:
    frame = pd.DataFrame({"ds": pd.DatetimeIndex(sales.labels), "y": np.asarray(sales.values, dtype=float)})
    return phases.at_full_level(frame, sales.frequency)


def _consecutive(given: Values) -> dict[str, Any]:
    return {"start": given.start, "frequency": given.frequency, "values": np.array(given.values, dtype=float)}


def _check_labels(field: str, given: arrays.Values) -> None:
    """`start` must be the label of a period, and the last period one that dates can name."""
    if not _named_well(given.start, given.frequency):
        allowed = f"the label of a period of {given.frequency}, such as {given.first_label}"
        raise ForecastError(f"{field}.start", str(given.start), allowed)
    if given.labels[-1] > _LAST:
        raise ForecastError(f"{field}.values", f"periods to {given.labels[-1]}", f"periods to {LAST}")


_LAST = np.datetime64(LAST)


@lru_cache(maxsize=256)
def _named_well(start: dt.date, frequency: str) -> bool:
    return bool(arrays.Values(start=start, frequency=frequency, values=[0.0]).first_label == start)
