"""What the operations on scores answer, for /openapi.json."""

from __future__ import annotations

from typing import Any

_NOTHING: dict[str, Any] = {"coverage": {}, "gain_pct": None, "gain_interval_pct": None, "note": None}
_STEPS: list[dict[str, Any]] = [
    {"step": "naive", "origins": 36, "forecasts": 138, "wape": 0.094, "mase": 1.21, "bias_pct": -0.6, **_NOTHING},
    {
        "step": "seasonal_naive", "origins": 36, "forecasts": 138, "wape": 0.081, "mase": 1.04, "bias_pct": -1.9,
        **_NOTHING, "gain_pct": 13.8, "gain_interval_pct": [2.1, 25.5],
    },
    {
        "step": "without_signals", "origins": 36, "forecasts": 138, "wape": 0.061, "mase": 0.78, "bias_pct": 0.4,
        **_NOTHING, "gain_pct": 24.7, "gain_interval_pct": [15.0, 34.4],
    },
    {
        "step": "system", "origins": 36, "forecasts": 138, "wape": 0.058, "mase": 0.75, "bias_pct": 0.3,
        "coverage": {"80": 0.81, "95": 0.95}, "gain_pct": 4.2, "gain_interval_pct": [1.1, 7.3], "note": None,
    },
    {
        "step": "published", "origins": 36, "forecasts": 138, "wape": 0.06, "mase": 0.77, "bias_pct": 1.8,
        **_NOTHING, "note": "too few: 5 of 8",
    },
]  # fmt: skip
_SENTENCE = (
    "Over 39 weeks signals made the error 4 % smaller; of overrides nothing can be said yet (too few: 5 of 8); "
    "the forecast's error was 28 % smaller than seasonal naive's."
)
_HEAD = {"basis": "latest", "data_version": 12, "sentence": _SENTENCE}

ANSWERS: dict[str, dict[str, Any]] = {
    "GET /v1/scores": {
        "200": {
            "total": 1, "limit": 100, "offset": 0, "next": None, **_HEAD, "ladder": {"lead": None, "steps": _STEPS},
            "items": [
                {
                    "category": "Boots", "unit": "pairs", "frequency": "W-SUN", "periods": 39, "until": "2026-11-22",
                    "sentence": _SENTENCE, "steps": _STEPS,
                }
            ],
        }
    },
    "GET /v1/categories/{category}/scores": {
        "200": {
            "category": "Boots", "unit": "pairs", "frequency": "W-SUN", **_HEAD, "periods": 39, "since": "2026-03-01",
            "until": "2026-11-22",
            "ladder": [{"lead": None, "steps": _STEPS}, {"lead": 1, "steps": _STEPS}],
        }
    },
}  # fmt: skip
