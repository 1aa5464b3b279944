"""Errors as Business Central reads them: Azure's JSON, with `Error code: N.` at the start of the message.

100  method that is not served          203  forecast_start_datekey
200  body, its shape                    204  time_series_model
201  parameter                          205  beyond a limit of the settings
202  column or cell of the history      206  query: profile, values, anchor
others are the HTTP status
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from api.errors import Problem

METHOD, BODY, PARAMETER, CELL, START, MODEL, LIMIT, QUERY = 100, 200, 201, 202, 203, 204, 205, 206
_CODES = {
    400: "BadArgument",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "RequestTooLarge",
    422: "BadArgument",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


class BadArgument(Problem):
    """What was sent cannot be used; `number` is one of the codes above."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(400, "bad-argument", detail, number=number)


def shown(value: object) -> str:
    """A value as a message repeats it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def is_ours(path: str) -> bool:
    """Whether an address belongs to this face."""
    return "/services.azureml.net" in path or path == "/score" or path.startswith("/score/")


def azure_error(status: int, detail: str, headers: Mapping[str, str] | None, members: Mapping[str, Any]) -> Response:
    """One error as the answer of a web service of Azure."""
    number = members.get("number", status)
    # Business Central shows the text from "Error code: " up to the first backslash.
    plain = " ".join(detail.replace("\\", "/").split()).encode("utf-8", "replace").decode()
    message = f"Error code: {number}. {plain}"
    error = {
        "code": _CODES.get(status, "Error"),
        "message": message,
        "details": [{"code": str(number), "message": plain}],
    }
    return Response(orjson.dumps({"error": error}), status, dict(headers or {}), "application/json")
