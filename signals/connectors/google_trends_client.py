"""pytrends with our own transport: every request goes through `get`, none through pytrends' sessions and retries."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pytrends.request import BASE_TRENDS_URL, TrendReq

from signals.connector import Drift, Get, Payload, Request
from signals.connectors.google_trends_series import unprefixed

TOKENS, TIMELINE = TrendReq.GENERAL_URL, TrendReq.INTEREST_OVER_TIME_URL


class TrendsClient(TrendReq):  # type: ignore[misc]
    """Asks for one timeline after the other; the cookie that Google sets first is kept by the transport behind `get`.

    Raises Drift where an answer is a web page, such as the one that asks for consent, or has no timeline to ask for.
    """

    def __init__(self, base_url: str, language: str, get: Get) -> None:
        self.get, self._base = get, base_url.rstrip("/")
        self._answer: Payload | None = None
        super().__init__(hl=language, tz=0)

    def timeline(self, request: Request) -> Payload:
        """The answer with the timeline that `request` describes, as it came."""
        asked = request.params
        self.interest_over_time_widget: dict[str, Any] = {}
        self.build_payload(
            [asked["term"]], int(asked["category"]), asked["time"], asked["geo"], asked["property"]
        )  # fmt: skip
        self.interest_over_time()
        assert self._answer is not None  # interest_over_time has just asked for it
        return replace(self._answer, request=request)

    def GetGoogleCookie(self) -> dict[str, str]:  # noqa: N802 - pytrends' name
        """Visit the page, as a browser does; its answer is a 404 that sets a cookie."""
        self.get(Request(f"{self._base}/trends/explore/", {"geo": self.hl[-2:]}))
        return {}

    def _get_data(self, url: str, method: str = "get", trim_chars: int = 0, **kwargs: Any) -> Any:  # noqa: ARG002
        params = {name: str(value) for name, value in kwargs["params"].items()}
        place = url.replace(BASE_TRENDS_URL, f"{self._base}/trends")
        payload = self.get(Request(place, params, {"accept-language": self.hl}, method.upper()))
        if url == TIMELINE:
            self._answer = payload
            return {"default": {"timelineData": []}}  # the connector's `parse` reads it, from the bytes that are kept
        return _widgets(payload)


def _widgets(payload: Payload) -> dict[str, Any]:
    """The widgets, with one for the timeline among them."""
    body = unprefixed(payload)
    widgets = body.get("widgets") if isinstance(body, dict) else None
    if not isinstance(widgets, list) or not all(isinstance(widget, dict) and "id" in widget for widget in widgets):
        raise Drift("a list of widgets was expected", "widgets", widgets)
    lines = [widget for widget in widgets if widget["id"] == "TIMESERIES"]
    if not lines or not isinstance(lines[0].get("request"), dict) or not isinstance(lines[0].get("token"), str):
        raise Drift("a widget TIMESERIES with request and token was expected", "widgets", json.dumps(widgets)[:200])
    return {"widgets": lines}
