"""What a forecast of a tree answers, for /openapi.json."""

from __future__ import annotations

from typing import Any

_ENGINE = {"name": "fast", "configuration": "cfg_1dc7ac875537ac61", "role": "champion"}
_REASON = "asked for by name; reconciled by wls"


def _node(name: str, parent: str | None, value: float, before: float, planned: float) -> dict[str, Any]:
    interval = [round(0.9 * value, 1), round(1.1 * value, 1)]
    return {
        "category": name,
        "parent": parent,
        "level": 0 if parent is None else 1,
        "engine": _ENGINE | {"reason": _REASON},
        "periods": [
            {
                "period": "2026-11-29",
                "kind": "forecast",
                "value": value,
                "median": value,
                "intervals": {"80": interval},
                "before": before,
                "planned": planned,
            }
        ],
        "total": value,
        "warnings": [],
    }


_TREE: dict[str, Any] = {
    "category": "Clothing",
    "unit": "pairs",
    "frequency": "W-SUN",
    "as_of": "2026-11-23T09:00:00Z",
    "data_version": 12,
    "history": {"start": "2021-11-29", "end": "2026-11-22", "periods": 260},
    "method": "wls",
    "nodes": [
        _node("Clothing", None, 800.0, 812.0, 1000.0),
        _node("Boots", "Clothing", 600.0, 594.0, 750.0),
        _node("Hats", "Clothing", 200.0, 198.0, 250.0),
    ],
    "gains": [
        {
            "level": level,
            "nodes": nodes,
            "wape_before": before,
            "wape_after": after,
            "mase_before": 0.8,
            "mase_after": 0.78,
            "gain_pct": gain,
        }
        for level, nodes, before, after, gain in ((0, 1, 0.08, 0.076, 5.0), (1, 2, 0.1, 0.1, 0.0))
    ],
    "warnings": [],
}
ANSWERS: dict[str, dict[str, Any]] = {"POST /v1/trees": {"200": _TREE}}
BODIES: dict[str, Any] = {
    "POST /v1/trees": {
        "category": "Clothing",
        "horizon": 1,
        "plan": {"periods": [{"period": "2026-W48", "value": 1000}]},
    }
}
