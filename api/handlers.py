"""How each kind of job is done; see api/worker.py for the protocol."""

from __future__ import annotations

import orjson

from api.deliveries import Delivering
from api.making import made, receipt_of
from api.models import ForecastRequest
from api.runs import ForecastRun
from api.worker import Handler, JobFailed, Made, Work


class OneForecast:
    """A single forecast that was asked for with `Prefer: respond-async`."""

    def parts(self, work: Work) -> int:  # noqa: ARG002
        """One."""
        return 1

    def part(self, work: Work, number: int) -> None:
        """Forecast and keep it."""
        body = ForecastRequest.model_validate(orjson.loads(work.job.request))
        issued = made(work, body, number)
        if isinstance(issued, bytes):
            raise JobFailed(issued)
        work.ledger.append(issued)

    def finish(self, work: Work) -> Made:
        """The forecast itself."""
        issued = work.ledger.resolve(receipt_of(work, 0))
        assert issued is not None
        return Made(issued.answer)


HANDLERS: dict[str, Handler] = {"forecast": OneForecast(), "run": ForecastRun(), "webhook": Delivering()}
