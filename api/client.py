"""The client of the REST API: typed answers, retries that do nothing twice, the last known forecast when it is down.

with Client("http://127.0.0.1:8000") as client:
    known = client.forecast("Boots", horizon=8, fallback=True)
    if known.stale:
        print(f"forecast of {known.age} ago")

Errors: `Refused` says what is wrong with a request, `Unavailable` that the service is down or too late, `StillRunning`
that a job has not ended in time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson
import stamina

from api.client_life import LifeOfModels
from api.issued_models import LastForecast
from api.job_models import JobState
from api.life.score_models import CategoryScores, CategorySummary, Portfolio
from api.models import (
    BulkAnswer,
    BulkItem,
    Category,
    CategoryPage,
    ForecastAnswer,
    SignalPage,
    StoredSignal,
    UploadAnswer,
)
from api.overrides.calls import Model, OverrideCalls
from api.overrides.calls import read as _read
from api.replay_models import Replay
from api.scenario_models import Evaluation, Scenario, ScenarioHead, ScenarioPage
from api.tree_models import TreeAnswer

PASSING = (409, 429, 502, 503, 504)  # of 409 only that the first try is still running
FORMS = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
}
LONGEST_PAUSE = 60.0
logging.getLogger("stamina").addHandler(logging.NullHandler())  # each try is a line only where logging is set up
Rows = Path | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]


class ClientError(Exception):
    """Base of what the client raises."""


class Refused(ClientError):  # noqa: N818 - named for what happened, as its callers read it
    """The service will not do it, however often it is asked. `problem` is the problem detail (RFC 9457)."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.problem, self.status = problem, int(problem["status"])
        self.code = str(problem["type"]).rsplit(":", 1)[-1]
        super().__init__(f"{self.status} {self.code}: {problem['detail']}")


class Unavailable(ClientError):  # noqa: N818
    """The service is down, cannot answer now, or takes longer than `timeout`."""


class StillRunning(ClientError):  # noqa: N818
    """A job has not ended in time; `state` says how far it is."""

    def __init__(self, state: JobState) -> None:
        self.state = state
        super().__init__(f"job {state.job} is {state.state}: {state.done} of {state.total} parts done")


@dataclass(frozen=True)
class Known:
    """A forecast, and how fresh it is: `stale` where it is not the answer to this very request."""

    answer: ForecastAnswer
    stale: bool
    age: dt.timedelta


class _Passing(Exception):  # noqa: N818
    """An answer that another try may better."""

    def __init__(self, response: httpx.Response) -> None:
        self.pause = _seconds(response)
        super().__init__(f"{response.status_code} {response.reason_phrase}: {response.text[:200]}")


class Client(OverrideCalls, LifeOfModels):
    """For one thread at a time; close it, or use it in a `with` block.

    `timeout` are the seconds that one call may take with all its tries, `attempts` how many tries it has. Forecasts of
    the store's categories are kept in the folder `cache` (default: groundswell in the user's cache folder).
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        attempts: int = 20,
        cache: Path | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._address, self._timeout, self._attempts = address.rstrip("/"), timeout, attempts
        self._http = httpx.Client(base_url=self._address, headers=headers, transport=transport)
        self._kept = _Kept(_cache_folder() if cache is None else cache, self._address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def forecast(self, category: str | None = None, *, horizon: int, fallback: bool = False, **request: Any) -> Known:
        """Forecast a category of the store, or a `history` given inline; `request` has the other fields of the API.

        With `fallback` the last known forecast of the category comes where the service is down or too late. Raises
        Refused, Unavailable.
        """
        body = {"horizon": horizon} | ({} if category is None else {"category": category}) | request
        stored = category is not None and "history" not in request
        try:
            answer = self._forecast(body)
        except Unavailable as down:
            if not fallback or category is None or not stored:
                raise
            known = self._kept.newest(category)
            if known is None:
                raise Unavailable(f"{down}; and no forecast of {category!r} is known here") from down
            return known
        if stored and category is not None and body.keys().isdisjoint(("as_of", "data_version")):
            self._kept.keep(category, answer, _now())
        return Known(_read(ForecastAnswer, answer), stale=False, age=dt.timedelta(0))

    def last_known(self, category: str) -> Known:
        """The newest forecast of a category that the service issued or, where it is down, that this client got.

        Raises Refused where the service knows none, Unavailable where it is down and none is known here.
        """
        try:
            response = self._send("GET", f"/v1/categories/{quote(category, safe='')}/forecast")
        except Unavailable as down:
            known = self._kept.newest(category)
            if known is None:
                raise Unavailable(f"{down}; and no forecast of {category!r} is known here") from down
            return known
        last = _read(LastForecast, response.content)
        age = dt.timedelta(seconds=last.age_seconds)
        self._kept.keep(category, orjson.dumps(orjson.loads(response.content)["forecast"]), _now() - age)
        return Known(last.forecast, stale=True, age=age)

    def forecasts(self, requests: Sequence[Mapping[str, Any]], *, later: bool = False) -> list[BulkItem]:
        """Many forecasts; each item has its answer or its problem, in order. `later`: by a job, for large numbers.

        Raises Refused, Unavailable, StillRunning.
        """
        headers = {"Prefer": "respond-async"} if later else {}
        return _read(BulkAnswer, self._posted("/v1/forecasts/bulk", orjson.dumps(list(requests)), headers)).items

    def receipt(self, receipt: str) -> ForecastAnswer:
        """The forecast of a receipt, as it was issued."""
        return _read(ForecastAnswer, self._send("GET", f"/v1/forecasts/{quote(receipt, safe='')}").content)

    def replay(self, receipt: str) -> Replay:
        """The forecast of a receipt made again, against what was issued: identical to the byte, or what differs."""
        return _read(Replay, self._send("GET", f"/v1/forecasts/{quote(receipt, safe='')}/replay").content)

    def categories(self) -> list[Category]:
        """All categories of the store."""
        return [item for page in self._pages("/v1/categories", CategoryPage) for item in page.items]

    def signals(self, category: str | None = None) -> list[StoredSignal]:
        """All signals of the store, or the candidates of a category."""
        query = {} if category is None else {"category": category}
        return [item for page in self._pages("/v1/signals", SignalPage, **query) for item in page.items]

    def scenario(self, name: str, category: str, changes: Sequence[Mapping[str, Any]], **request: Any) -> Scenario:
        """Keep a scenario of a category, answered; `changes` and the other fields as the API takes them."""
        body = {"name": name, "category": category, "changes": list(changes)} | request
        return _read(Scenario, self._posted("/v1/scenarios", orjson.dumps(body)))

    def scenarios(self, category: str | None = None) -> list[ScenarioHead]:
        """All kept scenarios, or those of a category, the newest first."""
        query = {} if category is None else {"category": category}
        return [item for page in self._pages("/v1/scenarios", ScenarioPage, **query) for item in page.items]

    def compare(self, scenarios: Sequence[str], **request: Any) -> Evaluation:
        """Answer kept scenarios of one category anew, by their ids, side by side with the baseline."""
        body = {"scenarios": list(scenarios)} | request
        return _read(Evaluation, self._posted("/v1/scenarios/compare", orjson.dumps(body)))

    def scores(self, category: str, **query: Any) -> CategoryScores:
        """How the issued forecasts of a category did; `lead`, `since`, `until` and `basis` as the API takes them."""
        address = f"/v1/categories/{quote(category, safe='')}/scores"
        return _read(CategoryScores, self._send("GET", address, params=_query(query)).content)

    def all_scores(self, **query: Any) -> list[CategorySummary]:
        """How the issued forecasts of each category did; parameters as of `scores`."""
        pages = self._pages("/v1/scores", Portfolio, **_query(query))
        return [item for page in pages for item in page.items]

    def tree(self, category: str, **request: Any) -> TreeAnswer:
        """A forecast of a category and all below it that adds up; other fields as the API takes them."""
        return _read(TreeAnswer, self._posted("/v1/trees", orjson.dumps({"category": category} | request)))

    def upload_sales(self, data: Rows, **options: Any) -> UploadAnswer:
        """Upload sales: a CSV, Parquet, JSON or NDJSON file, rows, or columns; `options` as the API takes them.

        Waits until they are stored. Raises Refused with row and column of what is wrong, Unavailable, StillRunning.
        """
        return self._upload("/v1/sales", data, options)

    def upload_signals(self, data: Rows, **options: Any) -> UploadAnswer:
        """Upload observations of signals, as `upload_sales`."""
        return self._upload("/v1/signals", data, options)

    def job(self, job: str, *, wait: float | None = None) -> bytes:
        """What a job made, waited for up to `wait` seconds (default: `timeout`). Raises StillRunning, Refused."""
        deadline = time.monotonic() + (self._timeout if wait is None else wait)
        while True:
            response = self._send("GET", f"/v1/jobs/{quote(job, safe='')}")
            if response.status_code != httpx.codes.ACCEPTED:
                return response.content
            pause = _seconds(response) or 1.0
            if time.monotonic() + pause > deadline:
                raise StillRunning(_read(JobState, response.content))
            time.sleep(pause)

    def _forecast(self, body: dict[str, Any]) -> bytes:
        return self._posted("/v1/forecasts", orjson.dumps(body))

    def _upload(self, address: str, data: Rows, options: dict[str, Any]) -> UploadAnswer:
        query = _query(options)
        form = FORMS[data.suffix.lower()] if isinstance(data, Path) else FORMS[".json"]
        content = data if isinstance(data, Path) else orjson.dumps(data)
        return _read(UploadAnswer, self._posted(address, content, {"Content-Type": form}, query))

    def _posted(
        self,
        address: str,
        content: bytes | Path,
        more: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """The answer to a POST, that of its job where it became one; tried again it is done once."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4()), **(more or {})}
        response = self._send("POST", address, content=content, params=query, headers=headers)
        if response.status_code != httpx.codes.ACCEPTED:
            return response.content
        return self.job(_read(JobState, response.content).job)

    def _pages(self, address: str, model: type[Model], **query: str) -> Iterator[Model]:
        limit, offset, total = 1000, 0, 1
        while offset < total:
            page = {"limit": str(limit), "offset": str(offset)} | query
            content = self._send("GET", address, params=page).content
            total, offset = orjson.loads(content)["total"], offset + limit
            yield _read(model, content)

    def _send(self, method: str, address: str, **parts: Any) -> httpx.Response:
        """The answer, after as many tries as it takes; raises Refused or Unavailable."""
        deadline, response = time.monotonic() + self._timeout, None
        last: httpx.ConnectError | None = None
        try:
            for attempt in stamina.retry_context(on=_pause, attempts=self._attempts, timeout=self._timeout):
                with attempt:
                    try:
                        response = self._once(method, address, deadline, parts)
                    except httpx.ConnectError as refused:
                        last = refused
                        raise
        except (httpx.TransportError, _Passing) as error:
            why = last or error  # that the time is over says less than what each try ran into
            raise Unavailable(f"{self._address}: {why or type(why).__name__}") from error
        assert response is not None
        return response

    def _once(self, method: str, address: str, deadline: float, parts: dict[str, Any]) -> httpx.Response:
        left = deadline - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout(f"no answer within {self._timeout:g} s")
        with ExitStack() as opened:
            content = parts.get("content")
            if isinstance(content, Path):
                content = opened.enter_context(content.open("rb"))
            response = self._http.request(method, address, timeout=left, **parts | {"content": content})
        if response.is_success:
            return response
        problem = _problem(response)
        running = problem.get("type", "").endswith(":request-running")
        if response.status_code in PASSING and (response.status_code != httpx.codes.CONFLICT or running):
            passing = _Passing(response)
            if (passing.pause or 0.0) > deadline - time.monotonic():
                raise Unavailable(f"{self._address}: {passing}; it asks for {passing.pause:g} s")
            raise passing
        if response.is_server_error:
            raise Unavailable(f"{self._address}: {response.status_code} {problem['detail']}")
        raise Refused(problem)


class _Kept:
    """The newest forecast of each category, a file each; written as a whole or not at all."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder, self._address = folder, address

    def keep(self, category: str, answer: bytes, issued: dt.datetime) -> None:
        """Keep an answer, unless a newer one is there."""
        file = self._file(category)
        if file.exists() and self._read(file)[1] > issued:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{uuid.uuid4().hex}.part")
        head = {"address": self._address, "category": category, "issued": issued.isoformat()}
        part.write_bytes(orjson.dumps(head | {"answer": orjson.Fragment(answer)}))
        part.replace(file)

    def newest(self, category: str) -> Known | None:
        """The one that is kept."""
        file = self._file(category)
        if not file.exists():
            return None
        answer, issued = self._read(file)
        return Known(answer, stale=True, age=max(_now() - issued, dt.timedelta(0)))

    def _file(self, category: str) -> Path:
        name = hashlib.sha256(json.dumps([self._address, category]).encode()).hexdigest()
        return self._folder / f"{name[:32]}.json"

    def _read(self, file: Path) -> tuple[ForecastAnswer, dt.datetime]:
        kept = orjson.loads(file.read_bytes())
        return _read(ForecastAnswer, orjson.dumps(kept["answer"])), dt.datetime.fromisoformat(kept["issued"])


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The problem detail; of a proxy, which sends something else, what it says."""
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        found: dict[str, Any] = orjson.loads(response.content)
        return found
    return {"type": "about:blank", "status": response.status_code, "detail": response.text[:200]}


def _pause(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    if isinstance(error, _Passing):
        return True if error.pause is None else error.pause
    return isinstance(error, httpx.TransportError)


def _seconds(response: httpx.Response) -> float | None:
    """What `Retry-After` asks for."""
    given = response.headers.get("retry-after", "")
    return min(float(given), LONGEST_PAUSE) if given.isdigit() else None


def _query(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: _parameter(value) for name, value in options.items() if value is not None}


def _parameter(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundswell"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
