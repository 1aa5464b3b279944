"""`indexof` and its like as SQL, which each database calls otherwise."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Place(FunctionElement[int]):
    """The place of a text within another, 1 first; 0: nowhere."""

    inherit_cache = True
    name = "place"
    type = sa.Integer()


@compiles(Place)
def _postgresql_place(element: Place, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(Place, "sqlite")
def _sqlite_place(element: Place, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"
