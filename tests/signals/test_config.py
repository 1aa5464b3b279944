"""What groundswell.toml says of signals, and what it is told when it cannot be used."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signals import config
from signals.config import load_config
from signals.connector import ConfigError

WANTED = '[[signals]]\nconnector = "counter"\nthings = ["boots"]\n'
pytestmark = pytest.mark.usefixtures("counter")


def load(home: Path, text: str, **environ: str) -> config.PullConfig:
    (home / "groundswell.toml").write_text(text, encoding="utf-8")
    return load_config(home, environ)


def test_without_a_file_nothing_is_wanted(tmp_path: Path) -> None:
    assert load_config(tmp_path).wanted == ()


def test_an_entry_has_the_defaults_of_its_connector(tmp_path: Path) -> None:
    (wanted,) = load(tmp_path, WANTED).wanted
    assert (wanted.categories, wanted.every, wanted.start) == (("*",), timedelta(days=1), None)
    assert wanted.entry.things == ["boots"]  # type: ignore[attr-defined]


def test_an_entry_may_say_otherwise(tmp_path: Path) -> None:
    (wanted,) = load(tmp_path, WANTED + 'categories = ["Boots"]\nevery = "6 hours"\nstart = 2024-01-01\n').wanted
    assert (wanted.categories, wanted.every) == (("Boots",), timedelta(hours=6))
    assert wanted.start == datetime(2024, 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[signals]]\nconnector = "counte"\n', r"connector is 'counte' .*one of counter \(did you mean counter\?\)"),
        ("[[signals]]\nthings = []\n", "connector is 'missing'"),
        ('[[signals]]\nconnector = "counter"\n', "things is 'missing'"),
        (WANTED + "thing = 1\n", "thing is '…' .*did you mean things?"),
        (WANTED + 'every = "daily"\n', "every is 'daily' .*such as 10 seconds, 15 minutes"),
        (WANTED + "categories = []\n", r"categories is \[\]"),
        (WANTED + "start = 2999-01-01\n", "start is '2999-01-01' .*a day that has come"),
        ('signals = "x"\n', r"tables that begin with \[\[signals\]\]"),
        ("connectors = 3\n", r"tables that begin with \[connectors.NAME\]"),
        ("[connectors.counter]\nbase = 1\n", "base is '…' .*did you mean base_url?"),
        ("= 1\n", "a TOML file in UTF-8"),
        ("x = " + "[" * 9999, "a TOML file in UTF-8"),
        ("x = " + "9" * 5000, "a TOML file in UTF-8"),
        ('[[signals]]\nconnector = "counter"\nthing = ["a"]\n', "thing is '…' .*did you mean things?"),
        ('[[signals]]\nconnector = ""\n', "connector is ''"),
        (WANTED + 'every = "999999999 weeks"\n', "at most 520 weeks"),
        ("[connectors.counter]\napi_key_file = 5\n", "api_key_file is '5' .*a file that can be read"),
        ('[connectors.counter]\napi_key_file = "a\\u0000"\n', "a file that can be read"),
        ('[connectors.counter]\nbase_url = "https://me:hush@x.org"\n', r"base_url is '\*\*\*' .*without a secret"),
        ('[connectors.counter]\nbase_url = "https://x.org/?token=hush"\n', "base_url is"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_secret_in_the_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="GROUNDSWELL_COUNTER_API_KEY or api_key_file") as refusal:
        load(tmp_path, '[connectors.counter]\napi_key = "hush"\n')
    assert "hush" not in str(refusal.value)


def test_a_secret_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n", encoding="utf-8")
    by_variable = load(tmp_path, WANTED, GROUNDSWELL_COUNTER_API_KEY="hush")
    by_file = load(tmp_path, '[connectors.counter]\napi_key_file = "key"\n')
    mounted = load(tmp_path, WANTED, GROUNDSWELL_COUNTER_API_KEY_FILE=str(tmp_path / "key"))
    for found in (by_variable, by_file, mounted):
        assert found.connectors["counter"].settings.api_key.get_secret_value() == "hush"
        assert found.redactor.text("key=hush hush") == "key=*** ***"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"api_key_file is 'none' .*a file that can be read"):
        load(tmp_path, '[connectors.counter]\napi_key_file = "none"\n')
