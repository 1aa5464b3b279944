"""Pushes to Dynamics 365 and Business Central: each row once, whatever happens on the way."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina

from api.database import engine_of, writing
from api.erp.state import export_row
from api.settings import Settings
from signals.lock import ingest_lock
from tests.api.erp.homes import COMMAND, ITEMS, categories, done, environment, filled, run
from tests.fakes.dynamics import D365, PASSWORD, SECRET, TOKEN, USER, BusinessCentral
from tests.fakes.server import BROKEN, Answer, Asked, Fake, Faults, cut, serving, too_many

ROWS = 6  # two categories, the three coming weeks


@contextmanager
def without_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=6):
        yield


@pytest.fixture
def d365(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, D365, Fake]]:
    """A home that exports to a fake, with an issued forecast of each category."""
    monkeypatch.setenv("GROUNDSWELL_D365_CLIENT_SECRET", SECRET)
    erp = D365()
    with serving(erp) as fake:
        toml = (
            f'[exports.d365]\nurl = "{fake.url}"\nlogin_url = "{fake.url}/token"\nclient_id = "app"\ncompany = "usmf"\n'
            f'model = "CurrentF"\nsite = "1"\nwarehouse = "11"\n{categories("d365")}'
        )
        home = filled(tmp_path, toml)
        done(home, "export", "d365", "--horizon", 4)
        yield home, erp, fake


@pytest.fixture
def bc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, BusinessCentral, Fake]]:
    monkeypatch.setenv("GROUNDSWELL_BUSINESS_CENTRAL_PASSWORD", PASSWORD)
    erp = BusinessCentral(set(ITEMS.values()), {"2026"})
    with serving(erp) as fake:
        toml = (
            f'[exports.business-central]\nurl = "{fake.url}/ODataV4"\nuser = "{USER}"\ncompany = "CRONUS & Co\'s"\n'
            f'forecast = "2026"\n{categories("business-central")}'
        )
        home = filled(tmp_path, toml)
        done(home, "export", "business-central", "--horizon", 4)
        yield home, erp, fake


def written(erp: D365) -> list[tuple[str, str]]:
    return sorted((row["ItemNumber"], row["ForecastStartDate"]) for row in erp.entries.rows.values())


def counts(text: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(text)
    return {name: number for name, number in found.items() if number}


def forget(home: Path) -> None:
    """Lose all memory of what was written."""
    with writing(engine_of(Settings(home=home))) as connection:
        connection.execute(export_row.delete())


def test_a_second_push_writes_nothing_and_asks_nothing(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, fake = d365
    assert "6 of 6 rows would be written" in done(home, "export", "d365", "--push", "--dry-run")
    assert not erp.entries.rows
    assert counts(done(home, "export", "d365", "--push", "--json")) == {"created": ROWS}
    assert {row["dataAreaId"] for row in erp.entries.rows.values()} == {"usmf"}
    exported = json.loads(done(home, "export", "d365", "--json"))
    stored = [{name: row.get(name) for name in exported[0]} for row in erp.entries.rows.values()]
    assert sorted(stored, key=str) == sorted(exported, key=str)
    assert erp.tokens[0]["scope"] == f"{fake.url}/.default"
    asked = len(fake.asked)
    assert counts(done(home, "export", "d365", "--push", "--json")) == {"remembered": ROWS}
    assert len(fake.asked) == asked


def test_a_changed_forecast_changes_the_rows(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, fake = d365
    done(home, "export", "d365", "--push")
    before = written(erp)
    toml = home / "groundswell.toml"
    toml.write_text(toml.read_text().replace("[exports.d365]", "[exports.d365]\ndecimals = 0", 1))
    assert counts(done(home, "export", "d365", "--push", "--json")) == {"updated": ROWS}
    assert written(erp) == before
    assert all(row["ForecastedQuantity"] == round(row["ForecastedQuantity"]) for row in erp.entries.rows.values())
    patched = [asked for asked in fake.asked if asked.method == "PATCH"]
    assert all(json.loads(asked.body).keys() == {"ForecastedQuantity"} for asked in patched)
    assert all(asked.headers["if-match"] == 'W/"0"' for asked in patched)


def test_another_environment_is_another_place(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, _ = d365
    done(home, "export", "d365", "--push")
    other = D365()
    with serving(other) as fake:
        toml = home / "groundswell.toml"
        text = toml.read_text().splitlines()
        toml.write_text("\n".join(f'url = "{fake.url}"' if line.startswith("url") else line for line in text))
        assert counts(done(home, "export", "d365", "--push", "--json")) == {"created": ROWS}
    assert written(other) == written(erp)


def test_rows_that_are_there_are_taken_over(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, _ = d365
    done(home, "export", "d365", "--push")
    before = written(erp)
    forget(home)
    told = counts(done(home, "export", "d365", "--push", "--json"))
    assert told == {"same": ROWS}
    assert written(erp) == before


def test_rows_that_were_removed_are_made_again(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, _ = d365
    done(home, "export", "d365", "--push")
    before = written(erp)
    erp.entries.rows.pop("FC-000002")
    toml = home / "groundswell.toml"
    toml.write_text(toml.read_text().replace("[exports.d365]", "[exports.d365]\ndecimals = 0", 1))
    with without_pauses():
        assert counts(done(home, "export", "d365", "--push", "--json")) == {"updated": ROWS - 1, "created": 1}
    assert written(erp) == before


@pytest.mark.parametrize("fault", [cut, BROKEN, too_many(0)], ids=["cut", "500", "429"])
def test_an_answer_that_is_lost_doubles_nothing(
    d365: tuple[Path, D365, Fake], fault: Answer | Callable[[Answer], Answer]
) -> None:
    home, erp, fake = d365
    fake.faults.next = [fault if number % 3 == 1 else (lambda answer: answer) for number in range(18)]
    with without_pauses():
        told = counts(done(home, "export", "d365", "--push", "--json"))
    assert sum(told.values()) == ROWS
    assert len(set(written(erp))) == len(written(erp)) == ROWS


def test_retry_after_is_kept(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, fake = d365
    fake.faults.next = [lambda answer: answer, too_many(1)]
    done(home, "export", "d365", "--push")
    token, refused = fake.asked[0], fake.asked[1]
    assert token.path == "/token"
    again = [one for one in fake.asked[2:] if (one.method, one.query) == (refused.method, refused.query)]
    assert again[0].at - refused.at >= 1.0
    assert len(erp.entries.rows) == ROWS


def test_a_row_that_somebody_else_changes_meanwhile_is_read_again(bc: tuple[Path, BusinessCentral, Fake]) -> None:
    home, erp, _ = bc
    done(home, "export", "business-central", "--push")
    toml = home / "groundswell.toml"
    toml.write_text(
        toml.read_text().replace("[exports.business-central]", "[exports.business-central]\ndecimals = 0", 1)
    )
    erp_change, raced = erp.entries.change, []

    def race(key: str, body: dict[str, Any], if_match: str | None, *, must_match: bool) -> Answer:
        if key == "1" and not raced:
            raced.append(key)
            erp.entries.touch(key, Forecast_Quantity=-1)
        return erp_change(key, body, if_match, must_match=must_match)

    erp.entries.change = race  # type: ignore[method-assign]
    assert counts(done(home, "export", "business-central", "--push", "--json")) == {"updated": ROWS}
    assert raced
    assert all(row["Forecast_Quantity"] > 0 for row in erp.entries.rows.values())


def test_business_central_takes_the_rows_once(bc: tuple[Path, BusinessCentral, Fake]) -> None:
    home, erp, fake = bc
    fake.faults.next = [lambda answer: answer, cut, cut, too_many(0)]
    with without_pauses():
        done(home, "export", "business-central", "--push")
    rows = [(row["Item_No"], row["Forecast_Date"]) for row in erp.entries.rows.values()]
    assert len(set(rows)) == len(rows) == ROWS
    exported = json.loads(done(home, "export", "business-central", "--json"))
    stored = [{name: row[name] for name in exported[0]} for row in erp.entries.rows.values()]
    assert sorted(stored, key=str) == sorted(exported, key=str)
    fake.asked.clear()
    assert counts(done(home, "export", "business-central", "--push", "--json")) == {"remembered": ROWS}
    assert not fake.asked


def test_what_the_erp_refuses_is_told_and_the_rest_is_remembered(bc: tuple[Path, BusinessCentral, Fake]) -> None:
    home, erp, _ = bc
    erp.items.remove("D0002")
    refused = run(home, "export", "business-central", "--push")
    assert refused.exit_code == 1
    assert "D0002" in refused.stderr
    assert PASSWORD not in refused.stderr
    assert {row["Item_No"] for row in erp.entries.rows.values()} == {"D0001"}
    erp.items.add("D0002")
    told = counts(done(home, "export", "business-central", "--push", "--json"))
    assert sum(told.values()) == ROWS
    assert len(erp.entries.rows) == ROWS


def test_several_rows_about_the_same_are_not_guessed_between(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, _ = d365
    done(home, "export", "d365", "--push")
    erp.entries.insert({name: value for name, value in erp.entries.rows["FC-000001"].items() if "Entry" not in name})
    forget(home)
    refused = run(home, "export", "d365", "--push")
    assert refused.exit_code == 1
    assert "remove all but one" in refused.stderr


def test_a_login_that_fails_is_told_without_the_secret(
    d365: tuple[Path, D365, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDSWELL_D365_CLIENT_SECRET", "another secret")
    refused = run(d365[0], "export", "d365", "--push")
    assert refused.exit_code == 1
    assert "401" in refused.stderr
    assert "another secret" not in refused.stderr


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_erp_that_fails_at_random_holds_each_row_once(bc: tuple[Path, BusinessCentral, Fake], seed: int) -> None:
    home, erp, fake = bc
    fake.faults = Faults(0.4, seed)
    with without_pauses():
        codes = [run(home, "export", "business-central", "--push").exit_code for _ in range(10)]
    fake.faults = Faults()
    told = counts(done(home, "export", "business-central", "--push", "--json"))
    assert codes[-1] == 0
    assert told == {"remembered": ROWS}
    rows = [(row["Item_No"], row["Forecast_Date"]) for row in erp.entries.rows.values()]
    assert len(set(rows)) == len(rows) == ROWS


def test_two_pushes_at_the_same_time_are_refused(d365: tuple[Path, D365, Fake]) -> None:
    home, erp, _ = d365
    with ingest_lock(home / "state" / "export-d365.lock"):
        refused = run(home, "export", "d365", "--push")
    assert refused.exit_code == 1
    assert "exports to d365 at this moment" in refused.stderr
    assert not erp.entries.rows


def test_a_next_link_to_another_server_is_not_followed(d365: tuple[Path, D365, Fake]) -> None:
    home, _, fake = d365
    with serving(lambda _: Answer({"value": []})) as other:
        fake.faults.next = [lambda answer: answer]
        fake.faults.next += [Answer({"value": [], "@odata.nextLink": f"{other.url}/data"})]
        refused = run(home, "export", "d365", "--push")
        assert refused.exit_code == 1
        assert "is not on" in refused.stderr
        assert not other.asked


@pytest.mark.heavy
@pytest.mark.parametrize("deadly", [1, 2, 3, 5])
def test_a_killed_push_goes_on_where_it_was(tmp_path: Path, deadly: int) -> None:
    erp = D365()
    victims: list[subprocess.Popen[bytes]] = []
    made: list[Asked] = []

    def source(asked: Asked) -> Answer:
        answer = erp(asked)
        made.extend([asked] if asked.method == "POST" else [])
        if victims and asked.method == "POST" and len(made) == deadly:  # the row is made, its id is not told
            victims[0].kill()
        return answer

    with serving(source) as fake:
        toml = f'[exports.d365]\nurl = "{fake.url}"\ncompany = "usmf"\nmodel = "CurrentF"\n{categories("d365")}'
        home = filled(tmp_path, toml)
        variables = environment(GROUNDSWELL_HOME=str(home), GROUNDSWELL_D365_TOKEN=TOKEN)
        first = [*COMMAND, "export", "d365", "--horizon", "4"]  # it makes the tables
        subprocess.run(first, env=variables, check=True, stdout=subprocess.DEVNULL)
        push = [*COMMAND, "export", "d365", "--push", "--json"]
        with subprocess.Popen(push, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            victims.append(process)
            _, told = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, told.decode()
        assert 1 <= len(erp.entries.rows) < ROWS
        victims.clear()
        again = subprocess.run(push, env=variables, check=True, stdout=subprocess.PIPE)
        assert sum(json.loads(again.stdout).values()) == ROWS
        assert len(set(written(erp))) == len(written(erp)) == ROWS
        last = subprocess.run(push, env=variables, check=True, stdout=subprocess.PIPE)
        assert counts(last.stdout.decode()) == {"remembered": ROWS}
