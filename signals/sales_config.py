"""Where sales are pulled from: the `[[sales]]` tables of groundswell.toml, and the secrets that they name."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signals.connector import ConfigError
from signals.durations import Duration
from signals.toml_tables import FILE, list_of_tables, read_tables

KINDS: Mapping[str, tuple[str, ...]] = {
    "folder": ("folder",),
    "url": ("url", "url_variable", "url_file"),
    "database": ("database", "database_variable", "database_file"),
}
# Settings that mean something for one kind of source only.
_ONLY: Mapping[str, tuple[str, ...]] = {
    "folder": ("pattern", "settle"),
    "url": (),
    "database": ("query", "max_rows", "password_variable", "password_file"),
}
_OPTIONS = (
    *("category", "date", "quantity", "known_at", "frequency", "week", "unit", "timezone", "duplicates", "gaps"),
    *("dayfirst", "decimal", "lag_days"),
)
# A user without a password is often a token.
_LOGIN = re.compile(r"^(?P<head>https?://(?:[^/?#:@\s]*:)?)(?P<password>[^/@\s]*)@")
# The password of a database may hold a slash.
_DATABASE_LOGIN = re.compile(r"^(?P<head>(?!https?:)[^:/?#\s]+://[^/?#:@\s]*:)(?P<password>[^@\s]*)@")
_SIGNED = re.compile(
    r"sig|signature|.*[-_]signature|.*token|.*key|.*secret|pass|password|pwd|code|auth|odbc_connect", re.IGNORECASE
)


LEAST = 8  # letters of a path that may be a token

Text = Annotated[str, Field(min_length=1)]


class SalesSource(BaseModel):
    """One place that sales are pulled from, as `[[sales]]` describes it. Secrets are named here, never held."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="what it is called, unique")
    folder: Text | None = Field(
        None, description="a folder of CSV or Parquet files, outside the home; a relative one counts from there"
    )
    pattern: Text = Field("*.csv", description="which files of the folder; `**/` goes into folders below")
    settle: Duration = Field(timedelta(seconds=10), description="wait until no file has changed for so long")
    url: str | None = Field(None, pattern=r"^https?://\S+$", description="address of one CSV or Parquet file")
    url_variable: Text | None = Field(None, description="environment variable that holds the address")
    url_file: Text | None = Field(None, description="file that holds the address")
    database: Text | None = Field(
        None,
        description="SQLAlchemy's URL of a database; `duckdb:///…` a DuckDB file, `duckdb:` files named in the query",
    )
    database_variable: Text | None = Field(None, description="environment variable that holds the database's URL")
    database_file: Text | None = Field(None, description="file that holds the database's URL")
    password_variable: Text | None = Field(None, description="environment variable that holds the database's password")
    password_file: Text | None = Field(None, description="file that holds the database's password")
    query: Text | None = Field(None, description="one SELECT (or WITH … SELECT), a row for each category and date")
    max_rows: int = Field(5_000_000, ge=1, le=100_000_000, description="refuse a result with more rows")
    max_megabytes: int = Field(1_000, ge=1, le=100_000, description="refuse a file, or a folder's files, beyond it")
    timeout: Duration = Field(timedelta(minutes=5), description="longest time that a download or a query may take")
    every: Duration = Field(timedelta(days=1), description="how often `groundswell serve` pulls it")
    category: Text | None = Field(None, description="column of the category, or =NAME; guessed")
    date: Text | None = Field(None, description="column of the date; guessed")
    quantity: Text | None = Field(None, description="column of the quantity; guessed")
    known_at: Text | None = Field(None, description="column of the moment when a value became known (UTC); guessed")
    frequency: Text | None = Field(None, description="D, W, W-MON … W-SUN, MS or QS; guessed")
    week: Literal["begins", "ends"] | None = Field(
        None, description="whether the date of a week is its first day (begins) or its last (ends); guessed"
    )
    unit: Text | None = Field(None, description="unit of the quantity, such as pairs")
    timezone: Text | None = Field(None, description="time zone of the periods, such as Europe/Berlin")
    duplicates: Literal["refuse", "sum", "last"] = Field(
        "refuse", description="two rows for one category and date in one file: refuse, sum or last"
    )
    gaps: Literal["missing", "zero"] = Field(
        "missing", description="whether a period without a row is not known (missing) or had no sales (zero)"
    )
    dayfirst: bool | None = Field(None, description="how to read 03/04/2026; guessed")
    decimal: Literal[".", ","] | None = Field(None, description="the decimal separator; guessed")
    lag_days: int = Field(0, ge=0, le=3660, description="days after its end at which a period's value became known")

    @property
    def kind(self) -> str:
        """folder, url or database."""
        return next(kind for kind, names in KINDS.items() if any(getattr(self, name) for name in names))

    @property
    def options(self) -> dict[str, Any]:
        """What `prepare_sales` is told."""
        return {name: getattr(self, name) for name in _OPTIONS}

    @property
    def place(self) -> str:
        """Where the sales are, for people; it holds no secret."""
        name = next(name for name in KINDS[self.kind] if getattr(self, name))
        value = str(getattr(self, name))
        return (
            f"{self.folder}/{self.pattern}" if name == "folder" else value if name == self.kind else f"{name} {value}"
        )


@dataclass(frozen=True)
class Address:
    """Where a source is, with its secrets, and what of it must never be shown."""

    text: str
    secrets: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """The text with *** in the place of every secret."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def load_sales_sources(home: Path) -> list[SalesSource]:
    """The sources that groundswell.toml in the home names, in its order; none where there is no file.

    Raises ConfigError where one cannot be used. Secrets are not read yet: see `address`.
    """
    file = home / FILE
    tables = list_of_tables(read_tables(home), "sales", home)
    sources = [_source(table, f"{file}, [[sales]] {number}") for number, table in enumerate(tables, 1)]
    names = [source.name for source in sources]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise ConfigError("name", name, "a name that no other source has", f"{file}, [[sales]] {number}")
    return sources


def _source(table: Mapping[str, Any], where: str) -> SalesSource:
    if isinstance(table.get("name"), str):
        where += f" {table['name']!r}"
    try:
        source = SalesSource.model_validate(table)
    except ValidationError as error:
        raise _config_error(error, where) from None  # pydantic's own message would show secrets
    _check_kind(source, where)
    _check_secrets(source, where)
    return source


def _config_error(error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    key, kind, value = ".".join(map(str, first["loc"])), first["type"], first["input"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, SalesSource.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else "docs/sources/sales.md lists the names"
        return ConfigError(key, "…", f"no setting of this name: {hint}", where)
    if kind == "missing":
        return ConfigError(key, "missing", "a name of letters, digits, _ and -", where)
    context = first.get("ctx", {})
    allowed = str(context.get("error") or context.get("expected") or first["msg"])
    return ConfigError(key, shown(value) if isinstance(value, str) else value, allowed, where)


def _check_kind(source: SalesSource, where: str) -> None:
    """Refuse a source that says in no way or in two where its sales are, and settings that would mean nothing."""
    given = [name for names in KINDS.values() for name in names if getattr(source, name) is not None]
    if len(given) != 1:
        allowed = ", ".join(name for names in KINDS.values() for name in names)
        raise ConfigError("source", " and ".join(given) or "missing", f"one of {allowed}", where)
    for kind, names in _ONLY.items():
        for name in names:
            if kind != source.kind and name in source.model_fields_set:
                raise ConfigError(name, shown(str(getattr(source, name))), f"{name} only with {kind}", where)
    if source.kind == "database" and source.query is None:
        raise ConfigError("query", "missing", "one SELECT with a row for each category and date", where)
    if source.password_variable is not None and source.password_file is not None:
        raise ConfigError("password_file", source.password_file, "password_variable or password_file, not both", where)
    if Path(source.pattern).is_absolute() or ".." in Path(source.pattern).parts:
        raise ConfigError("pattern", source.pattern, "names of files in the folder, such as *.csv", where)


def _check_secrets(source: SalesSource, where: str) -> None:
    """Refuse a password or a signature in the file itself: it is copied, backed up and checked in."""
    for key in ("url", "database"):
        value = getattr(source, key)
        if value is not None and (_password(value) or _signed(value)):
            advice = f"an address without a secret; put the whole of it into a variable and name that in {key}_variable"
            raise ConfigError(key, shown(value), f"{advice}, or into a file and name that in {key}_file", where)


def _password(url: str) -> str:
    found = _LOGIN.match(url) or _DATABASE_LOGIN.match(url)
    return found["password"] if found else ""


def _signed(url: str) -> bool:
    return any(_SIGNED.fullmatch(name) for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))


def shown(url: str) -> str:
    """An address as messages show it: no password, and nothing of what follows a question mark or a hash."""
    hidden = _DATABASE_LOGIN.sub(r"\g<head>***@", _LOGIN.sub(r"\g<head>***@", url))
    return re.sub(r"([?#]).*", r"\1***", hidden, flags=re.DOTALL)


def address(source: SalesSource, home: Path) -> Address:
    """Where a source is, with the secrets that its variables and files hold now; ConfigError where one is missing."""
    where = f"[[sales]] {source.name!r}"
    if source.folder is not None:
        return Address(str(home / source.folder))
    text = _value(source, source.kind, home, where)
    secrets = {_password(text), unquote(_password(text)), urlsplit(text).query}
    path = urlsplit(text).path.strip("/")
    if source.kind == "url" and source.url is None and len(path) >= LEAST:
        secrets.add(path)  # the whole address is kept secret: its path may be a token
    secrets |= {value for name, value in parse_qsl(urlsplit(text).query) if _SIGNED.fullmatch(name)}
    if source.password_variable is not None or source.password_file is not None:
        password = _value(source, "password", home, where)
        text = _with_password(text, password, where)
        secrets |= {password, quote(password, safe="")}
    if source.kind == "url" and not re.match(r"https?://\S+$", text):
        raise ConfigError("url", "***", "an address that begins with http:// or https://", where)
    return Address(text, tuple(secret for secret in secrets if secret))


def _value(source: SalesSource, key: str, home: Path, where: str) -> str:
    variable, file = getattr(source, f"{key}_variable"), getattr(source, f"{key}_file")
    if variable is not None:
        given = os.environ.get(variable, "").strip()
        if not given:
            raise ConfigError(f"{key}_variable", variable, "a variable that is set in the environment", where)
        return given
    if file is None:
        return str(getattr(source, key))
    try:
        value = Path(home / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}_file", file, f"a file that can be read ({type(error).__name__})", where) from error
    if not value:
        raise ConfigError(f"{key}_file", file, "a file that is not empty", where)
    return value


def _with_password(url: str, password: str, where: str) -> str:
    found = re.match(r"(?P<head>[^:/?#\s]+://[^/?#:@\s]+)(?P<tail>@.*)", url, re.DOTALL)
    if found is None:
        raise ConfigError(
            "database", shown(url), "a URL with a user and no password, such as …://user@host/name", where
        )
    return f"{found['head']}:{quote(password, safe='')}{found['tail']}"
