"""What is forecast: the categories of the store."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pandas as pd
from fastapi import APIRouter, Request
from starlette.convertors import Convertor, register_url_convertor

from api.models import Category, CategoryDetail, CategoryPage, Sale
from api.routes import Limit, Newest, Offset, Reader, check_visible, page_of
from api.security import Caller
from api.service import history_frame
from api.strict import StrictRoute

router = APIRouter(prefix="/v1/categories", tags=["categories"], route_class=StrictRoute)

LATEST = 12


@router.get("", summary="All categories", responses={422: {}, 503: {}})
def list_categories(
    request: Request, snapshot: Newest, caller: Reader, limit: Limit = 100, offset: Offset = 0
) -> CategoryPage:
    """The categories of the store by name, a page at a time; those that the caller may see."""
    frame = snapshot.categories().sort_values("category")
    frame = frame[frame["category"].map(caller.may_see)] if caller.categories is not None else frame
    rows = frame.iloc[offset : offset + limit].to_dict("records")
    items = [Category(**_category(row, caller)) for row in rows]
    return CategoryPage(items=items, **page_of(request, len(frame), limit, offset))


class _Name(Convertor[str]):
    """All that is left of the address: `path` ends before a line break, and would find another category."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("name", _Name())


@router.get("/{category:name}", summary="One category", responses={404: {}, 422: {}, 503: {}})
def get_category(category: str, snapshot: Newest, caller: Reader) -> CategoryDetail:
    """One category with its newest sales and its candidate signals. Its name is percent-encoded in the address."""
    check_visible(snapshot, category, caller)
    frame = snapshot.categories()
    row = frame[frame["category"] == category].to_dict("records")[0]
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    history = history_frame(snapshot, category, as_of=now).drop_duplicates("ds", keep="last").dropna(subset=["y"])
    latest = [
        Sale(period=ds.date(), quantity=y, known_at=known_at.tz_localize("UTC"))
        for ds, y, known_at in history.tail(LATEST).itertuples(index=False)
    ]
    return CategoryDetail(**_category(row, caller), latest=latest, candidate_signals=snapshot.candidates(category))


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
