"""Forecasts: each request retrains and answers."""

from __future__ import annotations

import time

import orjson
import pandas as pd
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response

from api.errors import invalid_field
from api.models import LAST, ForecastAnswer, ForecastRequest, InlineSignal, Values
from api.receipts import new_receipt
from api.routes import AppSettings, newest_snapshot, settings_of
from api.service import as_answer, moment_of, read_inputs, run
from api.settings import Settings
from api.strict import StrictRoute
from forecast import Forecast, ForecastError, forecast

router = APIRouter(prefix="/v1/forecasts", tags=["forecasts"], route_class=StrictRoute)


@router.post(
    "",
    summary="Forecast one category",
    response_model=ForecastAnswer,  # for /openapi.json: the answer goes out as bytes, checked in the tests
    responses={status: {} for status in (400, 404, 413, 415, 422, 503)},
)
async def create_forecast(body: ForecastRequest, request: Request, settings: AppSettings) -> Response:
    """Retrain on what is known and forecast, from the store by category or from a history given inline.

    From the store the horizon counts from the moment of forecasting: periods that are over, but whose sales are not
    known yet, come before it as `nowcast`. From an inline history it counts from the last value.
    """
    asked = time.perf_counter()
    _within_limits(body, settings)
    content = await run_sync(_forecast, body, request, asked, limiter=request.app.state.forecasting)
    return Response(content, media_type="application/json")


def _forecast(body: ForecastRequest, request: Request, asked: float) -> bytes:
    started, settings = time.perf_counter(), settings_of(request)
    if body.history is not None:
        read, version, result = started, None, _forecast_inline(body, body.history)
    else:
        snapshot = newest_snapshot(request)
        version = snapshot.data_version if body.data_version is None else body.data_version
        inputs = read_inputs(
            snapshot,
            body.category or "",
            body.horizon,
            as_of=body.as_of,
            data_version=version,
            from_origin=True,
            max_nowcast_days=settings.max_nowcast_days,
        )
        read = time.perf_counter()
        result = run(inputs, engine=body.engine, levels=body.levels)
    return _answer(result, version, asked, started, read)


def _answer(result: Forecast, data_version: int | None, asked: float, started: float, read: float) -> bytes:
    fitted = time.perf_counter()
    answer = {"receipt": new_receipt()} | as_answer(result, data_version)
    answer["timing_ms"] = {
        "read": round((read - started) * 1000, 3),
        "fit": round((fitted - read) * 1000, 3),
        "total": round((time.perf_counter() - asked) * 1000, 3),  # with the time it waited for its turn
    }
    return orjson.dumps(answer)


def _within_limits(body: ForecastRequest, settings: Settings) -> None:
    """Limits that are settings, so that the models cannot state them."""
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


def _forecast_inline(body: ForecastRequest, history: Values) -> Forecast:
    moment = moment_of(body.as_of)
    return forecast(
        pd.DataFrame({"ds": _periods(history, "history"), "y": _numbers(history)}),
        body.horizon,
        signals=_inline_signals(body.signals),
        engine=body.engine,
        levels=tuple(body.levels),
        frequency=history.frequency,
        as_of=None if moment is None else pd.Timestamp(moment),
        category=body.category,
        unit=body.unit,
    )


def _inline_signals(signals: list[InlineSignal]) -> pd.DataFrame | None:
    if not signals:
        return None
    frames = [
        pd.DataFrame(
            {
                "signal": signal.signal,
                "ds": _periods(signal, f"signals.{number}"),
                "value": _numbers(signal),
                "future_known": signal.future_known,
                "aggregation": signal.aggregation,
            }
        )
        for number, signal in enumerate(signals)
    ]
    return pd.concat(frames, ignore_index=True)


def _numbers(values: Values) -> pd.Series[float]:
    return pd.Series(values.values, dtype="float64")


def _periods(values: Values, field: str) -> pd.DatetimeIndex:
    """The labels of consecutive periods; `start` must be one of them."""
    periods = pd.date_range(values.start, periods=len(values.values), freq=values.frequency, unit="us")
    if periods[0].date() != values.start:
        allowed = f"the label of a period of {values.frequency}, such as {periods[0]:%Y-%m-%d}"
        raise ForecastError(f"{field}.start", values.start.isoformat(), allowed)
    if periods[-1] > pd.Timestamp(LAST):
        raise ForecastError(f"{field}.values", f"periods to {periods[-1]:%Y-%m-%d}", f"periods to {LAST}")
    return periods
