"""OData's own conventions of HTTP: errors, versions, media types, preferences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import orjson
from starlette.datastructures import Headers

VERSION = {"OData-Version": "4.0"}
LONGEST = 250  # characters of a message, which quotes what was sent
PAGE = 10_000  # most entities of one answer
Metadata = Literal["none", "minimal", "full"]
_LEGACY: dict[str, Metadata] = {"nometadata": "none", "minimalmetadata": "minimal", "fullmetadata": "full"}
_LEVELS: dict[str, Metadata] = {"none": "none", "minimal": "minimal", "full": "full"}


class ODataError(Exception):
    """An error in OData's shape. `target` is the option or property that is wrong."""

    def __init__(
        self, status: int, code: str, message: str, target: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.code, self.target, self.headers = status, code, target, dict(headers or {})
        super().__init__(message)


def wrong_option(option: str, message: str) -> ODataError:
    """400: an option cannot be understood."""
    return ODataError(400, "BadRequest", f"{option}: {message}"[:LONGEST], option)


def not_supported(option: str, what: str) -> ODataError:
    """501: a part of OData that is not served."""
    return ODataError(501, "NotImplemented", f"{option}: {what} is not supported", option)


@dataclass(frozen=True)
class Reply:
    """What goes out."""

    status: int
    body: bytes
    media_type: str | None
    headers: dict[str, str] = field(default_factory=dict)


def error_reply(error: ODataError) -> Reply:
    """An error as OData tells it."""
    body: dict[str, object] = {"code": error.code, "message": str(error), "target": error.target, "details": []}
    if error.target is None:
        del body["target"]
    return Reply(error.status, orjson.dumps({"error": body}), "application/json;charset=utf-8", error.headers)


@dataclass(frozen=True)
class Format:
    """How JSON is written."""

    metadata: Metadata = "minimal"
    ieee754: bool = False  # Int64 and Decimal as strings

    @property
    def media_type(self) -> str:
        """What goes into Content-Type."""
        strings = ";IEEE754Compatible=true" if self.ieee754 else ""
        return f"application/json;odata.metadata={self.metadata}{strings};charset=utf-8"


@dataclass(frozen=True)
class _Range:
    """One media range of Accept."""

    type: str
    parameters: dict[str, str]
    quality: float


def json_format(accept: str | None, option: str | None) -> Format:
    """How JSON is wanted, by `$format` or else by Accept. Never refused for Accept: every client can read JSON."""
    if option is not None:
        if option.lower() == "json":
            return Format()
        ranges = [one for one in _ranges(option) if one.type == "application/json"]
        if not ranges:
            raise ODataError(406, "NotAcceptable", f"$format: {option!r}; allowed: json", "$format")
        return _format(ranges[0])
    ranges = [one for one in _ranges(accept or "") if one.type == "application/json" and one.quality > 0]
    return _format(max(ranges, key=lambda one: one.quality)) if ranges else Format()


def wants_json_metadata(option: str | None) -> bool:
    """Whether `$metadata` is wanted as JSON: only by `$format`, for clients that send Accept: application/json at all
    times read the XML, the only one that OData 4.0 knows."""
    if option is None or option.lower() in ("xml", "application/xml"):
        return False
    return json_format(None, option) is not None


def _format(one: _Range) -> Format:
    named = one.parameters.get("odata.metadata", one.parameters.get("metadata", "minimal")).lower()
    level = _LEVELS.get(named) or _LEGACY.get(one.parameters.get("odata", "").lower(), "minimal")
    if "odata" in one.parameters and "odata.metadata" not in one.parameters:
        level = _LEGACY.get(one.parameters["odata"].lower(), "minimal")
    return Format(level, one.parameters.get("ieee754compatible", "false").lower() == "true")


def _ranges(accept: str) -> Iterable[_Range]:
    for text in accept.split(","):
        kind, *rest = (part.strip() for part in text.split(";"))
        pairs = (part.split("=", 1) for part in rest if "=" in part)
        parameters = {name.strip().lower(): value.strip().strip('"') for name, value in pairs}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        yield _Range(kind.lower(), parameters, quality)


def check_version(headers: Headers) -> None:
    """Refuse a client that cannot read version 4.0."""
    most = headers.get("odata-maxversion")
    if most is None:
        return
    if not re.fullmatch(r"\d{1,3}\.\d{1,3}", most.strip()):
        raise wrong_option("OData-MaxVersion", f"{most!r}; allowed: a version such as 4.0")
    if float(most) < 4:
        raise wrong_option("OData-MaxVersion", f"{most}: this service answers version 4.0")


def preferred_page(headers: Headers) -> int | None:
    """`Prefer: odata.maxpagesize=N`; None where it is not given, or no number from 1 to the largest page."""
    found = re.search(r'(?:^|[,;\s])(?:odata\.)?maxpagesize\s*=\s*"?(\d{1,9})"?', headers.get("prefer", ""), re.I)
    size = int(found[1]) if found else 0
    return size if 1 <= size <= PAGE else None
