"""The example of docs/store.md runs on the demo retailer."""

import re
from pathlib import Path

import pytest

from signals.sales_import import prepare_sales
from signals.signal_import import prepare_signals
from signals.store import open_snapshot, submit

ROOT = Path(__file__).parents[2]


def test_the_reading_example_runs_on_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "data" / "home"
    submit(home, prepare_sales(ROOT / "data" / "demo" / "sales.csv", unit="units").batch)
    submit(home, prepare_signals(ROOT / "data" / "demo" / "signals.csv").batch)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "store.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    exec(code, names := {})
    assert names["snapshot"].data_version == open_snapshot(home).data_version == 2
    reads = re.findall(r"^snapshot\.(?:sales|observations)\(.*?\)+(?=  #)", code, re.MULTILINE)
    assert len(reads) == 4
    assert all(len(eval(read, names)) > 100 for read in reads)
