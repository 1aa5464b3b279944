"""The documentation cannot rot: commands, addresses, fields and settings are compared with the code."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import cli
from api.commands.running import load_demo
from api.models import ForecastRequest
from api.settings import PREFIX, Settings, allowed_values
from tests.api.life.past import issue, mondays, score
from tests.api.workers import working

DOCS = Path(__file__).parent.parent / "docs"
KINDS = {
    "/v1/forecasts/": "RECEIPT",
    "/v1/jobs/": "JOB",
    "/v1/runs/": "RUN",
    "/v1/webhooks/": "WEBHOOK",
    "/v1/scenarios/": "SCENARIO",
    "/overrides/": "OVERRIDE",
}
EXAMPLE = re.compile(r"^\$ curl (.+)\n((?:[^$`].*\n)*)", re.MULTILINE)


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path} {name}", command


def help_of(path: str, command: click.Command) -> str:
    names = ["-h", "--help"]
    with click.Context(
        command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=names
    ) as ctx:
        return command.get_help(ctx)


COMMANDS = dict(commands(cli, "groundswell"))


@pytest.mark.parametrize("path", COMMANDS)
def test_each_command_has_its_section_and_its_help(path: str) -> None:
    page = text("cli.md")
    assert f"\n## `{path}`\n" in page
    expected = f"```text\n{help_of(path, COMMANDS[path])}\n```"
    assert expected in page, f"docs/cli.md must hold this:\n{expected}"


def test_no_command_is_documented_that_is_not_there() -> None:
    assert set(re.findall(r"^## `(groundswell .+)`$", text("cli.md"), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_has_its_row(name: str) -> None:
    field = Settings.model_fields[name]
    default = f"`{field.default}`" if str(field.default) else "empty"
    row = f"| `{name}` | `{PREFIX}{name.upper()}` | {default} | {allowed_values(name)} | {field.description} |"
    assert row in text("settings.md").splitlines(), f"docs/settings.md must hold this row:\n{row}"


def test_no_setting_is_documented_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| `GROUNDSWELL_", text("settings.md"), re.MULTILINE)) == set(
        Settings.model_fields
    )


def operations() -> set[str]:
    paths = create_app(Settings()).openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_each_address_has_an_example() -> None:
    called = {request(arguments)[:2] for arguments, _ in EXAMPLE.findall(text("api.md"))}
    for operation in operations():
        method, path = operation.split(" ")
        pattern = re.compile(re.sub(r"\{[^}]+\}", "[^?]+", path) + r"(\?.*)?")
        assert any(verb == method and pattern.fullmatch(target) for verb, target in called), operation


def test_each_address_and_each_field_is_named() -> None:
    page = text("api.md")
    for operation in operations():
        assert operation in page or operation.split(" ")[1] in page, operation
    for field in ForecastRequest.model_fields:
        assert f"| `{field}` |" in page, field


def request(arguments: str) -> tuple[str, str, str | None, dict[str, str]]:
    """Method, address, body and headers of one curl command."""
    method, body, headers, target = None, None, {}, ""
    words = iter(shlex.split(arguments))
    for word in words:
        if word == "-H":
            name, value = next(words).split(": ", 1)
            headers[name] = value
        elif word == "-X":
            method = next(words)
        elif word == "-d":
            body = next(words)
        elif word == "-w":  # the status, after the body
            next(words)
        else:
            address = urlsplit(f"http://{word}")
            target = address.path + (f"?{address.query}" if address.query else "")
    return method or ("GET" if body is None else "POST"), target, body, headers


def shape(value: Any) -> Any:
    """What a reader relies on: the fields, not their values; the drivers of contributions depend on the data."""
    if isinstance(value, dict):
        return {key: {} if key == "contributions" else shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


@pytest.fixture(scope="module")
def given() -> dict[str, str]:
    """The last id of each kind that an example was answered with."""
    return {}


def filled(arguments: str, given: dict[str, str]) -> str:
    """A curl command with `$RUN` and the like replaced by the last id of that kind."""
    return re.sub(rf"\$({'|'.join(KINDS.values())})", lambda found: given[found[1]], arguments)


def note_ids(answer: Any, given: dict[str, str]) -> None:
    for path, kind in KINDS.items():
        if path in answer.headers.get("location", ""):
            given[kind] = answer.headers["location"].rsplit("/", 1)[1]
    if answer.headers.get("content-type") == "application/json" and "receipt" in answer.json():
        given["RECEIPT"] = answer.json()["receipt"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("docs")
    load_demo(home)
    (home / "groundswell.toml").write_text(
        '[[signals]]\nconnector = "holidays"\ncountries = ["US"]\n', encoding="utf-8"
    )
    settings = Settings(home=home, webhook_targets="private")
    issue(settings, mondays(9, dt.datetime(2026, 11, 11)), "Pet food")
    score(settings)
    with working(settings), TestClient(create_app(settings), base_url="http://localhost:8000") as client:
        yield client


@pytest.mark.parametrize(("arguments", "output"), EXAMPLE.findall(text("api.md")))
def test_each_example_still_answers_so(arguments: str, output: str, client: TestClient, given: dict[str, str]) -> None:
    method, target, body, headers = request(filled(arguments, given))
    settings: Settings = client.app.state.settings  # type: ignore[attr-defined]
    (settings.home / "ingest.heartbeat").touch()  # as the ingest process of `serve` does all the time
    deadline = time.monotonic() + (30 if method == "GET" else 0)
    while True:
        answer = client.request(method, target, content=body, headers=headers)
        if same(answer, output) or time.monotonic() > deadline:  # what a job makes is not there at once
            break
        time.sleep(0.1)
    note_ids(answer, given)
    assert same(answer, output), answer.text


def same(answer: Any, output: str) -> bool:
    """Whether an answer has the fields, or the columns, that the example shows."""
    if not answer.content:
        return answer.status_code == 204 and output.strip() in ("", "204")
    if "json" in answer.headers.get("content-type", ""):
        return bool(output) and shape(answer.json()) == shape(json.loads(output))
    return bool(answer.text.partition("\n")[0].rstrip("\r") == output.partition("\n")[0])
