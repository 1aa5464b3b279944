"""docs/new.md: its Python runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def test_the_python_of_what_is_new_runs() -> None:
    page = (DOCS / "new.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["answer"].engine.reason.startswith("the level is that of its 3 known periods; ")
    assert "sales end from 2025-02-01 to 2025-02-28: nothing is sold after it" in names["answer"].warnings
