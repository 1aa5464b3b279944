"""What the operations on scenarios answer, for /openapi.json."""

from __future__ import annotations

from typing import Any

_EVALUATION: dict[str, Any] = {
    "evaluated": "2026-12-01T02:42:05.834524Z",
    "category": "Restaurant meals",
    "unit": "units",
    "frequency": "W-SUN",
    "as_of": "2026-11-18T12:00:00Z",
    "data_version": 2,
    "history": {"start": "2021-11-08", "end": "2026-11-08", "periods": 261},
    "engine": {
        "name": "fast",
        "configuration": "cfg_1dc7ac875537ac61",
        "role": "champion",
        "reason": "asked for by name",
    },
    "baseline": {
        "periods": [
            {
                "period": "2026-11-15",
                "kind": "nowcast",
                "value": 47539.1,
                "median": 47462.9,
                "intervals": {"80": [44138.8, 51037.3]},
            }
        ],
        "total": 252917.2,
    },
    "scenarios": [
        {
            "name": "As in spring 2023",
            "periods": [
                {
                    "period": "2026-11-29",
                    "kind": "forecast",
                    "value": 39171.0,
                    "median": 39107.4,
                    "intervals": {"80": [36134.0, 42325.6]},
                    "difference": -12058.3,
                    "difference_intervals": {"80": [-13217.7, -10863.6]},
                    "effects": {"mobility": -12058.3},
                }
            ],
            "total": {
                "value": 216260.4,
                "difference": -36656.8,
                "difference_pct": -14.5,
                "difference_intervals": {"80": [-40181.2, -33025.0]},
            },
            "effects": [
                {
                    "signal": "mobility",
                    "value": -36656.8,
                    "intervals": {"80": [-40181.2, -33025.0]},
                    "lags": [0],
                    "used_by_forecast": True,
                    "reason": "lowers the error out of sample by 12.8 % (evidence 5.2, needs 2.8)",
                    "sentence": "this path of mobility goes with 36,657 units less over the 5 weeks "
                    "to 13 Dec 2026 (80 % interval −40,181 to −33,025): an association in "
                    "past sales, not proof of a cause; the forecast uses this signal too.",
                    "path": [{"period": "2026-11-29", "expected": -12.6, "changed": -50.8}],
                }
            ],
            "warnings": [],
        }
    ],
    "events": [],
    "warnings": [],
}
_HEAD: dict[str, Any] = {
    "id": "sc_78d85dcb061147918d51de394b97e805",
    "name": "As in spring 2023",
    "category": "Restaurant meals",
    "horizon": 4,
    "engine": "fast",
    "levels": [80],
    "changes": [
        {
            "signal": "mobility",
            "first": "2026-W48",
            "last": "2026-W50",
            "values": None,
            "factor": None,
            "level_of": "2023-04",
        }
    ],
    "created": "2026-12-01T02:42:05.835194Z",
    "evaluated": "2026-12-01T02:42:05.834524Z",
    "total": {
        "value": 216260.4,
        "difference": -36656.8,
        "difference_pct": -14.5,
        "difference_intervals": {"80": [-40181.2, -33025.0]},
    },
}
_PAGE = {"total": 1, "limit": 100, "offset": 0, "next": None}

_JOB = "0b6d0d0c-7f0e-5a52-9d51-4d0f5c1e6a11"
_LATER: dict[str, Any] = {
    "job": _JOB,
    "kind": "scenario",
    "state": "pending",
    "total": 1,
    "done": 0,
    "location": f"https://forecast.example.com/v1/jobs/{_JOB}",
}

ANSWERS: dict[str, dict[str, Any]] = {
    "POST /v1/scenarios": {"201": _HEAD | {"answer": _EVALUATION}, "202": _LATER},
    "GET /v1/scenarios": {"200": _PAGE | {"items": [_HEAD]}},
    "GET /v1/scenarios/{scenario}": {"200": _HEAD | {"answer": _EVALUATION}},
    "POST /v1/scenarios/{scenario}/forecast": {"200": _EVALUATION, "202": _LATER},
    "POST /v1/scenarios/compare": {"200": _EVALUATION, "202": _LATER},
}
BODIES: dict[str, Any] = {
    "POST /v1/scenarios": {
        "name": _HEAD["name"],
        "category": _HEAD["category"],
        "horizon": _HEAD["horizon"],
        "changes": [{"signal": "mobility", "first": "2026-W48", "last": "2026-W50", "level_of": "2023-04"}],
    },
    "POST /v1/scenarios/{scenario}/forecast": {"horizon": 8},
    "POST /v1/scenarios/compare": {"scenarios": [_HEAD["id"]]},
}
