"""Overrides of a category's forecast: set, changed, withdrawn, restored and spoken of by persons."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field

from api.database import now
from api.errors import Problem
from api.event_models import Line
from api.fields import Moment
from api.overrides import deciding, kept
from api.overrides.models import (
    CommentRequest,
    Override,
    OverrideChange,
    OverrideComment,
    OverrideComments,
    OverrideHistory,
    OverrideList,
    OverrideRequest,
    RestoreRequest,
)
from api.overrides.versions import Author, Version
from api.routes import AppSettings, Newest, Reader, base_url, check_visible, statuses
from api.routes.categories import get_category
from api.routes.events import name_of
from api.security import Caller
from api.service import moment_of
from api.settings import Settings
from api.strict import StrictRoute
from signals.store import Snapshot

router = APIRouter(prefix="/v1/categories", tags=["overrides"], route_class=StrictRoute)

ENDING = b"/overrides"
ONE = "/{category:name}/overrides/{override}"
Id = Annotated[str, Field(pattern="^ov_[0-9a-f]{20}$")]
_DIGITS = 15  # of the number of a change: what the database can hold
IfMatch = Annotated[str | None, Header(max_length=200, description="the `ETag` of what the author saw")]
Why = Annotated[Line, Query(description="why")]
By = Annotated[Line | None, Query(description="who decides; default: the name of the API key")]
Which = Annotated[Literal["in_force", "all"], Query(description="those in force, or expired and withdrawn ones too")]
READS = statuses(401, 403, 404, 422, 503)
WRITES = statuses(400, 401, 403, 404, 409, 413, 415, 422, 428, 503)


@router.get(
    "/{category:name}/overrides", summary="Overrides of a category", response_model=OverrideList, responses=READS
)
def list_overrides(
    category: str,
    request: Request,
    settings: AppSettings,
    snapshot: Newest,
    caller: Reader,
    as_of: Moment | None = None,
    state: Which = "in_force",
) -> Response:
    """What persons publish in place of the system's forecast, as of now or of a moment.

    The `ETag` names the last change: sent as `If-Match` with a new override, that one is refused where somebody has
    changed what covers the same days since. A category whose name ends in `/overrides` is asked for with `%2F`.
    """
    if not request.scope["raw_path"].endswith(ENDING):
        return get_category(f"{category}/overrides", request, snapshot, caller)
    check_visible(snapshot, category, caller)
    tag = _tag(f"overrides-{kept.last_number(settings, category)}")  # before it is read: it may be too old, never new
    answer = deciding.list_of(settings, category, moment_of(as_of) or now(), everything=state == "all")
    headers = {"ETag": tag, "Cache-Control": "no-store"}
    return Response(answer.model_dump_json(), headers=headers, media_type="application/json")


@router.post(
    "/{category:name}/overrides",
    summary="Override periods of a category",
    status_code=201,
    response_model=Override,
    responses=WRITES,
)
def set_override(
    category: str,
    body: OverrideRequest,
    request: Request,
    settings: AppSettings,
    snapshot: Newest,
    caller: Reader,
    if_match: IfMatch = None,
) -> Response:
    """Publish a number of a person's own for one period or a range, absolute or in per cent of the system's value.

    It holds for forecasts from now on, which keep the system's numbers beside it. The key needs the scope
    `override:LAYER`.
    """
    check_visible(snapshot, category, caller)
    layer = _layer(body.layer, settings, caller)
    made = deciding.set_override(
        settings, snapshot, category, body.model_copy(update={"layer": layer}), _author(caller, settings), now(),
        since=_since(if_match),
    )  # fmt: skip
    location = f"{base_url(request)}/v1/categories/{quote(category, safe='')}/overrides/{made.id}"
    return _answer(made, 201, {"Location": location})


@router.get(ONE, summary="One override", response_model=Override, responses=READS)
def get_override(category: str, override: Id, settings: AppSettings, snapshot: Newest, caller: Reader) -> Response:
    """Its newest state, with the `ETag` that changes of it must name."""
    check_visible(snapshot, category, caller)
    return _answer(kept.history(settings, category, override)[-1])


@router.patch(ONE, summary="Change an override", response_model=Override, responses=WRITES)
def change_override(
    category: str,
    override: Id,
    body: OverrideChange,
    settings: AppSettings,
    snapshot: Newest,
    caller: Reader,
    if_match: IfMatch = None,
) -> Response:
    """Another number, or another expiry. `If-Match` names the state that the author saw; 409 where it is old."""
    seen = _seen(settings, snapshot, category, override, caller, if_match)
    return _answer(deciding.change(settings, snapshot, seen, body, _author(caller, settings), now()))


@router.delete(ONE, summary="Withdraw an override", response_model=Override, responses=WRITES)
def withdraw_override(
    category: str,
    override: Id,
    settings: AppSettings,
    snapshot: Newest,
    caller: Reader,
    reason: Why,
    author: By = None,
    if_match: IfMatch = None,
) -> Response:
    """From now on it does not apply; it is kept, and can be restored. `If-Match` as with a change."""
    seen = _seen(settings, snapshot, category, override, caller, if_match)
    return _answer(deciding.withdraw(settings, seen, reason, _author(caller, settings), now(), by=author))


@router.post(f"{ONE}/restore", summary="Restore an override", response_model=Override, responses=WRITES)
def restore_override(
    category: str,
    override: Id,
    body: RestoreRequest,
    settings: AppSettings,
    snapshot: Newest,
    caller: Reader,
    if_match: IfMatch = None,
) -> Response:
    """An earlier state comes back, as a further one; so a withdrawal is undone. `If-Match` as with a change."""
    seen = _seen(settings, snapshot, category, override, caller, if_match)
    return _answer(deciding.restore(settings, seen, body, _author(caller, settings), now()))


@router.get(f"{ONE}/history", summary="All states of an override", responses=READS)
def get_history(
    category: str, override: Id, settings: AppSettings, snapshot: Newest, caller: Reader
) -> OverrideHistory:
    """Who set it to what and why, the first one first."""
    check_visible(snapshot, category, caller)
    found, moment = kept.history(settings, category, override), now()
    return OverrideHistory(items=[deciding.told(one, moment) for one in found])


@router.get(f"{ONE}/comments", summary="Comments on an override", responses=READS)
def list_comments(
    category: str, override: Id, settings: AppSettings, snapshot: Newest, caller: Reader
) -> OverrideComments:
    """What was said of it, the first one first."""
    check_visible(snapshot, category, caller)
    kept.history(settings, category, override)
    return OverrideComments(items=[_comment(one) for one in kept.comments(settings, override)])


@router.post(f"{ONE}/comments", summary="Comment on an override", status_code=201, responses=WRITES)
def add_comment(
    category: str, override: Id, body: CommentRequest, settings: AppSettings, snapshot: Newest, caller: Reader
) -> OverrideComment:
    """Say something of it; a key that may write any layer may."""
    check_visible(snapshot, category, caller)
    kept.history(settings, category, override)
    _layer(None, settings, caller)
    author = _author(caller, settings, body.author)
    return _comment(kept.comment(settings, override, body.text, author, now()))


def _comment(one: kept.Comment) -> OverrideComment:
    return OverrideComment(author=one.author, text=one.text, said=deciding.aware(one.moment))


def _author(caller: Caller, settings: Settings, name: str | None = None) -> Author:
    return Author(name or name_of(caller, settings), caller.credential)


def _layer(wanted: str | None, settings: Settings, caller: Caller) -> str:
    """The layer that is written: as wanted, else the first that the key may write. Raises the problem 403."""
    layers = kept.layers_of(settings)
    if wanted is None:
        own = [layer for layer in layers if caller.may(f"override:{layer}")]
        wanted = own[0] if own else layers[0]
    elif wanted not in layers:
        return wanted  # refused by its name, whoever asks
    caller.check_scope(f"override:{wanted}")
    return wanted


def _seen(
    settings: Settings, snapshot: Snapshot, category: str, override: str, caller: Caller, given: str | None
) -> Version:
    """The state that the author saw, where it is the newest. Raises the problems 403, 404, 409 and 428."""
    check_visible(snapshot, category, caller)
    states = kept.history(settings, category, override)
    caller.check_scope(f"override:{states[-1].layer}")
    if given is None:
        detail = f"If-Match is missing; wanted: the ETag of the state that you saw, now {_tag(states[-1].reference)}"
        raise Problem(428, "precondition-required", detail)
    seen = next((one for one in states if _tag(one.reference) == given.strip()), None)
    if seen is None:
        detail = f"If-Match is {given[:80]!r}; wanted: an ETag of {override}, such as {_tag(states[-1].reference)}"
        raise Problem(422, "invalid-request", detail)
    if later := [one for one in states if one.version > seen.version]:
        raise kept.changed(later)
    return seen


def _since(given: str | None) -> int | None:
    """The last change that the author of a new override saw. Raises the problem 422."""
    if given is None:
        return None
    number = given.strip().removeprefix('"overrides-').removesuffix('"')
    if not (number.isdecimal() and len(number) <= _DIGITS) or given.strip() != _tag(f"overrides-{number}"):
        detail = f'If-Match is {given[:80]!r}; wanted: the ETag of the list of overrides, such as "overrides-17"'
        raise Problem(422, "invalid-request", detail)
    return int(number)


def _tag(text: str) -> str:
    return f'"{text}"'


def _answer(one: Version, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = deciding.told(one, now()).model_dump_json()
    own = {"ETag": _tag(one.reference), "Cache-Control": "no-store"}
    return Response(told, status, own | (headers or {}), "application/json")
