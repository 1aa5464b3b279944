"""What the operations on configurations and alerts answer, for /openapi.json."""

from __future__ import annotations

from typing import Any

_CHAMPION: dict[str, Any] = {
    "configuration": "cfg_1dc7ac875537ac61", "engine": "fast", "signals": None, "transform": "auto", "history": None,
    "memory": 1.0,
}  # fmt: skip
_CHALLENGER = _CHAMPION | {"configuration": "cfg_5b0c1d5e6f708192", "memory": 0.5}
_SERVING: dict[str, Any] = {
    "category": "Boots", "champion": _CHAMPION, "previous": None, "challenger": _CHALLENGER, "stage": "canary",
    "share_pct": 25, "since": "2026-11-20T09:00:00Z", "pinned": False,
}  # fmt: skip
_WHOLE = _SERVING | {
    "evidence": {"scores": 19, "e_value": 24.1, "against": 1.0, "gain_pct": 9.8},
    "vetoed": ["cfg_0a1b2c3d4e5f6071"],
    "searching": None,
    "changes": [
        {
            "number": 41, "moment": "2026-11-20T09:00:00Z", "action": "share", "configuration": "cfg_5b0c1d5e6f708192",
            "actor": "groundswell", "reason": "gate 3: 5 % held, 212 answers within bounds",
            "evidence": {"step": {"action": "next", "share": 0.25, "reason": "within bounds"}},
        }
    ],
}  # fmt: skip
_ALERT = {
    "id": "al_17", "category": "Boots", "kind": "loss", "signal": None, "since": "2026-09-06", "found": "2026-10-25",
    "raised": "2026-10-26T06:01:12Z", "change": 34.0, "low": 12.0, "high": 60.0, "unit": "%",
    "cause": "configuration",
    "sentence": "Since the week to 6 Sep 2026 the loss has been 34 % higher against the reference (95 % interval +12 "
    "to +60); the reference did not do worse: the configuration no longer suits.",
    "done": "a search for a better configuration was begun", "state": "open", "changed": None, "actor": None,
    "reason": None,
}  # fmt: skip
_JOB = "0b6d0d0c-7f0e-5a52-9d51-4d0f5c1e6a11"
_PAGE = {"total": 1, "limit": 100, "offset": 0, "next": None}
_DECISIONS = ("promote", "rollback", "pin", "unpin", "veto")
_OF = "/v1/categories/{category}"

ANSWERS: dict[str, dict[str, Any]] = {
    "GET /v1/configurations": {"200": _PAGE | {"items": [_SERVING]}},
    f"GET {_OF}/configurations": {"200": _WHOLE},
    **{f"POST {_OF}/configurations/{one}": {"200": _WHOLE} for one in _DECISIONS},
    f"POST {_OF}/retune": {
        "202": {
            "job": _JOB, "kind": "retune", "state": "pending", "total": 1, "done": 0,
            "location": f"https://forecast.example.com/v1/jobs/{_JOB}",
        }
    },
    "GET /v1/alerts": {"200": _PAGE | {"items": [_ALERT]}},
    "GET /v1/alerts/{alert}": {"200": _ALERT},
    "POST /v1/alerts/{alert}": {
        "200": _ALERT | {"state": "acknowledged", "changed": "2026-10-27T08:00:00Z", "actor": "Ann", "reason": "known"}
    },
}  # fmt: skip
BODIES: dict[str, Any] = {
    f"POST {_OF}/configurations/promote": {"configuration": "cfg_5b0c1d5e6f708192", "reason": "agreed with sales"},
    f"POST {_OF}/configurations/rollback": {"reason": "complaints"},
    f"POST {_OF}/configurations/pin": {"reason": "the year is being closed"},
    f"POST {_OF}/configurations/unpin": {"reason": "the year is closed"},
    f"POST {_OF}/configurations/veto": {"configuration": "cfg_0a1b2c3d4e5f6071", "reason": "too wild at Christmas"},
    f"POST {_OF}/retune": {"reason": "a new range"},
    "POST /v1/alerts/{alert}": {"state": "acknowledged", "reason": "known"},
}
