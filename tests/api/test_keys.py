"""API keys: their form, their life, and the commands that manage them."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api import keys
from api.cli import cli
from api.commands import keys as commands
from api.database import api_key, database_url, engine_of, now, reading, writing
from api.keyring import Keyring
from api.security import SCOPES
from api.settings import Settings
from tests.api.stores import fill, last_week

YEAR = dt.timedelta(days=365)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def run(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["--home", str(settings.home), *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_key_has_a_prefix_an_id_256_bits_and_a_check() -> None:
    number, text = keys.new_key()
    assert re.fullmatch(r"gs_live_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", text)
    assert keys.id_of(text) == number
    assert keys.new_key()[1] != text
    assert 62**43 > 2**256


def test_a_mistyped_key_is_known_without_the_database() -> None:
    _, text = keys.new_key()
    for place in (9, 25, 60, len(text) - 1):
        wrong = text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]
        assert keys.id_of(wrong) is None, wrong
    assert [keys.id_of(wrong) for wrong in ("", text[:-1], text + "a", text.upper(), text + "\n")] == [None] * 5


def test_only_the_digest_of_a_key_is_kept(settings: Settings) -> None:
    key, text = keys.create(settings, "erp", ["data:read"])
    secret = text.split("_")[3]
    written = b"".join(path.read_bytes() for path in (settings.home / "state").iterdir())
    assert key.digest.encode() in written
    assert secret.encode() not in written


def test_a_key_is_found_by_its_whole_text_while_it_lives(settings: Settings) -> None:
    key, text = keys.create(settings, "erp", ["data:read"], ["Boots"], YEAR)
    ring = Keyring(settings)
    found = ring.find(text)
    assert found is not None
    assert (found.id, found.scopes, found.categories) == (key.id, {"data:read"}, {"Boots"})
    body = f"{text[:18]}_{'0' * 43}"
    assert keys.id_of(forged := f"{body}_{keys._check(body)}") == key.id
    assert ring.find(forged) is None


@pytest.mark.parametrize("column", ["revoked", "expires"])
def test_a_key_that_is_over_is_not_found(column: str, settings: Settings) -> None:
    key, text = keys.create(settings, "erp", ["data:read"], None, YEAR)
    assert Keyring(settings).find(text) is not None
    with writing(engine_of(settings)) as connection:
        connection.execute(api_key.update().where(api_key.c.id == key.id).values({column: now()}))
    ring = Keyring(settings)
    assert ring.find(text) is None
    assert ring.has_keys()  # the API does not open again with its last key


def test_revocation_reaches_a_running_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    key, text = keys.create(settings, "erp", ["data:read"])
    ring = Keyring(settings)
    assert ring.find(text) is not None
    keys.revoke(settings, key.id)
    assert ring.find(text) is not None  # as it was read less than FRESH_SECONDS ago
    monkeypatch.setattr("api.keyring.FRESH_SECONDS", 0.0)
    assert ring.find(text) is None


def test_a_new_key_works_soon_in_a_running_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.keyring.LEAST_SECONDS", 0.0)
    ring = Keyring(settings)
    assert not ring.has_keys()
    assert ring.find(keys.create(settings, "erp", ["data:read"])[1]) is not None


def test_two_keys_of_one_name_live_at_once_and_no_third(settings: Settings) -> None:
    old, old_text = keys.create(settings, "erp", ["data:read"], ["Boots"], YEAR)
    with pytest.raises(keys.KeysError, match="keys rotate"):
        keys.create(settings, "erp", ["admin"])
    new, new_text = keys.rotate(settings, "erp")
    assert (new.scopes, new.categories, new.expires and new.expires - new.created) == ({"data:read"}, {"Boots"}, YEAR)
    ring = Keyring(settings)
    for text in (old_text, new_text):
        found = ring.find(text)
        assert found is not None
        assert ring.owner(found) == old.id
    with pytest.raises(keys.KeysError, match=f"(?=.*{old.id})(?=.*{new.id})"):
        keys.rotate(settings, "erp")
    keys.revoke(settings, old.id)
    assert keys.rotate(settings, "erp")[0].id not in {old.id, new.id}


def test_last_used_is_written_outside_the_request_once_a_minute(settings: Settings) -> None:
    key, text = keys.create(settings, "erp", ["data:read"])
    ring = Keyring(settings)
    writes = []
    sa.event.listen(engine_of(settings), "before_cursor_execute", lambda *given: writes.append(given[2]))
    for _ in range(5):
        ring.find(text)
    deadline = time.monotonic() + 10
    while keys.all_keys(settings)[0].last_used is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ring.find(text)
    time.sleep(0.1)
    assert len([text for text in writes if text.startswith("UPDATE")]) == 1
    assert key.last_used is None


def test_a_key_is_made_shown_once_listed_and_revoked(settings: Settings) -> None:
    code, out, err = run(settings, "keys", "create", "Business Central", "--category", "Boots", "--expires", "90d")
    assert code == 0
    number = keys.id_of(out.strip())
    assert number is not None
    assert "shown this once" in err
    _, listed, _ = run(settings, "keys", "list", "--json")
    [row] = json.loads(listed)
    assert out.strip() not in listed
    assert (row["id"], row["name"], row["state"], row["categories"]) == (number, "Business Central", "live", ["Boots"])
    assert row["scopes"] == sorted(commands.USUAL)
    span = dt.datetime.fromisoformat(row["expires"]) - dt.datetime.fromisoformat(row["created"])
    assert span == dt.timedelta(days=90)
    assert run(settings, "keys", "revoke", number)[:2] == (0, f"key {number} was live and is revoked\n")
    assert run(settings, "keys", "revoke", number)[1] == f"key {number} was revoked and is revoked\n"
    assert "revoked" in run(settings, "keys", "list")[1]


def test_a_category_that_the_store_has_not_is_said(settings: Settings) -> None:
    fill(settings.home, last_week())
    code, _, err = run(settings, "keys", "create", "erp", "--category", "Boots", "--category", "Bots")
    assert code == 0
    assert [line for line in err.splitlines() if "the store has" in line] == [
        "note: the store has no category 'Bots' yet; the key will see it once it is imported"
    ]


def test_rotate_as_json(settings: Settings) -> None:
    run(settings, "keys", "create", "erp", "--scope", "data:read")
    row = json.loads(run(settings, "keys", "rotate", "erp", "--json")[1])
    assert keys.id_of(row["key"]) == row["id"]
    assert row["scopes"] == ["data:read"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["keys", "create", "x", "--scope", "all"], 2, "'forecast:read'"),
        (["keys", "create", "x", "--expires", "soon"], 2, "12h, 90d or 52w"),
        (["keys", "create", "x", "--expires", "9999w"], 2, "at most ten years"),
        (["keys", "create", "a\nb"], 2, "printable"),
        (["keys", "revoke", "none"], 1, "keys list"),
        (["keys", "rotate", "none"], 1, "keys create"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], code: int, message: str, settings: Settings) -> None:
    given, _, err = run(settings, *arguments)
    assert given == code
    assert message in err


def test_the_commands_offer_every_scope() -> None:
    assert commands.SCOPES == SCOPES


def test_what_is_done_to_keys_is_audited(settings: Settings) -> None:
    _, out, _ = run(settings, "keys", "create", "erp", "--scope", "data:read")
    number = keys.id_of(out.strip())
    run(settings, "keys", "revoke", str(number))
    rows = json.loads(run(settings, "audit", "--json")[1])
    assert [(row["action"], row["subject"]) for row in rows] == [
        ("key revoked", f"erp {number}"),
        ("key created", f"erp {number}"),
    ]
    assert len(json.loads(run(settings, "audit", "--limit", "1", "--json")[1])) == 1


def test_a_database_that_is_down_lets_nobody_in(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = keys.create(settings, "erp", ["data:read"])
    ring = Keyring(settings)
    assert ring.find(text) is not None
    monkeypatch.setattr("api.keyring.FRESH_SECONDS", 0.0)
    with reading(engine_of(settings)) as connection:
        connection.exec_driver_sql("SELECT 1")

    def down(_: Settings) -> None:
        raise sa.exc.OperationalError("select", {}, Exception("no connection"))

    monkeypatch.setattr("api.keyring.all_keys", down)
    with pytest.raises(Exception, match="operational database") as caught:
        ring.find(text)
    assert getattr(caught.value, "status_code", None) == 503
    assert database_url(settings) not in str(caught.value)
