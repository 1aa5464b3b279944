"""A night's batch as it is really asked for: `python -m bench.runs [--series N] [--signals N] [--face command|http]
[--on pool|spark]`.

Weekly series of 260 weeks with five signals each. `command`: two Parquet files through `groundswell run`. `http`: one
NDJSON upload to `POST /v1/runs` of `groundswell serve`, until the last result is fetched as Parquet. Making the data
is not counted. Prints seconds, series a second, CPU seconds for 1,000 series, and the largest resident memory of all
processes together (pages that they share count more than once). With `--on spark` the command gives its chunks to
Spark, on as many cores as the environment says: `MASTER=local[2]`.
Goal: 100,000 series in 12 minutes and 4 GB on two cores.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.arguments import whole_number
from bench.machine import machine
from bench.service import children
from bench.serving import served

_MAIN = [sys.executable, "-c", "from api.cli import main; main()"]
_CHUNK = 256
_TICK = os.sysconf("SC_CLK_TCK")
_LAST = np.datetime64("2026-11-22")


@dataclass
class Watch:
    """Memory and CPU of a process and all below it, sampled until the block ends."""

    root: int
    peak_mb: float = 0.0
    cpu: dict[int, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.peak_mb = max(self.peak_mb, self._sample(self.root))

    def _sample(self, process: int) -> float:
        folder = Path(f"/proc/{process}")
        try:
            pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
            times = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        self.cpu[process] = (int(times[11]) + int(times[12])) / _TICK
        return pages * resource.getpagesize() / 1e6 + sum(self._sample(child) for child in children(process))


def chunks(series: int, weeks: int, signals: int) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """Names, sales (series, weeks) and signals (series, signals, weeks), the first of which moves sales a bit."""
    season = 0.25 * np.sin(2 * np.pi * np.arange(weeks) / 52.1775)
    for first in range(0, series, _CHUNK):
        count = min(_CHUNK, series - first)
        rng = np.random.default_rng([7, first])
        x = rng.normal(size=(count, max(signals, 1), weeks))
        for week in range(1, weeks):
            x[:, :, week] += 0.8 * x[:, :, week - 1]
        log = rng.uniform(3, 9, (count, 1)) + season + np.cumsum(0.02 * rng.normal(size=(count, weeks)), axis=1)
        log += 0.06 * rng.normal(size=(count, weeks)) + 0.04 * np.roll(x[:, 0], 1, axis=1)
        names = [f"S{number:06d}" for number in range(first, first + count)]
        yield names, np.exp(log).round(2), x[:, :signals].round(4)


def write_tables(folder: Path, series: int, weeks: int, signals: int) -> list[Path]:
    """Sales and signals as Parquet, a row group a chunk."""
    ds = _LAST - 7 * np.arange(weeks)[::-1]
    files = [folder / "sales.parquet", folder / "signals.parquet"]
    head = {"category": pa.string(), "ds": pa.date32()}
    schemas = [pa.schema(head | {"y": pa.float64()}), pa.schema(head | {"signal": pa.string(), "value": pa.float64()})]
    with pq.ParquetWriter(files[0], schemas[0]) as sales, pq.ParquetWriter(files[1], schemas[1]) as offered:
        for names, y, x in chunks(series, weeks, signals):
            owner = np.repeat(np.array(names, dtype=object), weeks)
            columns = {"category": owner, "ds": np.tile(ds, len(names)), "y": y.ravel()}
            sales.write_table(pa.table(columns, schemas[0]))
            if signals:
                label = np.tile(np.repeat([f"signal {i}" for i in range(signals)], weeks), len(names))
                long = {"category": np.repeat(owner, signals), "ds": np.tile(ds, len(names) * signals)}
                offered.write_table(pa.table(long | {"signal": label, "value": x.ravel()}, schemas[1]))
    return files if signals else files[:1]


def write_lines(file: Path, series: int, weeks: int, signals: int, horizon: int) -> None:
    """A request a line."""
    start = str(_LAST - 7 * (weeks - 1))
    span = {"start": start, "frequency": "W-SUN"}
    with file.open("w", encoding="utf-8") as out:
        for names, y, x in chunks(series, weeks, signals):
            for i, name in enumerate(names):
                offered = [{"signal": f"signal {k}", **span, "values": x[i, k].tolist()} for k in range(signals)]
                one = {"category": name, "history": span | {"values": y[i].tolist()}, "horizon": horizon}
                out.write(json.dumps(one | {"signals": offered}) + "\n")


def by_command(folder: Path, options: argparse.Namespace) -> tuple[float, Watch]:
    """Seconds of `groundswell run`, and what it took."""
    sales, *offered = write_tables(folder, options.series, options.weeks, options.signals)
    command = [*_MAIN, "run", str(sales), "--out", str(folder / "out"), "--horizon", str(options.horizon), "--json"]
    command += ["--on", options.on]
    began = time.perf_counter()
    with subprocess.Popen([*command, *(f"--signals={file}" for file in offered)], stdout=subprocess.PIPE) as process:
        with Watch(process.pid) as watch:
            told = json.loads(process.communicate()[0])
        seconds = time.perf_counter() - began
    print(f"  forecast              {told['made']:10,} of {told['series']:,}")
    return seconds, watch


def by_http(folder: Path, options: argparse.Namespace) -> tuple[float, Watch]:
    """Seconds from the begin of the upload to the last result, and what `groundswell serve` took."""
    write_lines(folder / "requests.ndjson", options.series, options.weeks, options.signals, options.horizon)
    with (
        served("--workers", "1") as (port, process),
        Watch(process) as watch,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client,
    ):
        began = time.perf_counter()
        address = submitted(client, folder / "requests.ndjson", began)
        while client.get(address).status_code == 202:
            time.sleep(0.5)
        counts = client.get(address).json()["counts"]
        print(f"  done                  {time.perf_counter() - began:10.1f} s; {counts}")
        found = client.get(f"{address}/results", headers={"Accept": "application/vnd.apache.parquet"})
        rows = pq.read_table(io.BytesIO(found.content), columns=["number"]).num_rows
        seconds = time.perf_counter() - began
        print(f"  results               {len(found.content) / 1e6:10.1f} MB, {rows:,} rows")
        _folded(client, rows, time.perf_counter())
    return seconds, watch


def _folded(client: httpx.Client, rows: int, began: float) -> None:
    """Wait until OData has the rows, and tell how long that took."""
    while int(client.get("/odata/v4/Forecasts/$count").text) < rows:
        time.sleep(1.0)
    print(f"  rows of OData after   {time.perf_counter() - began:10.1f} s more, which is not in the seconds below")


def submitted(client: httpx.Client, file: Path, began: float) -> str:
    """Upload a run, tell how long that took, and give its path."""
    ended = [0.0]

    def body() -> Iterator[bytes]:
        with file.open("rb") as lines:
            while data := lines.read(1 << 20):
                yield data
        ended[0] = time.perf_counter()

    answer = client.post("/v1/runs", content=body(), headers={"Content-Type": "application/x-ndjson"})
    accepted = time.perf_counter()
    answer.raise_for_status()
    print(f"  upload                {ended[0] - began:10.1f} s, {file.stat().st_size / 1e6:,.0f} MB")
    print(f"  accepted after        {accepted - ended[0]:10.2f} s")
    return str(httpx.URL(answer.headers["location"]).path)


def main() -> None:
    """Make the data, run the batch and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=whole_number, default=100_000)
    parser.add_argument("--weeks", type=whole_number, default=260)
    parser.add_argument("--horizon", type=whole_number, default=26)
    parser.add_argument("--signals", type=int, default=5)
    parser.add_argument("--face", choices=["command", "http"], default="command")
    parser.add_argument("--on", choices=["pool", "spark"], default="pool")
    options = parser.parse_args()
    shape = f"{options.series:,} series of {options.weeks} weeks, {options.signals} signals, horizon {options.horizon}"
    print(f"{machine()}; {shape}, by {options.face} on {options.on}", flush=True)
    with TemporaryDirectory() as name:
        ask = by_command if options.face == "command" else by_http
        seconds, watch = ask(Path(name), options)
    print(f"  to the last result    {seconds:10.1f} s")
    print(f"  series a second       {options.series / seconds:10.1f}")
    print(f"  CPU s for 1,000       {1000 * sum(watch.cpu.values()) / options.series:10.1f}")
    print(f"  peak, all processes   {watch.peak_mb:10.0f} MB")


if __name__ == "__main__":
    main()
