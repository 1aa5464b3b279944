"""Settings: one place that names each, says what it allows and where its value was read.

Order of precedence: command line, ``GROUNDSWELL_…`` variable, ``groundswell.toml`` in the home, default.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "GROUNDSWELL_"
FILE = "groundswell.toml"
DEFAULT_HOME = Path("data/home")
# Of groundswell.toml, which have readers of their own.
TABLES = ("signals", "connectors", "sales", "business_central", "exports", "imports")
# As in signals.connectors.economic_tracker (a test compares), which would load pandas for `groundswell settings`.
_TRACKER = "https://raw.githubusercontent.com/OpportunityInsights/EconomicTracker/main/data/"


class SettingError(ValueError):
    """A setting that cannot be used: names the setting, its value, what is allowed and where it was read."""

    def __init__(self, setting: str, value: object, allowed: str, where: str) -> None:
        self.setting, self.value, self.allowed, self.where = setting, str(value), allowed, where
        super().__init__(f"setting {setting} is {_short(value)} ({where}); allowed: {allowed}")


class _File(TomlConfigSettingsSource):
    """What groundswell.toml says of settings."""

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__call__().items() if name not in TABLES}

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        return tomllib.loads(file_path.read_bytes().decode("utf-8-sig"))


class Settings(BaseSettings):
    """Every setting of Groundswell (docs/settings.md describes each)."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(
        DEFAULT_HOME, description="directory of the store; not allowed in groundswell.toml, which lies in it"
    )
    host: str = Field("127.0.0.1", min_length=1, description="address that `serve` listens on")
    port: int = Field(8000, ge=1, le=65535, description="port that `serve` listens on")
    workers: int = Field(2, ge=1, le=64, description="API worker processes of `serve`")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+[^\s?#/])?$",
        description="address under which clients reach the API, for absolute links; empty: as the request says",
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="what `serve` logs, at this level and above"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="how `serve` logs; text: lines for people; json: one JSON object a line"
    )
    publish_seconds: float = Field(
        5.0, ge=0.1, le=3600, description="imports are published at most once in so many seconds"
    )
    pull_check_seconds: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="`serve` looks for sources that are due each so many seconds; 0: it pulls none",
    )
    shutdown_seconds: int = Field(30, ge=1, le=3600, description="time that running requests get when `serve` stops")
    database_url: str = Field(
        "",
        pattern=r"^((sqlite:///|postgresql(\+psycopg)?://)\S+)?$",
        description="SQLAlchemy's address of the operational database (jobs, issued forecasts, keys); empty: SQLite in "
        "the home",
    )
    executor: str = Field(
        "jobs-1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="name of the job worker; with several, each needs its own, and keeps it when it starts again",
        json_schema_extra={"allowed": "1 to 64 letters, digits and . _ -"},
    )
    keep_jobs_days: int = Field(
        90, ge=1, le=100_000, description="jobs that are over, and webhook deliveries, are removed after so many days"
    )
    keep_receipts_days: int = Field(
        0,
        ge=0,
        le=100_000,
        description="issued forecasts, and their rows in OData, are removed after so many days; 0: they are kept for "
        "ever",
    )
    keep_scores_days: int = Field(
        0,
        ge=0,
        le=100_000,
        description="how issued forecasts did is removed so many days after the last period of each; 0: it is kept for "
        "ever",
    )
    retune_days: int = Field(
        91,
        ge=0,
        le=100_000,
        description="days after which a better configuration is searched for, for each category that is forecast; 0: "
        "only on drift or by hand",
    )
    canary_answers: int = Field(
        200, ge=1, le=1_000_000, description="answers of a challenger before its share of the requests is raised"
    )
    canary_hours: int = Field(24, ge=0, le=100_000, description="hours that each share is held at least")
    canary_days: int = Field(
        7, ge=0, le=10_000, description="days after which a share is raised also with fewer answers than that"
    )
    keep_inline_days: int = Field(
        30,
        ge=0,
        le=100_000,
        description="histories and signals that came with a request are removed after so many days, and a digest of "
        "them stays; 0: they are kept as long as the forecast",
    )
    max_body_bytes: int = Field(5_000_000, ge=1_000, le=1_000_000_000, description="largest request body")
    max_horizon: int = Field(400, ge=1, le=400, description="longest horizon of one request, in periods")
    max_history: int = Field(5_000, ge=10, le=1_000_000, description="longest inline history or signal, in periods")
    max_signals: int = Field(50, ge=0, le=10_000, description="most inline signals in one request")
    max_values: int = Field(
        100_000, ge=10, le=10_000_000, description="most values in one request, of its history and signals together"
    )
    max_bulk: int = Field(64, ge=1, le=1_000, description="most forecasts of one bulk request that is answered at once")
    max_bulk_job: int = Field(
        5_000, ge=1, le=100_000, description="most forecasts of one bulk request with `Prefer: respond-async`"
    )
    max_upload_bytes: int = Field(
        100_000_000, ge=1_000, le=2_000_000_000, description="largest upload of sales or signals"
    )
    max_run: int = Field(100_000, ge=1, le=10_000_000, description="most forecasts of one run")
    max_run_bytes: int = Field(
        2_000_000_000, ge=1_000, le=100_000_000_000, description="largest upload of the requests of a run"
    )
    run_processes: int = Field(
        0, ge=0, le=256, description="processes that do runs of more than 256 forecasts; 0: one a core"
    )
    max_concurrent_forecasts: int = Field(
        0, ge=0, le=256, description="forecasts one worker makes at once, the rest wait; 0: its share of the cores"
    )
    max_wait_seconds: float = Field(
        0.5, ge=0, le=60, description="longest wait for a turn; a forecast that would wait longer becomes a job (202)"
    )
    max_pending: int = Field(
        100_000, ge=1, le=10_000_000, description="most single forecasts that wait as jobs; more are refused with 503"
    )
    max_nowcast_days: int = Field(
        92, ge=0, le=120, description="longest gap between last sales and now that an API forecast fills"
    )
    override_layers: str = Field(
        "planner,manager",
        pattern=r"^[a-z][a-z0-9]{0,29}(, ?[a-z][a-z0-9]{0,29}){0,19}$",
        description="layers of overrides; a later one goes before an earlier one",
        json_schema_extra={"allowed": "names of small letters and digits, each once, with commas between"},
    )
    webhook_targets: Literal["public", "private"] = Field(
        "public",
        description="where webhooks may go; public: https to public addresses; private: also into the own network, and "
        "http to this machine",
    )
    tls_cert: str = Field(
        "",
        description="certificate (chain) that `serve` shows, in PEM; with tls_key: HTTPS",
        json_schema_extra={"allowed": "empty, or a file in PEM"},
    )
    tls_key: str = Field(
        "",
        description="private key of tls_cert, without a password",
        json_schema_extra={"allowed": "empty, or a file in PEM"},
    )
    trusted_proxies: str = Field(
        "",
        description="peers whose X-Forwarded-For and X-Forwarded-Proto count",
        json_schema_extra={"allowed": "empty, or IP addresses and networks with commas between"},
    )
    cors_origins: str = Field(
        "",
        pattern=r"^(https?://[^\s/,*]+(, ?https?://[^\s/,*]+)*)?$",
        description="origins whose pages may call the API from a browser; empty: none",
        json_schema_extra={"allowed": "empty, or origins such as https://shop.example with commas between"},
    )
    rate_limit: str = Field(
        "",
        pattern=r"^([1-9]\d{0,8}/(second|minute|hour|day))?$",
        description="most requests of one key, over all workers; each worker grants its share; empty: no limit",
        json_schema_extra={"allowed": "empty, or a number and second, minute, hour or day, such as 600/minute"},
    )
    jwt_issuer: str = Field(
        "",
        description="issuer (`iss`) whose access tokens are taken beside API keys; empty: none are",
        json_schema_extra={"allowed": "empty, or text"},
    )
    jwt_audience: str = Field(
        "",
        description="audience (`aud`) that a token must name",
        json_schema_extra={"allowed": "text together with jwt_issuer, else empty"},
    )
    jwt_jwks_url: str = Field(
        "",
        validate_default=True,
        description="where the issuer lists its public keys (JWKS)",
        json_schema_extra={
            "allowed": "an https:// address (http:// on this machine alone) together with jwt_issuer and jwt_audience, "
            "else empty"
        },
    )
    jwt_tenant: str = Field(
        "",
        description="tenant (`tid`) that a token must name; empty: any that the issuer has",
        json_schema_extra={"allowed": "empty, or text"},
    )
    economic_tracker_spending_url: str = Field(
        f"{_TRACKER}Affinity%20-%20National%20-%20Daily.csv",
        pattern=r"^https?://\S+$",
        description="CSV of card spending that `import economic-tracker` fetches",
    )
    economic_tracker_mobility_url: str = Field(
        f"{_TRACKER}Google%20Mobility%20-%20National%20-%20Daily.csv",
        pattern=r"^https?://\S+$",
        description="CSV of Google mobility that `import economic-tracker` fetches",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("a boolean is not a value of any setting")  # pydantic would read true as 1
        return value

    @field_validator("home", mode="before")
    @classmethod
    def _home_is_named(cls, value: object) -> object:
        if value == "":
            raise ValueError("an empty text names no directory")  # a path would read it as the working directory
        return value

    @field_validator("override_layers")
    @classmethod
    def _layers_are_distinct(cls, value: str) -> str:
        names = value.replace(" ", "").split(",")
        if len(set(names)) < len(names):
            raise ValueError("each layer once")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, value: str) -> str:
        for part in value.split(",") if value else ():
            ipaddress.ip_network(part.strip())  # a misspelt one would trust nobody, without a word
        return value

    @field_validator("jwt_jwks_url")
    @classmethod
    def _issuer_is_whole(cls, value: str, info: ValidationInfo) -> str:
        given = {bool(value), bool(info.data.get("jwt_issuer")), bool(info.data.get("jwt_audience"))}
        parts = urlsplit(value)
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if len(given) > 1 or (value and not (secure and parts.hostname)):
            raise ValueError("the keys of an issuer come over HTTPS, and with its name and an audience")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        home = {"home": DEFAULT_HOME} | env_settings() | init_settings()
        return init_settings, env_settings, _File(settings_cls, Path(home["home"]) / FILE)


@dataclass(frozen=True)
class Origin:
    """Where each setting was read, by name: ``--port``, ``GROUNDSWELL_PORT``, a file or ``default``."""

    where: dict[str, str]
    ignored: tuple[str, ...]  # GROUNDSWELL_… variables that are no setting


def load_settings(**flags: Any) -> tuple[Settings, Origin]:
    """Read the settings; `flags` are those given on the command line (None = not given).

    Raises:
        SettingError: a value is not allowed, a name is unknown or `groundswell.toml` cannot be read.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    from_env = EnvSettingsSource(Settings)()
    home = Path(({"home": DEFAULT_HOME} | from_env | given)["home"])
    file = home / FILE
    from_file = _read_file(file)
    where = dict.fromkeys(Settings.model_fields, "default")
    where |= dict.fromkeys(from_file, str(file))
    where |= {name: PREFIX + name.upper() for name in from_env}
    where |= {name: "--" + name.replace("_", "-") for name in given}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise _setting_error(error, where) from error
    return settings, Origin(where, _ignored_variables())


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        values = {name: value for name, value in values.items() if name not in TABLES}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(FILE, file, f"a TOML file in UTF-8 ({error})", str(file)) from error
    if "home" in values:
        raise SettingError("home", values["home"], f"--home or {PREFIX}HOME, for the file lies in the home", str(file))
    for name in values.keys() - Settings.model_fields.keys():
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else "`groundswell settings` lists the names"
        raise SettingError(name, values[name], f"no setting of this name: {hint}", str(file))
    return values


def _setting_error(error: ValidationError, where: dict[str, str]) -> SettingError:
    first = error.errors()[0]
    name = str(first["loc"][0])
    return SettingError(name, first["input"], allowed_values(name) or first["msg"], where.get(name, "command line"))


def allowed_values(name: str) -> str:
    """What the setting of this name allows, in words."""
    schema = Settings.model_json_schema()["properties"][name]
    if "allowed" in schema:
        return str(schema["allowed"])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if "minimum" in schema:
        kind = "a whole number" if schema["type"] == "integer" else "a number"
        return f"{kind} from {schema['minimum']:g} to {schema['maximum']:.10g}"
    if name == "database_url":
        return "empty, or an address that begins with sqlite:/// or postgresql+psycopg://"
    if "pattern" in schema:
        maybe_empty = "empty, or " if schema["default"] == "" else ""
        return maybe_empty + "an address that begins with http:// or https:// and does not end with a slash"
    return "a directory" if schema.get("format") == "path" else "text, not empty"


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ignored_variables() -> tuple[str, ...]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = [name for name in os.environ if name.startswith(PREFIX) and name.upper() not in known]
    if not unknown:
        return ()
    from api.erp.config import erp_variables
    from signals.config import secret_variables  # loads every connector, which takes a moment

    known = secret_variables() | erp_variables()
    return tuple(sorted(name for name in unknown if name not in known))


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
