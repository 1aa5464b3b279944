"""What the operations on overrides answer, for /openapi.json."""

from __future__ import annotations

from typing import Any

_ONE: dict[str, Any] = {
    "id": "ov_5d0c7f1ab2c34e5f6a70",
    "version": 1,
    "override": "ov_5d0c7f1ab2c34e5f6a70.1",
    "category": "Boots",
    "first": "2026-12-14",
    "last": "2026-12-20",
    "frequency": "W-SUN",
    "value": None,
    "percent": 10.0,
    "layer": "planner",
    "state": "in_force",
    "action": "set",
    "author": "Ann",
    "reason": "promotion",
    "changed": "2026-12-01T08:45:09.262014Z",
    "expires": None,
    "seen": {
        "receipt": "fc_01KASQ5Y3V9Q6T4XN0ZC5R8D2H",
        "periods": [{"period": "2026-12-20", "value": 123.4, "published": 123.4}],
    },
}
_CHANGED = _ONE | {
    "version": 2, "override": "ov_5d0c7f1ab2c34e5f6a70.2", "percent": 15.0, "action": "changed", "author": "Bob",
    "reason": "colder than it was",
}  # fmt: skip
_WITHDRAWN = _CHANGED | {
    "version": 3, "override": "ov_5d0c7f1ab2c34e5f6a70.3", "action": "withdrawn",
    "state": "withdrawn", "reason": "over",
}  # fmt: skip
_RESTORED = _CHANGED | {
    "version": 4, "override": "ov_5d0c7f1ab2c34e5f6a70.4", "action": "restored", "reason": "not over",
}  # fmt: skip
_COMMENT = {"author": "Bob", "text": "Is the shop told?", "said": "2026-12-01T08:46:09.262014Z"}
_ALL = "/v1/categories/{category}/overrides"
_EACH = f"{_ALL}/{{override}}"

ANSWERS: dict[str, dict[str, Any]] = {
    f"GET {_ALL}": {
        "200": {
            "category": "Boots", "as_of": "2026-12-01T08:45:10.101352Z", "layers": ["planner", "manager"],
            "items": [_ONE],
        }
    },
    f"POST {_ALL}": {"201": _ONE},
    f"GET {_EACH}": {"200": _ONE},
    f"PATCH {_EACH}": {"200": _CHANGED},
    f"DELETE {_EACH}": {"200": _WITHDRAWN},
    f"POST {_EACH}/restore": {"200": _RESTORED},
    f"GET {_EACH}/history": {"200": {"items": [_ONE, _CHANGED, _WITHDRAWN, _RESTORED]}},
    f"GET {_EACH}/comments": {"200": {"items": [_COMMENT]}},
    f"POST {_EACH}/comments": {"201": _COMMENT},
}  # fmt: skip
BODIES: dict[str, Any] = {
    f"POST {_ALL}": {"periods": "2026-W51", "percent": 10.0, "reason": "promotion", "author": "Ann"},
    f"PATCH {_EACH}": {"percent": 15.0, "reason": "colder than it was", "author": "Bob"},
    f"POST {_EACH}/restore": {"version": 2, "reason": "not over"},
    f"POST {_EACH}/comments": {"text": "Is the shop told?", "author": "Bob"},
}
