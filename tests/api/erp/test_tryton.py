"""The round trip with a real Tryton: docs/erp/tryton.md as it stands, then changes, and pushes that are killed."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.erp.homes import COMMAND, environment
from tests.fakes.server import Answer, Asked, serving

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "erp" / "tryton.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the ERP's own client sees.
SEEN = """
import json, sys
from proteus import Model, config
config.set_trytond("sqlite:///erp", user="admin", config_file=sys.argv[1])
Forecast = Model.get("stock.forecast")
print(json.dumps([[f.state, str(f.from_date), str(f.to_date), sorted([l.product.code, l.quantity] for l in f.lines)]
    for f in Forecast.find([], order=[("from_date", "ASC")])]))
"""


@dataclass
class Erp:
    """A running Tryton, the folder of the tutorial, and what each of its blocks wrote."""

    folder: Path
    url: str
    key: str
    outputs: list[str]

    @property
    def variables(self) -> dict[str, str]:
        return environment(GROUNDSWELL_HOME=str(self.folder / "home"))

    def run(self, *words: str, **variables: str) -> str:
        """What a command of Groundswell writes."""
        told = subprocess.run(
            [*COMMAND, *words], env=self.variables | variables, capture_output=True, text=True, timeout=200
        )
        assert told.returncode == 0, told.stderr
        return told.stdout

    def counts(self, *words: str, **variables: str) -> dict[str, int]:
        told: dict[str, int] = json.loads(self.run("export", "tryton", "--push", "--json", *words, **variables))
        return {name: number for name, number in told.items() if number}

    def seen(self) -> list[list[Any]]:
        """State, dates and lines of every forecast, by Tryton's own client."""
        python, file = ROOT / ".venv-tryton" / "bin" / "python", self.folder / "tryton" / "trytond.conf"
        told = subprocess.run([python, "-c", SEEN, file], capture_output=True, text=True, check=True)
        found: list[list[Any]] = json.loads(told.stdout.splitlines()[-1])
        return found

    def exported(self) -> dict[tuple[str, str], float]:
        rows = json.loads(self.run("export", "tryton", "--json"))
        return {(row["from_date"], row["product"]): float(round(row["quantity"])) for row in rows}

    def clear(self) -> None:
        """Take back every forecast."""
        with httpx.Client(headers={"Authorization": f"Bearer {self.key}"}, base_url=self.url) as client:
            for one in client.get("/rest/model/stock.forecast?f=state").raise_for_status().json():
                actions = {"done": ("draft", "cancel"), "draft": ("cancel",)}.get(one["state"], ())
                for action in actions:
                    client.post(f"/rest/model/stock.forecast/{one['id']}/{action}", json={}).raise_for_status()


def shell(script: str, folder: Path, port: int) -> str:
    """Run a block of the tutorial; its standard output."""
    variables = environment(PATH=f"{folder / 'bin'}:/usr/bin:/bin", GROUNDSWELL_HOME="home")
    # Into files: the server that a block starts would hold a pipe open.
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        script = f"export TRYTONPASSFILE=tryton/password\n{script.replace('8069', str(port))}"
        command = ["bash", "-euo", "pipefail", "-c", script]
        told = subprocess.run(command, cwd=folder, env=variables, stdout=out, stderr=err, timeout=300)
    assert told.returncode == 0, f"{script}\n{(folder / 'err').read_text()}"
    return (folder / "out").read_text()


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Erp]:
    assert (ROOT / ".venv-tryton" / ".installed").exists(), "make tryton installs the ERP that this test runs"
    folder = tmp_path_factory.mktemp("tryton")
    for name in ("tests", ".venv-tryton"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "bin").mkdir()
    command = folder / "bin" / "groundswell"
    command.write_text(f'#!/bin/sh\nexec {COMMAND[0]} {COMMAND[1]} "{COMMAND[2]}" "$@"\n')
    command.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    *blocks, stop = [text for kind, text in BLOCK.findall(PAGE) if kind == "bash"]
    outputs = [shell(blocks[0], folder, port)]
    try:
        answers(port)
        outputs += [shell(block, folder, port) for block in blocks[1:]]
        yield Erp(folder, f"http://127.0.0.1:{port}/erp", (folder / "tryton" / "key").read_text(), outputs)
    finally:
        shell(stop, folder, port)


def answers(port: int) -> None:
    """Wait until the server does."""
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "trytond does not listen"
        time.sleep(0.1)


def shape(line: str) -> str:
    return re.sub(r"[\d.,-]+", "#", line)


def test_the_tutorial_writes_what_it_says(erp: Erp) -> None:
    *_, sales, rows, pushes = erp.outputs
    said = [text for kind, text in BLOCK.findall(PAGE) if kind == "text"]
    assert [shape(line) for line in sales.splitlines()] == [shape(line) for line in said[0].splitlines()]
    assert sales.startswith("62 entries read")
    assert rows.splitlines()[0] == said[1].splitlines()[0]
    assert shape(rows.splitlines()[1]) == shape(said[1].splitlines()[1])
    assert pushes == said[2]


def test_sales_are_the_deliveries_less_the_return(erp: Erp) -> None:
    from signals.store import open_snapshot

    quantities = open_snapshot(erp.folder / "home").sales("SKU-2")["quantity"].tolist()
    assert len(quantities) == 30
    with httpx.Client(headers={"Authorization": f"Bearer {erp.key}"}, base_url=erp.url) as client:
        moves = client.get(
            "/rest/model/stock.move?f=product.code&f=quantity&f=effective_date&f=to_location.type"
        ).json()
    sold: dict[tuple[int, int], float] = {}
    for move in moves:
        if move["product"]["code"] == "SKU-2":
            month = move["effective_date"]["year"], move["effective_date"]["month"]
            sign = 1 if move["to_location"]["type"] == "customer" else -1
            sold[month] = sold.get(month, 0.0) + sign * move["quantity"]
    assert quantities == [sold[month] for month in sorted(sold)]


def test_tryton_sees_the_forecasts_confirmed(erp: Erp) -> None:
    seen, exported = erp.seen(), erp.exported()
    assert len(seen) == 5
    assert {state for state, *_ in seen} == {"done"}
    lines = {(begin, code): quantity for _, begin, _, found in seen for code, quantity in found}
    assert lines == exported
    assert all(quantity > 20 for quantity in lines.values())


def test_the_next_import_reads_only_what_is_new(erp: Erp) -> None:
    # Moves of the last hour come again, and change nothing.
    told = json.loads(erp.run("import", "tryton", "--json"))
    assert told["result"]["inserted"] == 0


def test_a_changed_forecast_is_drafted_changed_and_confirmed_again(erp: Erp) -> None:
    erp.run("export", "tryton", "--horizon", "6", "--engine", "seasonal_naive")
    told = erp.counts()
    assert told.get("updated", 0) >= 1
    assert "created" not in told
    seen, exported = erp.seen(), erp.exported()
    assert [state for state, *_ in seen] == ["done"] * 5
    assert {(begin, code): quantity for _, begin, _, found in seen for code, quantity in found} == exported
    assert erp.counts() == {"remembered": 10}


def test_one_product_leaves_the_lines_of_the_others(erp: Erp) -> None:
    before = {(begin, code): quantity for _, begin, _, found in erp.seen() for code, quantity in found}
    erp.run("export", "tryton", "--horizon", "6", "--category", "SKU-1", "--engine", "fast")
    erp.counts("--category", "SKU-1")
    after = {(begin, code): quantity for _, begin, _, found in erp.seen() for code, quantity in found}
    assert after.keys() == before.keys()
    assert {key: value for key, value in after.items() if key[1] == "SKU-2"} == {
        key: value for key, value in before.items() if key[1] == "SKU-2"
    }


def test_a_forecast_of_other_dates_is_not_touched(erp: Erp) -> None:
    begin = erp.seen()[0][1]
    erp.clear()
    year, month, _ = map(int, begin.split("-"))
    day = {"__class__": "date", "year": year, "month": month, "day": 10}
    with httpx.Client(headers={"Authorization": f"Bearer {erp.key}"}, base_url=erp.url) as client:
        places = {one["code"]: one["id"] for one in client.get("/rest/model/stock.location?f=code").json()}
        values = {
            "company": 1,
            "warehouse": places["WH"],
            "destination": places["CUS"],
            "from_date": day,
            "to_date": day,
        }
        other = client.post("/rest/model/stock.forecast", json=values).raise_for_status().json()["id"]
        client.post(f"/rest/model/stock.forecast/{other}/confirm", json={}).raise_for_status()
        with serving(lambda asked: forwarded(erp, asked)) as proxy:
            toml = elsewhere(erp, proxy.url)
            told = subprocess.run(
                [*COMMAND, "export", "tryton", "--push"], env=erp.variables, capture_output=True, text=True
            )
            toml.write_text(toml.read_text().replace(proxy.url, erp.url.removesuffix("/erp")))
        assert told.returncode == 1
        assert f"stock.forecast {other} ({begin[:8]}10 to {begin[:8]}10) overlaps {begin}" in told.stderr
        assert client.get(f"/rest/model/stock.forecast/{other}?f=state").json()["state"] == "done"


@pytest.mark.parametrize("deadly", [1, 2, 3, 6])  # create, confirm, create, confirm
def test_a_killed_push_goes_on_where_it_was(erp: Erp, deadly: int) -> None:
    erp.clear()
    killed_at(erp, deadly)
    seen = [one for one in erp.seen() if one[0] != "cancelled"]
    assert [one[0] for one in seen] == ["done"] * 5
    assert len({one[1] for one in seen}) == 5
    assert {(begin, code): quantity for _, begin, _, found in seen for code, quantity in found} == erp.exported()


@pytest.mark.parametrize("deadly", [1, 2, 3])  # draft, confirm, draft
def test_a_killed_update_goes_on_where_it_was(erp: Erp, deadly: int) -> None:
    erp.run("export", "tryton", "--horizon", "6", "--engine", ("theta", "seasonal_naive", "ets")[deadly - 1])
    killed_at(erp, deadly)
    seen = [one for one in erp.seen() if one[0] != "cancelled"]
    assert [one[0] for one in seen] == ["done"] * 5
    assert {(begin, code): quantity for _, begin, _, found in seen for code, quantity in found} == erp.exported()


def killed_at(erp: Erp, deadly: int) -> None:
    """Kill a push when Tryton has done its POST of this number, before the answer; then push again, twice."""
    victims: list[subprocess.Popen[bytes]] = []
    posts: list[Asked] = []

    def source(asked: Asked) -> Answer:
        answer = forwarded(erp, asked)
        posts.extend([asked] if asked.method == "POST" else [])
        if victims and asked.method == "POST" and len(posts) == deadly:
            victims[0].kill()
        return answer

    with serving(source) as proxy:
        toml = elsewhere(erp, proxy.url)
        push = [*COMMAND, "export", "tryton", "--push"]
        with subprocess.Popen(push, env=erp.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            victims.append(process)
            _, told = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, told.decode()
        victims.clear()
        assert sum(erp.counts().values()) == 10
        assert erp.counts() == {"remembered": 10}
        toml.write_text(toml.read_text().replace(proxy.url, erp.url.removesuffix("/erp")))


def elsewhere(erp: Erp, url: str) -> Path:
    """groundswell.toml with another address of the same Tryton: nothing is known of what was written there."""
    toml = erp.folder / "home" / "groundswell.toml"
    toml.write_text(toml.read_text().replace(erp.url.removesuffix("/erp"), url))
    return toml


def forwarded(erp: Erp, asked: Asked) -> Answer:
    """What Tryton answers to a request that was sent to a proxy."""
    headers = {
        name: value for name, value in asked.headers.items() if name not in ("host", "accept-encoding", "connection")
    }
    # `f` stands in it several times, which the fake's dictionary does not keep.
    answer = httpx.request(
        asked.method, f"{erp.url.removesuffix('/erp')}{asked.target}", headers=headers, content=asked.body
    )
    kept = {name: value for name, value in answer.headers.items() if name == "content-range"}
    return Answer(answer.content, answer.status_code, answer.headers.get("content-type", ""), kept)
