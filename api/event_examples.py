"""What the operations on events answer, for /openapi.json."""

from __future__ import annotations

from typing import Any

_EVENT: dict[str, Any] = {
    "kind": "stock_out",
    "first": "2024-11-10",
    "last": "2024-12-01",
    "state": "accepted",
    "size": -344.2,
    "size_pct": -100.0,
    "score": 8.9,
    "sentence": "In the 4 weeks to 1 Dec 2024 0 sold where about 344 pairs would be usual: a stock-out?",
    "decisions": [
        {"decision": "accepted", "author": "Ann", "reason": "no delivery", "decided": "2026-12-01T08:45:09.262014Z"}
    ],
}
_EXPECTED: dict[str, Any] = {
    "period": "2026-12-06",
    "kind": "forecast",
    "value": 113.2,
    "median": 112.8,
    "intervals": {"80": [101.0, 126.9]},
}
_EFFECT: dict[str, Any] = {
    "events": "accepted",
    "periods": [
        {
            "period": "2026-12-06",
            "kind": "forecast",
            "with_events": _EXPECTED,
            "without_events": _EXPECTED | {"value": 123.4, "median": 122.9},
            "difference": -10.2,
        }
    ],
    "total": -10.2,
}
_EVENTS: dict[str, Any] = {
    "category": "Boots",
    "unit": "pairs",
    "frequency": "W-SUN",
    "as_of": "2026-12-01T08:45:10.101352Z",
    "data_version": 3,
    "events": [_EVENT],
    "effect": _EFFECT,
}

ANSWERS: dict[str, dict[str, Any]] = {
    "GET /v1/categories/{category}/events": {"200": _EVENTS},
    "POST /v1/categories/{category}/events": {
        "201": _EVENT,
        "202": {"state": "pending", "location": "https://forecast.example.com/v1/categories/Boots/events"},
    },
}
BODIES: dict[str, Any] = {
    "POST /v1/categories/{category}/events": {
        "kind": "stock_out", "first": "2024-11-10", "last": "2024-12-01", "decision": "accepted", "author": "Ann",
        "reason": "no delivery",
    },
}  # fmt: skip
