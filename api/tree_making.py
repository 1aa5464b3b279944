"""The forecasts of the nodes of a tree: one after the other, or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass, replace

from api.batch.pool import processes_of
from api.service import Inputs, run
from api.tree_reading import TreeInputs
from forecast import Forecast, HistoryError
from forecast.engines import Wanted

Watch = Callable[[int], Callable[[], None]]  # told how many nodes there are; what it gives, of each that is done
Levels = tuple[int, ...]
Made = Forecast | HistoryError


def unwatched(nodes: int) -> Callable[[], None]:  # noqa: ARG001 - nobody counts
    """Tell nobody."""
    return lambda: None


@dataclass(frozen=True)
class Nodes:
    """Forecasts by category, and those that take no part, with the reason."""

    forecasts: Mapping[str, Forecast]
    left_out: Mapping[str, str]

    def of(self, names: Iterable[str]) -> dict[str, Forecast]:
        """Some of them."""
        return {name: self.forecasts[name] for name in names}


def made_nodes(read: TreeInputs, wanted: Wanted, levels: Levels, processes: int, watch: Watch) -> Nodes:
    """Forecast all leaves and totals; raises ForecastError. `wanted` has the time for all of them.

    What is new and can neither borrow nor be forecast by itself is left out.
    """
    inputs = {**read.leaves, **read.totals}
    processes = min(processes, len(inputs))
    if wanted.deadline_ms is not None:
        wanted = replace(wanted, deadline_ms=wanted.deadline_ms * processes / len(inputs))
    done, forecasts, left_out = watch(len(inputs)), {}, {}
    for name, made in _each(inputs, wanted, levels, processes):
        if isinstance(made, Forecast):
            forecasts[name] = made
        elif name in read.new:
            left_out[name] = made.value.removeprefix(f"{name}: ")
        else:
            raise made
        done()
    return Nodes(forecasts, left_out)


def _each(inputs: Mapping[str, Inputs], wanted: Wanted, levels: Levels, processes: int) -> Iterator[tuple[str, Made]]:
    """Forecasts as they are made, or why there is none."""
    if processes == 1:
        yield from ((name, _made(name, one, wanted, levels)) for name, one in inputs.items())
        return
    with processes_of(processes) as pool:
        asked = {pool.submit(_made, name, one, wanted, levels): name for name, one in inputs.items()}
        yield from ((asked[future], future.result()) for future in as_completed(asked))


def _made(name: str, inputs: Inputs, wanted: Wanted, levels: Levels) -> Made:
    try:
        return run(inputs, wanted, levels=levels)
    except HistoryError as error:
        return HistoryError(error.field, f"{name}: {error.value}", error.allowed)
