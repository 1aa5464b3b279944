from datetime import datetime
from pathlib import Path

from signals.sales_state import SourceState, read_state, write_state


def test_a_source_is_new_until_it_was_pulled(tmp_path: Path) -> None:
    assert read_state(tmp_path, "erp") == SourceState()
    assert not (tmp_path / "state").exists()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 23, 9, 0, 0, 5)
    state = SourceState(moment, None, "failed", "no 'x'", "abc", ("a.csv", "b.csv"), 7, 3)
    write_state(tmp_path, "erp", SourceState())
    write_state(tmp_path, "erp", state)
    assert read_state(tmp_path, "erp") == state
    assert read_state(tmp_path, "other") == SourceState()
