"""What is forecast: the categories of the store."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Any

import orjson
import pandas as pd
from fastapi import APIRouter, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from api.database import now
from api.errors import Problem
from api.issued import last_of_category
from api.issued_models import LastForecast
from api.models import Category, CategoryDetail, CategoryPage, Sale
from api.routes import (
    UNCHANGED,
    AppSettings,
    Limit,
    Newest,
    Offset,
    Reader,
    check_visible,
    newest_snapshot,
    of_version,
    page_of,
)
from api.security import Caller, needs
from api.service import history_frame
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/categories", tags=["categories"], route_class=StrictRoute)

LATEST = 12


@router.get("", summary="All categories", response_model=CategoryPage, responses={304: UNCHANGED, 422: {}, 503: {}})
def list_categories(
    request: Request, snapshot: Newest, caller: Reader, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """The categories of the store by name, a page at a time; those that the caller may see."""
    frame = snapshot.categories().sort_values("category")
    frame = frame[frame["category"].map(caller.may_see)] if caller.categories is not None else frame
    rows = frame.iloc[offset : offset + limit].to_dict("records")
    items = [Category(**_category(row, caller)) for row in rows]
    return of_version(request, snapshot, CategoryPage(items=items, **page_of(request, len(frame), limit, offset)))


class _Name(Convertor[str]):
    """All that is left of the address: `path` ends before a line break, and would find another category."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("name", _Name())


@router.get(
    "/{category:name}/forecast",
    summary="The last known forecast of a category",
    response_model=LastForecast,
    responses={401: {}, 403: {}, 404: {}, 422: {}, 503: {}},
)
def get_last_forecast(
    category: str, request: Request, settings: AppSettings, caller: Annotated[Caller, needs("forecast:read")]
) -> Response:
    """The newest one that was made from the store, marked with its age; it needs neither store nor forecaster.

    A category whose name ends in `/forecast` is asked for with `%2F` for that slash, and is no forecast.
    """
    if not request.scope["raw_path"].endswith(b"/forecast"):
        caller.check_scope("data:read")
        return get_category(f"{category}/forecast", request, newest_snapshot(request), caller)
    caller.check_category(category)
    found = last_of_category(settings, category)
    if found is None or found.issued is None:
        raise Problem(404, "no-forecast", f"no forecast of {category!r} was issued yet")
    age = max((now() - found.issued).total_seconds(), 0.0)
    issued = found.issued.replace(tzinfo=dt.UTC).isoformat()
    body = orjson.dumps({"issued": issued, "age_seconds": age, "forecast": orjson.Fragment(found.answer)})
    headers = {"Age": str(int(age)), "Cache-Control": "private, no-cache"}
    return Response(body, media_type="application/json", headers=headers)


@router.get(
    "/{category:name}",
    summary="One category",
    response_model=CategoryDetail,
    responses={304: UNCHANGED, 404: {}, 422: {}, 503: {}},
)
def get_category(category: str, request: Request, snapshot: Newest, caller: Reader) -> Response:
    """One category with its newest sales and its candidate signals. Its name is percent-encoded in the address."""
    check_visible(snapshot, category, caller)
    frame = snapshot.categories()
    row = frame[frame["category"] == category].to_dict("records")[0]
    history = history_frame(snapshot, category, as_of=now()).drop_duplicates("ds", keep="last").dropna(subset=["y"])
    latest = [
        Sale(period=ds.date(), quantity=y, known_at=known_at.tz_localize("UTC"))
        for ds, y, known_at in history.tail(LATEST).itertuples(index=False)
    ]
    detail = CategoryDetail(**_category(row, caller), latest=latest, candidate_signals=snapshot.candidates(category))
    return of_version(request, snapshot, detail)


def _category(row: dict[Any, Any], caller: Caller) -> dict[str, Any]:
    values = {key: None if pd.isna(value) else value for key, value in row.items()}
    values["parent"] = values["parent"] if caller.may_see(values["parent"]) else None
    return {
        **{
            name: values[name]
            for name in ("category", "frequency", "unit", "timezone", "calendar", "parent", "periods")
        },
        "attributes": json.loads(values["attributes"] or "{}"),
        "start": day(values["start"]),
        "end": day(values["end"]),
    }


def day(value: pd.Timestamp | None) -> dt.date | None:
    """A timestamp as a date."""
    return None if value is None else value.date()
