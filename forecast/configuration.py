"""The name of a configuration: the same for everything but the data that an answer depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def named(resolved: Mapping[str, object]) -> str:
    """A short name of resolved options, as plain data."""
    digest = hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()
    return f"cfg_{digest[:16]}"
