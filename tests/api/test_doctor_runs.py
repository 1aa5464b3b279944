"""Runs whose files are lost, and a ledger that is gone: each is named by `groundswell doctor`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.database import FILE, engine_of, issued, writing
from api.doctor import Finding, examine
from api.run_input import folder
from api.settings import Settings
from tests.api.test_run_uploads import asked, lines_of, lose, outcome, start, tear
from tests.api.workers import working

ClientOf = Callable[..., TestClient]


def found(home: Path, check: str) -> list[Finding]:
    return [one for one in examine(Settings(home=home), mend=False) if one.check == check]


@pytest.mark.parametrize("harm", [lose, tear])
def test_a_run_whose_rows_are_lost_or_torn_is_named(
    tmp_path: Path, client_of: ClientOf, harm: Callable[[Path], None]
) -> None:
    with client_of(tmp_path) as client, working(Settings(home=tmp_path)):
        run = outcome(client, start(client, lines_of([asked(0), asked(1)])))["id"]
    assert [one.state for one in found(tmp_path, "runs")] == ["ok"]
    harm(folder(Settings(home=tmp_path)) / run / "part-00000.parquet")
    [told] = found(tmp_path, "runs")
    assert (told.state, run in told.message, "part-00000.parquet" in told.message) == ("warning", True, True)
    with writing(engine_of(Settings(home=tmp_path))) as connection:
        connection.execute(issued.delete())
    [told] = found(tmp_path, "runs")
    assert (told.state, run in told.message) == ("problem", True)


def test_a_run_that_cannot_go_on_is_named(tmp_path: Path, client_of: ClientOf) -> None:
    with client_of(tmp_path) as client:
        run = start(client, lines_of([asked(0)])).rsplit("/", 1)[1]
    assert [one.state for one in found(tmp_path, "runs")] == ["ok"]
    for landed in folder(Settings(home=tmp_path)).glob("*.landed"):
        landed.unlink()
    [told] = found(tmp_path, "runs")
    assert (told.state, run in told.message) == ("problem", True)


def test_a_ledger_that_was_removed_is_missed(tmp_path: Path, client_of: ClientOf) -> None:
    assert [one.state for one in found(tmp_path, "operations")] == ["ok"]
    with client_of(tmp_path) as client:
        start(client, lines_of([asked(0)]))
    engine_of(Settings(home=tmp_path)).dispose()
    for file in tmp_path.glob(f"{FILE}*"):
        file.unlink()
    [told] = found(tmp_path, "operations")
    assert (told.state, "is missing" in told.message) == ("problem", True)
