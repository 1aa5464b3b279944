"""Answers with a few things changed, taken out or said twice."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

ODD = [None, True, -1, 1.5, 10**30, 10**400, "", "x", ".", "9999-12-31", "2026-02-30", "1e400", "inf", [], {}, [None]]
ODD += [float("nan"), float("inf"), "\0", "2026-11-02"]


def bodies(body: Any, count: int) -> Iterator[bytes]:
    """`count` answers in JSON, each a little unlike `body`; the same ones each time."""
    chance = random.Random(7)
    for _ in range(count):
        changed = copy.deepcopy(body)
        for _ in range(chance.choice([1, 1, 2, 3])):
            changed = _changed(changed, chance)
        yield json.dumps(changed).encode()


def _changed(body: Any, chance: random.Random) -> Any:
    path = chance.choice(list(_places(body)))
    if not path:
        return chance.choice(ODD)
    owner = body
    for key in path[:-1]:
        owner = owner[key]
    what = chance.random()
    if what < 0.2:
        del owner[path[-1]]
    elif what < 0.3 and isinstance(owner, list):
        owner.insert(path[-1], copy.deepcopy(owner[path[-1]]))
    else:
        owner[path[-1]] = chance.choice(ODD)
    return body


def _places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = body.items() if isinstance(body, dict) else list(enumerate(body))[:6] if isinstance(body, list) else ()
    for key, value in inside:
        yield from _places(value, (*path, key))
