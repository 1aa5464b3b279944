"""Business Central's forecast service: what its page "Sales and Inventory Forecast Setup" takes as API URI.

The contract is that of the web service that Business Central ships with, so that nothing is installed there.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Request, Response

from api.erp.bc_calendar import Buckets
from api.erp.bc_errors import LIMIT, QUERY, START, BadArgument, shown
from api.erp.bc_forecast import FACE, TOGETHER, Ask, Joined, Row, cannot, find, make
from api.erp.bc_profiles import Profile, profile_for
from api.erp.bc_request import COLUMNS, Question, parse
from api.errors import Problem
from api.fields import FIRST, LAST
from api.ledger import Issued, Ledger
from api.moments import is_date
from api.now_or_later import busy
from api.overrides.kept import last_number
from api.routes import settings_of
from api.security import Caller, needs
from api.settings import Settings
from api.snapshots import Snapshots
from api.turns import Turns
from forecast import ForecastError
from signals.connector import ConfigError

log = logging.getLogger("groundswell")

LARGEST = 999_999_999_999  # quantity or half-width; .NET writes larger ones with an exponent
DECIMALS = 4  # .NET writes smaller fractions with an exponent
REMEMBERED = 20_000  # forecasts of the earlier items of a batch
PATIENCE_SECONDS = 20.0  # its client cannot ask again, and waits up to a minute and a half by default
TYPES = ("String", "Int32", "Double", "Double")

router = APIRouter(include_in_schema=False)


@router.post("/score")
@router.post("/score/execute")
@router.post("/{before:path}services.azureml.net/workspaces/{rest:path}")
async def score(request: Request, caller: Annotated[Caller, needs("forecast:write", face=FACE)]) -> Response:
    """Forecast each item of the request; 200 without rows for one that cannot be forecast."""
    began = time.perf_counter()
    body = await request.body()
    turns: Turns = request.app.state.turns
    if turns.wait() > PATIENCE_SECONDS:
        raise busy(turns, "its turn would not come in time")
    answer = await turns.take(FACE, _answer, body, request, caller)
    duration = {"x-ms-request-duration": time_span(time.perf_counter() - began)}
    return Response(answer, headers=duration, media_type="application/json")


def time_span(seconds: float) -> str:
    """Seconds as .NET writes a TimeSpan: d.hh:mm:ss.fffffff."""
    whole, ticks = divmod(int(seconds * 10_000_000), 10_000_000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}.{hour:02}:{minute:02}:{second:02}.{ticks:07}"


def _answer(body: bytes, request: Request, caller: Caller) -> bytes:
    settings, query = settings_of(request), request.query_params
    try:
        profile = profile_for(settings.home, query, *_segments(request.path_params.get("rest", "")))
    except ConfigError as error:
        log.error("business central: %s", error)
        detail = "the profiles in groundswell.toml cannot be used; the log of the service says why"
        raise Problem(500, "internal-error", detail) from error
    question = parse(body)
    if question is None:
        return _table([["pong"]])
    if question.parameters.horizon > settings.max_horizon:
        message = f"horizon is {question.parameters.horizon}; allowed: at most {settings.max_horizon} (max_horizon)"
        raise BadArgument(LIMIT, message)
    work_date = _anchor(query) or dt.datetime.now(ZoneInfo(profile.timezone)).date()
    moment = _moment(work_date, profile.timezone)
    batch: Batch = request.app.state.business_central
    return _table(_written(batch.forecasts(question, work_date, moment, caller), profile))


def _segments(rest: str) -> list[str]:
    """The names in an address that may be those of profiles: the service before the workspace."""
    parts = rest.split("/")
    return [*parts[2:3], parts[0]] if parts[1:2] == ["services"] else parts[:1]


def _anchor(query: Mapping[str, str]) -> dt.date | None:
    given = query.get("anchor")
    if given is None:
        return None
    try:
        day = dt.date.fromisoformat(given) if is_date(given) else None
    except ValueError:
        day = None
    if day is None or not FIRST < day < LAST:
        raise BadArgument(QUERY, f"anchor is {shown(given)}; allowed: a date such as 2026-11-24")
    return day


def _moment(work_date: dt.date, timezone: str) -> dt.datetime:
    """UTC without a zone: now, or the end of the work date where that is earlier; what was known then may be used.

    Now is cut to `TOGETHER` seconds, so that the calls of a run can share what is read.
    """
    end = dt.datetime.combine(work_date + dt.timedelta(days=1), dt.time(), ZoneInfo(timezone))
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return min(now - dt.timedelta(seconds=now.second % TOGETHER), end.astimezone(dt.UTC)).replace(tzinfo=None)


class Batch:
    """Forecasts all items of a request, for many threads.

    The last item is what the request is about. Older versions of Business Central send all earlier items of a run
    again with each: these are remembered, or a run over many items would take time with their square.
    """

    def __init__(self, settings: Settings, snapshots: Snapshots, ledger: Ledger) -> None:
        self._settings, self._snapshots, self._ledger = settings, snapshots, ledger
        self._made: OrderedDict[tuple[Any, ...], tuple[Row, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def forecasts(
        self, question: Question, work_date: dt.date, moment: dt.datetime, caller: Caller
    ) -> list[tuple[str, Row]]:
        """The rows of every item that can be forecast; each forecast is in the ledger when this returns.

        Raises BadArgument where no item's buckets end before those to forecast, and a Problem for an item that the
        caller may not see.
        """
        asks = self._asks(question, Buckets(question.parameters.seasonality, work_date + dt.timedelta(days=1)))
        asked = _told(question, work_date)
        rows: list[tuple[str, Row]] = []
        kept: list[Issued] = []
        fresh: dict[tuple[Any, ...], tuple[Row, ...]] = {}
        stores = find(self._snapshots, [ask.item for ask in asks])
        changed = last_number(self._settings)
        for ask in asks:
            store = _visible(ask.item, stores.get(ask.item), caller)
            known = (ask, store and (store.record.category, store.data_version, changed))
            found = None if ask is asks[-1] else self._made.get(known)
            if found is None:
                found, issued = self._one(ask, store, moment, asked, caller)
                kept += issued
                fresh |= {known: found} if issued else {}
            rows += [(ask.item, row) for row in found]
        if kept:
            self._ledger.append(*kept)
        self._remember(fresh)
        return rows

    def _asks(self, question: Question, buckets: Buckets) -> list[Ask]:
        given = question.parameters
        last = max((max(group) for group in question.groups.values()), default=0)
        start = last + 1 if given.start_key is None else given.start_key
        timely = {item: group for item, group in question.groups.items() if max(group) < start}
        if question.groups and not timely:
            message = f"forecast_start_datekey is {start}; allowed: above the largest DateKey, {last}"
            raise BadArgument(START, message)
        asks = []
        for item, group in question.groups.items():
            first, end = min(group), max(group)
            if item not in timely or end - first >= self._settings.max_history:
                log.warning("no forecast of item %r: its buckets are %d to %d, the first to forecast is %d; at most %d "
                            "are taken", item, first, end, start, self._settings.max_history)  # fmt: skip
                continue
            values = tuple(group.get(key, 0.0) for key in range(first, end + 1))
            asks.append(Ask(item, first, values, start, given.horizon, given.confidence, buckets))
        return asks

    def _one(
        self, ask: Ask, store: Joined | None, moment: dt.datetime, asked: dict[str, Any], caller: Caller
    ) -> tuple[tuple[Row, ...], list[Issued]]:
        """One item, whatever is wrong with it: an error would end a run over all items."""
        reason = cannot(ask)
        if reason is None:
            try:
                rows, issued = make(ask, store, moment, asked, caller.key_id, self._settings)
            except ForecastError as error:
                reason = str(error)
            except Exception:
                log.exception("no forecast of item %r", ask.item)
                return (), []
            else:
                return rows, [issued]
        log.warning("no forecast of item %r: %s", ask.item, reason)
        return (), []

    def _remember(self, fresh: dict[tuple[Any, ...], tuple[Row, ...]]) -> None:
        with self._lock:
            self._made.update(fresh)
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)


def _visible(item: str, store: Joined | None, caller: Caller) -> Joined | None:
    """The item's category in the store, if the caller may see it; a Problem where they may not see the item either."""
    if store is not None and caller.may_see(store.record.category):
        return store
    caller.check_category(item)
    return None


def _told(question: Question, work_date: dt.date) -> dict[str, Any]:
    given = question.parameters
    return {
        "anchor": work_date.isoformat(),
        "seasonality": given.seasonality,
        "time_series_model": given.model,
        "confidence_level": given.confidence,
        "forecast_start_datekey": given.start_key,
    }


def _written(rows: Iterable[tuple[str, Row]], profile: Profile) -> list[list[Any]]:
    """The rows as the profile wants them."""
    found = []
    for item, row in rows:
        width = min(row.half_width, LARGEST)
        if profile.delta_cap_pct is not None:
            width = min(width, abs(row.quantity) * profile.delta_cap_pct / 100)
        quantity = max(-LARGEST, min(row.quantity, LARGEST))
        found.append([item, row.key, _number(quantity, profile.values), _number(width, profile.values)])
    return found


def _number(value: float, form: str) -> float | int | str:
    if form == "integer":
        return round(value)
    rounded = round(float(value), DECIMALS) + 0.0  # + 0.0: no -0.0
    return rounded if form == "number" else f"{rounded:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _table(rows: list[list[Any]]) -> bytes:
    value = {"ColumnNames": [*COLUMNS, "Sigma"], "ColumnTypes": TYPES, "Values": rows}
    return orjson.dumps({"Results": {"Output1": {"type": "table", "value": value}}})
