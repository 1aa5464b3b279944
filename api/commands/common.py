"""What several commands share: options, settings, and writing for people or for programs."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from api.moments import parse

if TYPE_CHECKING:
    from pydantic import BaseModel

    from api.settings import Settings
    from forecast import Configuration
    from signals.store import Snapshot

T = TypeVar("T")
Body = TypeVar("Body", bound="BaseModel")


class Failed(click.ClickException):
    """An error that the user can mend: one line, no traceback."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.message}", file=file or sys.stderr)


class Misused(Failed):
    """The same, where the command was given something that it does not take."""

    exit_code = 2


class Moment(click.ParamType[dt.datetime]):
    """A moment in ISO 8601; without an offset it is UTC, and a day alone is its midnight."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        if isinstance(value, dt.datetime):
            return value
        try:
            return parse(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no moment; write it like 2026-03-01 or 2026-03-01T06:00:00Z", param, ctx)


class Duration(click.ParamType[int]):
    """A time span such as 90s, 2m or 500ms, as whole milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d{1,7})(ms|s|m)", str(value), re.ASCII)
        most = _UNITS["m"] * 60
        if found is None or not 1 <= (span := int(found[1]) * _UNITS[found[2]]) <= most:
            self.fail(f"{value!r} is no time span; write it like 60s, 2m or 500ms, at most 60m", param, ctx)
        return span


_UNITS = {"ms": 1, "s": 1000, "m": 60_000}


class Home(click.Path):
    """A directory; an empty text is none, though a path would read it as the working directory."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty text names no directory", param, ctx)
        return super().convert(value, param, ctx)


class OutFile(click.Path):
    """A file to write, in a directory that is there: a typing error must not make new ones."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"the directory {str(path.parent)!r} does not exist; make it first", param, ctx)
        return path


def take_home(ctx: click.Context, _param: click.Parameter, home: Path | None) -> None:
    """Let `--home` be given before the command or after it; the one after it counts."""
    if home is not None:
        ctx.find_root().obj = home


as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
as_of = click.option("--as-of", type=Moment(), help="Use only what was known at this moment (UTC); default: now.")
engine = click.option(
    "--engine",
    default="fast",
    show_default=True,
    help="The engine that forecasts: additive, auto, boosting, croston, detailed, direct, direct_additive, ets, fast, "
    "prophet, reduction, sarimax, sba, seasonal_naive, theta, tsb, unobserved_components or a plug-in's.",
)
serving_engine = click.option(
    "--engine",
    help="The engine that forecasts: additive, auto, boosting, croston, detailed, direct, direct_additive, ets, fast, "
    "prophet, reduction, sarimax, sba, seasonal_naive, theta, tsb, unobserved_components or a plug-in's.  [default: as "
    "the configuration that serves the category says]",
)
budget = click.option(
    "--budget",
    type=Duration(),
    help="Time that the engines auto and detailed may take for each category, such as 60s, 2m or 500ms; it chooses "
    "among them and their members.",
)
horizon = click.option(
    "--horizon", type=click.IntRange(1, 520), default=8, show_default=True, help="Periods to forecast."
)


def check_budget(engine: str | None, budget: int | None) -> None:
    """Refuse a budget that the engine would not heed."""
    if budget is not None and engine not in ("auto", "detailed"):
        named = engine or "that serves"
        raise Misused(f"--budget: the engine {named} takes the time that it takes; use --engine auto or detailed")


def model(kind: type[Body], given: dict[str, Any]) -> Body:
    """A request of the API made from what the command line says; one line for what is wrong with it."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Misused(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error


def checked(function: Callable[..., T], *arguments: Any) -> T:
    """What a function of the API gives; a problem is an error of one line."""
    from api.errors import Problem

    try:
        return function(*arguments)
    except Problem as problem:
        raise Failed(str(problem.detail)) from problem


def aware(moment: dt.datetime | None) -> str | None:
    """A moment of the command line, as the API takes it."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat()


def settings_of(ctx: click.Context, **flags: Any) -> Settings:
    """The settings for this call; `flags` are those given on the command line."""
    from api.settings import load_settings

    return load_settings(home=ctx.find_root().obj, **flags)[0]


def settings_there(ctx: click.Context) -> Settings:
    """The same, of a home that is there: what only reads, or changes what is kept, makes no home of a slip."""
    settings = settings_of(ctx)
    if not settings.home.is_dir() and not settings.database_url:  # jobs and keys at `database_url` need no home
        raise Failed(f"{settings.home} is no directory: name the home with --home")
    return settings


def serving(ctx: click.Context, category: str, engine: str | None) -> Configuration:
    """The configuration of an engine that is asked for, else of the champion of a category."""
    from api.life.serving import champion_of
    from forecast import Configuration

    return champion_of(settings_of(ctx), category) if engine is None else Configuration(engine)


def open_newest(ctx: click.Context) -> Snapshot:
    """The newest published snapshot of the home."""
    from signals.store import open_snapshot

    return open_snapshot(settings_of(ctx).home)


def write_json(value: Any) -> None:
    """One JSON value on stdout, indented for people who look at it."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    click.echo(orjson.dumps(value, default=_plain, option=options).decode())


def _plain(value: Any) -> Any:
    """What pandas and the store put into rows, as JSON: a moment in ISO 8601, anything missing as null."""
    import pandas as pd

    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if value is pd.NaT or value is pd.NA:
        return None
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> None:
    """A table in plain text: the first `left` columns flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def note(text: str) -> None:
    """A remark on stderr, so that stdout stays what the command is for."""
    click.echo(text, err=True)


def watched() -> bool:
    """Whether a person watches stderr: only then is progress shown."""
    return sys.stderr.isatty()


def one_format(*, as_json: bool, as_csv: bool) -> None:
    """Refuse to write JSON and CSV at once."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a frame with None for whatever is missing."""
    return [
        {str(key): None if value != value else value for key, value in row.items()} for row in frame.to_dict("records")
    ]


def day(value: Any) -> str | None:
    """A day in ISO 8601, None for none."""
    return None if value is None else f"{value:%Y-%m-%d}"
