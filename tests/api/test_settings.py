"""Settings: precedence, provenance, and one clear error for each thing that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import SettingError, Settings, load_settings


def test_command_line_beats_variable_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "groundswell.toml").write_text('port = 9001\nworkers = 3\nhost = "::1"\n')
    monkeypatch.setenv("GROUNDSWELL_PORT", "9002")
    monkeypatch.setenv("GROUNDSWELL_WORKERS", "4")
    settings, origin = load_settings(home=tmp_path, port=9003, workers=None)
    assert (settings.port, settings.workers, settings.host, settings.log_level) == (9003, 4, "::1", "info")
    told = {name: origin.where[name] for name in ("home", "port", "workers", "host", "log_level")}
    file = str(tmp_path / "groundswell.toml")
    expected = {"home": "--home", "port": "--port", "workers": "GROUNDSWELL_WORKERS", "host": file}
    assert told == expected | {"log_level": "default"}


def test_home_comes_from_the_variable_and_its_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "groundswell.toml").write_text("max_horizon = 12")
    monkeypatch.setenv("GROUNDSWELL_HOME", str(tmp_path))
    settings, _ = load_settings()
    assert (settings.home, settings.max_horizon) == (tmp_path, 12)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("port", "http", "a whole number from 1 to 65535"),
        ("port", "0", "a whole number from 1 to 65535"),
        ("workers", "1.5", "a whole number from 1 to 64"),
        ("publish_seconds", "nan", "a number from 0.1 to 3600"),
        ("log_level", "loud", "critical, error, warning, info, debug"),
        ("public_url", "ftp://shop", "http:// or https://"),
        ("economic_tracker_mobility_url", "", "an address that begins with http"),
        ("host", "", "text, not empty"),
    ],
)
def test_a_bad_variable_is_refused_in_one_sentence(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GROUNDSWELL_{name.upper()}", value)
    with pytest.raises(SettingError) as caught:
        load_settings()
    message = str(caught.value)
    assert f"setting {name} is {value!r} (GROUNDSWELL_{name.upper()})" in message
    assert allowed in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = true", "setting port is True"),
        ("prt = 1", "did you mean port?"),
        ("nonsense = 1", "`groundswell settings` lists the names"),
        ('home = "x"', "--home or GROUNDSWELL_HOME"),
        ("port =", "a TOML file in UTF-8"),
    ],
)
def test_a_bad_file_is_refused_and_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "groundswell.toml").write_text(text)
    with pytest.raises(SettingError) as caught:
        load_settings(home=tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path / "groundswell.toml") in str(caught.value)


def test_a_variable_that_is_no_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDSWELL_PROT", "1")
    assert load_settings()[1].ignored == ("GROUNDSWELL_PROT",)


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_addresses_of_the_economic_tracker_are_the_connector_s() -> None:
    from signals.connectors.economic_tracker import MOBILITY_URL, SPENDING_URL

    settings = Settings()
    assert settings.economic_tracker_spending_url == SPENDING_URL
    assert settings.economic_tracker_mobility_url == MOBILITY_URL
