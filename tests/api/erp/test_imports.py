"""Sales from the item ledger of Business Central: signs, periods, pages, and only what has changed."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from api.erp.imports.business_central import coded, decoded
from signals.store import open_snapshot
from tests.api.erp.homes import COMMAND, done, environment, run
from tests.fakes.dynamics import PASSWORD, USER, BusinessCentral
from tests.fakes.server import Answer, Asked, Fake, Faults, serving, too_many


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, BusinessCentral, Fake]]:
    """A company that has sold 10 of 1896-S on the 5th of each month of 2025, and 20 in two entries of 1000."""
    monkeypatch.setenv("GROUNDSWELL_BUSINESS_CENTRAL_PASSWORD", PASSWORD)
    erp = BusinessCentral(set(), set())
    for month in range(1, 13):
        erp.post("1896-S", f"2025-{month:02}-05", -10)
        erp.post("1000", f"2025-{month:02}-01", -15.5)
        erp.post("1000", f"2025-{month:02}-28", -4.5)
        erp.post("1000", f"2025-{month:02}-28", 500, kind="Purchase")
    erp.post("1000", "2025-03-10", 2, kind="Sale")  # a return
    erp.post("1000", "2025-04-10", 7, kind="Positive_x0020_Adjmt_x002E_")
    with serving(erp) as fake:
        (tmp_path / "groundswell.toml").write_text(
            f'[imports.business-central]\nurl = "{fake.url}/api/v2.0"\nuser = "{USER}"\ncompany = "0d5d-guid"\n'
            'frequency = "MS"\npage_size = 7\n'
        )
        yield tmp_path, erp, fake


def sold(home: Path, item: str) -> dict[str, float]:
    frame = open_snapshot(home).sales(item)
    return {f"{start:%Y-%m}": quantity for start, quantity in zip(frame["start"], frame["quantity"], strict=True)}


def test_sales_are_the_entries_of_kind_sale_with_their_sign_turned(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, _, fake = company
    done(home, "import", "business-central")
    found = sold(home, "1000")
    assert found["2025-01"] == 20.0
    assert found["2025-03"] == 18.0
    assert found["2025-04"] == 20.0
    assert sold(home, "1896-S")["2025-12"] == 10.0
    pages = [asked for asked in fake.asked if asked.method == "GET"]
    assert len(pages) == 6  # 37 sales in pages of 7
    assert "skiptoken" in str(pages[-1].query)


def test_months_since_without_sales_are_zero_and_the_running_one_is_left_out(
    company: tuple[Path, BusinessCentral, Fake],
) -> None:
    home, erp, _ = company
    today = dt.datetime.now(dt.UTC).date()
    erp.post("1896-S", f"{today}", -99)
    done(home, "import", "business-central")
    found = sold(home, "1000")
    last = today.replace(day=1) - dt.timedelta(days=1)
    assert max(found) == f"{last:%Y-%m}"
    assert found["2026-01"] == 0.0
    assert f"{today:%Y-%m}" not in sold(home, "1896-S")


def test_only_what_has_changed_is_read(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, erp, fake = company
    done(home, "import", "business-central")
    erp.post("1896-S", "2025-06-20", -3, modified="2026-02-03T04:05:06.789Z")
    fake.asked.clear()
    assert "1 entries read" not in done(home, "import", "business-central")  # those of the first moment come again
    assert "lastModifiedDateTime ge 2026-01-01T00:00:00.000000Z" in fake.asked[0].query["$filter"]
    assert sold(home, "1896-S")["2025-06"] == 13.0
    fake.asked.clear()
    assert "1 entries read" in done(home, "import", "business-central")
    assert sold(home, "1896-S")["2025-06"] == 13.0
    told = json.loads(done(home, "import", "business-central", "--json"))
    assert told["result"]["inserted"] == 0


def test_an_import_that_breaks_off_is_read_again_from_its_beginning(
    company: tuple[Path, BusinessCentral, Fake],
) -> None:
    home, _, fake = company
    fake.faults.next = [lambda answer: answer] * 3 + [too_many(10_000)]  # type: ignore[list-item]
    broken = run(home, "import", "business-central")
    assert broken.exit_code == 1
    assert "429" in broken.stderr
    assert PASSWORD not in broken.stderr
    fake.asked.clear()
    with stamina.set_testing(True, attempts=5):
        done(home, "import", "business-central")
    assert "ge" not in fake.asked[0].query["$filter"]
    assert sold(home, "1000")["2025-12"] == 20.0


def test_items_carry_the_number_that_exports_need(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, _, _ = company
    done(home, "import", "business-central")
    record = open_snapshot(home).category("1896-S")
    assert json.loads(record.attributes or "") == {"item": "1896-S"}


def test_names_of_enum_values_are_decoded() -> None:
    assert decoded("Positive_x0020_Adjmt_x002E_") == "Positive Adjmt."
    assert coded("Positive Adjmt.") == "Positive_x0020_Adjmt_x002E_"


def test_other_entry_types_can_count(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, _, fake = company
    file = home / "groundswell.toml"
    file.write_text(file.read_text() + 'entry_types = ["Sale", "Positive Adjmt."]\n')
    done(home, "import", "business-central")
    assert sold(home, "1000")["2025-04"] == 13.0
    assert "Positive_x0020_Adjmt_x002E_" in fake.asked[0].query["$filter"]


@pytest.mark.heavy
@pytest.mark.parametrize("deadly", [1, 4, 6])
def test_an_import_that_is_killed_loses_and_doubles_nothing(
    company: tuple[Path, BusinessCentral, Fake], deadly: int
) -> None:
    home, erp, _ = company
    victims: list[subprocess.Popen[bytes]] = []
    asked_for: list[Asked] = []

    def source(asked: Asked) -> Answer:
        asked_for.append(asked)
        if victims and len(asked_for) == deadly:
            victims[0].kill()
        return erp(asked)

    with serving(source) as fake:
        file = home / "groundswell.toml"
        file.write_text(re.sub("http://[^/]+", fake.url, file.read_text()))
        command, variables = [*COMMAND, "import", "business-central"], environment(GROUNDSWELL_HOME=str(home))
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            victims.append(process)
            process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL
        victims.clear()
        done(home, "import", "business-central")
    assert sold(home, "1000")["2025-01"] == 20.0
    assert sold(home, "1000")["2025-03"] == 18.0
    assert sum(sold(home, "1896-S").values()) == 120.0


def test_an_erp_that_fails_at_random_gives_the_same_sales(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, _, fake = company
    fake.faults = Faults(0.3)
    with stamina.set_testing(True, attempts=8):
        for _ in range(5):
            run(home, "import", "business-central", "--again")
    fake.faults = Faults()
    told = json.loads(done(home, "import", "business-central", "--json"))
    assert told["result"]["inserted"] == 0
    assert sum(sold(home, "1000").values()) == 12 * 20.0 - 2.0


def test_again_forgets_what_is_no_longer_there(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, erp, _ = company
    done(home, "import", "business-central")
    removed = next(number for number, row in erp.ledger.rows.items() if row["quantity"] == -4.5)
    erp.ledger.rows.pop(removed)
    done(home, "import", "business-central")
    assert sold(home, "1000")["2025-01"] == 20.0
    done(home, "import", "business-central", "--again")
    assert sold(home, "1000")["2025-01"] == 15.5


def test_a_time_zone_that_is_none_is_refused(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, _, _ = company
    file = home / "groundswell.toml"
    file.write_text(file.read_text() + 'timezone = "Mars/Olympus"\n')
    refused = run(home, "import", "business-central")
    assert refused.exit_code == 1
    assert "Mars/Olympus" in refused.stderr


def test_a_setting_that_is_missing_is_named(company: tuple[Path, BusinessCentral, Fake]) -> None:
    home, _, fake = company
    (home / "groundswell.toml").write_text(f'[imports.business-central]\nurl = "{fake.url}/api/v2.0"\n')
    refused = run(home, "import", "business-central")
    assert refused.exit_code == 2
    assert "company is 'missing'" in refused.stderr
