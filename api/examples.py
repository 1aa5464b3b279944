"""What each operation answers, for /openapi.json; docs/api.md has whole answers that are tested."""

from __future__ import annotations

from typing import Any

from api import event_examples, life_examples, scenario_examples, score_examples, tree_examples
from api.overrides import examples as override_examples

RECEIPT = "fc_01KASQ5Y3V9Q6T4XN0ZC5R8D2H"
HOST = "https://forecast.example.com"
JOB = "0b6d0d0c-7f0e-5a52-9d51-4d0f5c1e6a11"

FORECAST: dict[str, Any] = {
    "receipt": RECEIPT,
    "category": "Boots",
    "unit": "pairs",
    "frequency": "W-SUN",
    "as_of": "2026-11-23T09:00:00Z",
    "data_version": 12,
    "history": {"start": "2021-11-29", "end": "2026-11-22", "periods": 260},
    "engine": {
        "name": "fast", "configuration": "cfg_1dc7ac875537ac61", "role": "champion", "reason": "asked for by name",
    },
    "forecast": [
        {
            "period": "2026-11-29",
            "kind": "forecast",
            "value": 123.4,
            "median": 122.0,
            "intervals": {"80": [110.2, 137.9], "95": [101.0, 149.5]},
            "contributions": {"level": 90.1, "season": 21.0, "rain": 12.3},
        }
    ],
    "signals": [
        {
            "signal": "rain",
            "admitted": True,
            "gain_pct": 4.1,
            "gain_interval_pct": [1.2, 7.3],
            "lag": 2,
            "lead": 1,
            "known_to": "2026-11-22",
            "importance": 0.18,
            "reason": "lowers the error out of sample by 4.1 % (evidence 5.2, needs 3.4)",
            "members": [],
        }
    ],
    "importance": [{"driver": "season", "share": 0.82, "share_interval": [0.7, 0.9]}],
    "quality": {
        "origins": 26, "wape": 0.083, "mase": 0.71, "bias_pct": -0.4, "vs_seasonal_naive_pct": -22.5,
        "coverage": {"80": 0.81, "95": 0.95},
    },
    "events": [],
    "warnings": [],
    "timing_ms": {"read": 0.4, "fit": 2.1, "total": 3.4},
}  # fmt: skip
PROBLEM: dict[str, Any] = {
    "type": "urn:problem-type:groundswell:invalid-request",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "horizon: Input should be a valid integer",
    "instance": "/v1/forecasts",
    "request_id": "fe4346b120cbc694",
}
PENDING: dict[str, Any] = {
    "job": JOB, "kind": "forecast", "state": "pending", "total": 1, "done": 0, "location": f"{HOST}/v1/jobs/{JOB}",
}  # fmt: skip
LISTED: dict[str, Any] = PENDING | {
    "state": "dead", "accepted": "2026-11-23T09:00:00Z", "started": "2026-11-23T09:00:01Z",
    "finished": "2026-11-23T09:00:01Z",
    "error": {
        "type": "urn:problem-type:groundswell:internal-error", "title": "Internal Server Error", "status": 500,
        "detail": "an unexpected error (MemoryError); the log of the service has the cause",
    },
}  # fmt: skip
ISSUED: dict[str, Any] = {
    "receipt": RECEIPT, "category": "Boots", "issued": "2026-11-23T09:00:01Z", "horizon": 8, "engine": "fast",
    "deadline_ms": None, "members": None, "levels": [80, 95], "as_of": "2026-11-23T09:00:00Z", "data_version": 12,
    "face": "rest", "location": f"{HOST}/v1/forecasts/{RECEIPT}",
}  # fmt: skip
CATEGORY: dict[str, Any] = {
    "category": "Boots", "frequency": "W-SUN", "unit": "pairs", "timezone": "Europe/Berlin", "calendar": None,
    "parent": None, "attributes": {}, "periods": 260, "start": "2021-11-29", "end": "2026-11-23",
}  # fmt: skip
SIGNAL: dict[str, Any] = {
    "signal": "rain", "source": "open_meteo", "name": "rain in Hamburg", "region": "DE-HH", "unit": "mm",
    "cadence": "D", "aggregation": "sum", "future_known": False, "licence": "CC BY 4.0", "observations": 1820,
    "first": "2021-11-29", "last": "2026-11-22", "last_known_at": "2026-11-23T06:00:00Z", "age_days": 0.13,
}  # fmt: skip
SOURCE: dict[str, Any] = {
    "connector": "holidays", "title": "Holidays of countries and regions", "state": "ok", "message": "", "entries": 1,
    "signals": 1, "last": "2026-11-23T00:00:00Z", "age_days": 0.4, "succeeded": "2026-11-23T06:00:00Z",
    "next_due": "2026-11-24T06:00:00Z", "quarantined": 0, "closed_until": None, "licence": "MIT",
}  # fmt: skip
PAGE = {"total": 1, "limit": 100, "offset": 0, "next": None}
ROWS = [{"category": "Boots", "date": "2026-11-22", "quantity": 118}]
OBSERVATIONS = [{"signal": "rain", "date": "2026-11-22", "value": 4.5, "category": "Boots"}]
REQUESTS = [{"category": "Boots", "horizon": 8}, {"category": "Hats", "horizon": 8}]

_RUN_ID = "0b6d3a2e-5b0c-4c61-8f5d-3d7f8f6f2f57"
_RUN: dict[str, Any] = {
    "id": _RUN_ID,
    "status": "pending",
    "counts": {"asked": 3, "made": 0, "failed": 0},
    "estimate": None,
    "failures": [],
    "error": None,
    "results": None,
}
_RUN_OVER = _RUN | {
    "status": "succeeded",
    "counts": {"asked": 3, "made": 2, "failed": 1},
    "failures": [{"number": 2, "category": "Hats", "problem": PROBLEM}],
    "results": {
        "all": f"https://forecasts.example.com/v1/runs/{_RUN_ID}/results",
        "csv": f"https://forecasts.example.com/v1/runs/{_RUN_ID}/csv",
        "odata": f"https://forecasts.example.com/odata/v4/Forecasts?$filter=RunId%20eq%20{_RUN_ID}",
    },
}
_WEBHOOK = {
    "id": "wh_0d9c6ff0e0a84d0a9d5e5c3ad4f4e1a7",
    "callbackUrl": "https://erp.example.com/hook",
    "eventType": "run.completed",
    "created": "2026-11-25T10:56:00.512345Z",
}
_DELIVERY = {
    "id": "msg_5a1a5d7cf8d453a2b4a8a2f5f5cbb0d4",
    "eventType": "run.completed",
    "created": "2026-11-25T10:56:03.120345Z",
    "state": "pending",
    "attempts": 1,
    "status": None,
    "error": "ConnectError: [Errno 111] Connection refused",
    "next_attempt": "2026-11-25T10:56:13.140345Z",
}

ANSWERS: dict[str, dict[str, Any]] = {
    "POST /v1/forecasts": {"200": FORECAST, "202": PENDING},
    "GET /v1/forecasts": {"200": {"next": None, "items": [ISSUED]}},
    "GET /v1/forecasts/{receipt}": {"200": FORECAST},
    "GET /v1/forecasts/{receipt}/replay": {
        "200": {
            "receipt": RECEIPT,
            "category": "Boots",
            "outcome": "different",
            "differences": [{"field": "forecast.0.value", "issued": 123.4, "now": 123.5}],
            "why": ["other versions: numpy 2.3.1 then, 2.4.6 now"],
        }
    },
    "POST /v1/forecasts/bulk": {
        "200": {
            "items": [
                {"number": 0, "status": 200, "forecast": FORECAST},
                {"number": 1, "status": 422, "problem": PROBLEM},
            ]
        },
        "202": PENDING | {"kind": "bulk"},
    },
    "POST /v1/sales": {"202": PENDING | {"kind": "upload"}},
    "POST /v1/signals": {"202": PENDING | {"kind": "upload"}},
    "GET /v1/jobs": {"200": PAGE | {"items": [LISTED]}},
    "GET /v1/jobs/totals": {"200": {"accepted": 1204, "answered": 1180, "pending": 23, "dead": 1}},
    "POST /v1/jobs/{job}/retry": {"202": PENDING},
    "GET /v1/jobs/{job}": {"200": FORECAST, "202": PENDING},
    "GET /v1/categories": {"200": PAGE | {"items": [CATEGORY]}},
    "GET /v1/categories/{category}": {
        "200": CATEGORY
        | {
            "latest": [{"period": "2026-11-22", "quantity": 118.0, "known_at": "2026-11-23T06:00:00Z"}],
            "candidate_signals": ["rain"],
        }
    },
    "GET /v1/categories/{category}/forecast": {
        "200": {"issued": "2026-11-23T09:00:01Z", "age_seconds": 61.5, "forecast": FORECAST}
    },
    "GET /v1/signals": {"200": PAGE | {"items": [SIGNAL]}},
    "GET /v1/sources": {"200": {"items": [SOURCE]}},
    "POST /v1/runs": {"202": _RUN},
    "GET /v1/runs/{run}": {"200": _RUN_OVER, "202": _RUN},
    "GET /v1/webhooks": {"200": {"items": [_WEBHOOK]}},
    "POST /v1/webhooks": {"201": _WEBHOOK | {"secret": "whsec_Q0hCb2pZSmJ0UWd1bXhYc1hJbE5rV0l0dWNqaGJ0UTE="}},
    "GET /v1/webhooks/{webhook}/deliveries": {"200": {"items": [_DELIVERY]}},
    "GET /health/live": {"200": {"status": "live"}},
    "GET /health/startup": {"200": {"status": "started"}},
    "GET /health/ready": {"200": {"status": "ready"}},
}
BODIES: dict[str, Any] = {
    "POST /v1/forecasts": REQUESTS[0],
    "POST /v1/forecasts/bulk": REQUESTS,
    "POST /v1/runs": {"categories": ["Footwear", "Outdoor jackets", "Hats"], "horizon": 4},
    "POST /v1/webhooks": {"callbackUrl": "https://erp.example.com/hook", "eventType": "run.completed"},
    "POST /v1/sales": ROWS,
    "POST /v1/signals": OBSERVATIONS,
}
ANSWERS |= scenario_examples.ANSWERS | event_examples.ANSWERS | score_examples.ANSWERS | tree_examples.ANSWERS
ANSWERS |= override_examples.ANSWERS | life_examples.ANSWERS
BODIES |= scenario_examples.BODIES | event_examples.BODIES | tree_examples.BODIES
BODIES |= override_examples.BODIES | life_examples.BODIES
