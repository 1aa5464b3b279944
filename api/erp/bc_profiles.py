"""Profiles: how answers are given to one company, from the tables [business_central.NAME] of groundswell.toml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from api.erp.bc_errors import QUERY, BadArgument, shown
from signals.connector import ConfigError
from signals.toml_tables import FILE, read_tables

TABLE = "business_central"
USUAL = "default"  # the profile of addresses that name no other
ValueForm = Literal["number", "integer", "string"]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("the name of a time zone, such as Europe/Copenhagen") from None
    return name


class Profile(BaseModel):
    """How answers are given to one company."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: ValueForm = Field("number", description="quantities as JSON numbers, whole numbers, or text")
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC", description="in which the work date is taken to be today"
    )
    delta_cap_pct: Annotated[float, Strict(), Field(gt=0, le=1000)] | None = Field(
        None, description="Sigma is at most so many per cent of the quantity; not capped where it is not given"
    )


def profile_for(home: Path, query: Mapping[str, str], *segments: str) -> Profile:
    """The profile that a query or an address names: `profile=`, else the first segment that is one, else `default`.

    Raises BadArgument for a query that names none, ConfigError where groundswell.toml cannot be used.
    """
    profiles = read_profiles(home)
    asked = query.get("profile")
    if asked is not None and asked not in profiles:
        raise BadArgument(
            QUERY, f"profile is {shown(asked)}; allowed: {', '.join(sorted(profiles)) or 'none is set up'}"
        )
    names = (asked,) if asked is not None else (*segments, USUAL)
    chosen = next((profiles[name] for name in names if name in profiles), Profile())
    form = query.get("values")
    if form is None:
        return chosen
    if form not in get_args(ValueForm):
        raise BadArgument(QUERY, f"values is {shown(form)}; allowed: {', '.join(get_args(ValueForm))}")
    return chosen.model_copy(update={"values": form})


def read_profiles(home: Path) -> Mapping[str, Profile]:
    """All profiles of a home by name; what was read is kept until the file changes. Raises ConfigError."""
    try:
        state = (home / FILE).stat()
    except FileNotFoundError:
        return {}
    return _read(home, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _read(home: Path, changed: int, size: int) -> Mapping[str, Profile]:  # noqa: ARG001 - what the cache goes by
    tables, where = read_tables(home).get(TABLE, {}), str(home / FILE)
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError(TABLE, "no table of tables", f"tables that begin with [{TABLE}.NAME]", where)
    return {name: _profile(name, table, where) for name, table in tables.items()}


def _profile(name: str, table: dict[str, Any], where: str) -> Profile:
    try:
        return Profile.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = f"{TABLE}.{name}.{'.'.join(str(part) for part in first['loc'])}"
        raise ConfigError(key, first["input"], _allowed(first["type"], first["msg"]), where) from error


def _allowed(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"no key of this name; the keys are {', '.join(Profile.model_fields)}"
    return message.removeprefix("Value error, ")
