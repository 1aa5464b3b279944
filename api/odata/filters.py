# ruff: noqa: N802 - the visitor calls methods by the names of the nodes
"""`$filter` as a condition in SQL: odata-query parses it, the rules of OData about types and null are held here."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from odata_query import ast
from odata_query.exceptions import ArgumentCountException, ODataException, UnknownFunctionException
from odata_query.grammar import ODataLexer, ODataParser
from odata_query.sqlalchemy.core import AstToSqlAlchemyCoreVisitor
from sly.lex import Token  # type: ignore[import-untyped]

from api.database import now
from api.odata.model import EntitySet
from api.odata.place import Place
from api.odata.protocol import not_supported, wrong_option

OPTION = "$filter"
DEEPEST = 60  # operators within one another
LONGEST = 500  # conditions that one `and` or `or` joins: SQLite takes 1,000
# Integer and Number compare with one another, and a Date with a moment.
KINDS = {"Int32": "Integer", "Int64": "Integer", "Decimal": "Number", "Double": "Number"}
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
LITERALS = {
    ast.String: "String", ast.Integer: "Integer", ast.Float: "Number", ast.Boolean: "Boolean", ast.GUID: "Guid",
    ast.Date: "Date", ast.DateTime: "DateTimeOffset", ast.Null: "Null",
}  # fmt: skip
_TEXT, _DAY, _MOMENT, _NUMBER = ("String",), ("Date", "DateTimeOffset"), ("DateTimeOffset",), ("Integer", "Number")
# By name: what each argument may be, and what comes out.
FUNCTIONS: dict[str, tuple[tuple[tuple[str, ...], ...], str]] = {
    **dict.fromkeys(("contains", "startswith", "endswith"), ((_TEXT, _TEXT), "Boolean")),
    "indexof": ((_TEXT, _TEXT), "Integer"),
    "length": ((_TEXT,), "Integer"),
    "substring": ((_TEXT, ("Integer",), ("Integer",)), "String"),
    "concat": ((_TEXT, _TEXT), "String"),
    **dict.fromkeys(("tolower", "toupper", "trim"), ((_TEXT,), "String")),
    **dict.fromkeys(("year", "month", "day"), ((_DAY,), "Integer")),
    **dict.fromkeys(("hour", "minute", "second"), ((_MOMENT,), "Integer")),
    "date": ((_MOMENT,), "Date"),
    "now": ((), "DateTimeOffset"),
    **dict.fromkeys(("round", "floor", "ceiling"), ((_NUMBER,), "Number")),
}


def condition(text: str, entities: EntitySet, table: sa.FromClause) -> sa.ColumnElement[bool]:
    """What `$filter` demands of the rows of a set. Raises ODataError 400, or 501 for what is not served."""
    try:
        tree = _parsed(text)
        _check_depth(tree)
        visitor = _Condition(entities, table)
        if visitor.kind(tree) != "Boolean":
            raise wrong_option(OPTION, f"{text!r} is no condition: compare it, such as {text.strip()} eq …")
        found: sa.ColumnElement[bool] = visitor.visit(tree)
    except (ArgumentCountException, UnknownFunctionException) as error:
        raise wrong_option(OPTION, str(error)) from error
    except ODataException as error:
        raise wrong_option(OPTION, _where(error, text)) from error
    except NotImplementedError as error:
        raise not_supported(OPTION, "a path across navigation properties") from error
    return found


def _where(error: ODataException, text: str) -> str:
    """What is wrong, with its place."""
    token = getattr(error, "token", None)
    if token is None:
        return f"{text!r} ends too soon" if getattr(error, "eof", False) else str(error)
    return f"cannot be read from character {token.index + 1} on: {text[token.index :][:40]!r}"


def _parsed(text: str) -> ast._Node:
    tree = ODataParser().parse(_lists(ODataLexer().tokenize(text.strip())))
    if tree is None:
        raise wrong_option(OPTION, "it is empty")
    assert isinstance(tree, ast._Node)
    return tree


def _lists(tokens: Iterator[Any]) -> Iterator[Any]:
    """The parser takes `in ('a')` for parentheses, not for a list of one: give it the comma that it waits for."""
    waiting, depth, commas, opened = False, 0, 0, -1
    for token in tokens:
        if token.type == "(":
            depth += 1
            if waiting:
                opened, commas = depth, 0
        elif token.type == "," and depth == opened:
            commas += 1
        elif token.type == ")":
            if depth == opened and not commas:
                yield _comma(token)
            opened = -1 if depth == opened else opened
            depth -= 1
        waiting = token.type == "IN" or (waiting and token.type == "WS")
        yield token


def _comma(like: Any) -> Any:
    token = Token()
    token.type = token.value = ","
    token.lineno, token.index = like.lineno, like.index
    return token


def _check_depth(tree: ast._Node) -> None:
    """Refuse what the database or the stack cannot take."""
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise wrong_option(OPTION, f"more than {DEEPEST} operators within one another")
        level = [child for node in level for child in _children(node)]


def _children(node: ast._Node) -> list[ast._Node]:
    if isinstance(node, ast.BoolOp):
        parts = _joined(node)
        if len(parts) > LONGEST:
            raise wrong_option(OPTION, f"{len(parts)} conditions in one list; allowed: {LONGEST}")
        return parts
    if isinstance(node, ast.Compare | ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Call):
        return list(node.args)
    return []


def _joined(node: ast.BoolOp) -> list[ast._Node]:
    """The conditions that one operator joins: `a or b or c` is parsed as `(a or b) or c`."""
    parts: list[ast._Node] = []
    left: ast._Node = node
    while isinstance(left, ast.BoolOp) and type(left.op) is type(node.op):
        parts.append(left.right)
        left = left.left
    return [left, *reversed(parts)]


class _Condition(AstToSqlAlchemyCoreVisitor):
    """Types are checked before SQL is made of a node, for databases differ in what they make of wrong ones."""

    def __init__(self, entities: EntitySet, table: sa.FromClause) -> None:
        super().__init__(table)  # type: ignore[arg-type]
        self._entities = entities
        self._exact = False  # within `not` or a comparison, where it matters that false is not null

    def kind(self, node: ast._Node) -> str:
        """The type of what a node comes to; raises ODataError where it is made of what does not go together."""
        if isinstance(node, ast.Identifier):
            return self._kind_of_property(node)
        if isinstance(node, ast.Call):
            return self._kind_of_call(node)
        if isinstance(node, ast.BinOp):
            return self._kind_of_sum(node)
        if isinstance(node, ast.UnaryOp):
            return "Boolean" if isinstance(node.op, ast.Not) else self.kind(node.operand)
        if isinstance(node, ast.Compare | ast.BoolOp):
            return "Boolean"
        if type(node) in LITERALS:
            return LITERALS[type(node)]
        raise not_supported(OPTION, f"{type(node).__name__} as a value")

    def _kind_of_property(self, node: ast.Identifier) -> str:
        found = self._entities.by_name.get(_full(node))
        if found is None:
            raise wrong_option(OPTION, f"{self._entities.name} has no property {_full(node)}")
        return KINDS.get(found.type, found.type)

    def _kind_of_call(self, node: ast.Call) -> str:
        name = _full(node.func)
        if name not in FUNCTIONS:
            raise not_supported(OPTION, f"the function {name}")
        allowed, result = FUNCTIONS[name]
        for argument, kinds in zip(node.args, allowed, strict=False):
            if self.kind(argument) not in kinds:
                raise wrong_option(OPTION, f"{name} takes {' or '.join(kinds)}, not {self.kind(argument)}")
        return result

    def _kind_of_sum(self, node: ast.BinOp) -> str:
        kinds = {self.kind(node.left), self.kind(node.right)}
        if not kinds <= set(_NUMBER):
            raise wrong_option(OPTION, f"arithmetic takes numbers, not {' and '.join(sorted(kinds))}")
        return "Integer" if kinds == {"Integer"} else "Number"

    def _kind_beside(self, node: ast._Node, other: ast._Node) -> str:
        """The kind of one side of a comparison; clients that know no GUIDs write them as texts."""
        if isinstance(node, ast.String) and GUID.fullmatch(node.val) and self.kind(other) == "Guid":
            return "Guid"
        return self.kind(node)

    def _check_alike(self, one: ast._Node, other: ast._Node) -> None:
        left, right = self._kind_beside(one, other), self._kind_beside(other, one)
        groups = (set(_NUMBER), set(_DAY))
        alike = left == right or "Null" in (left, right) or any({left, right} <= group for group in groups)
        if not alike:
            raise wrong_option(OPTION, f"{left} does not compare with {right}")

    def visit_Compare(self, node: ast.Compare) -> Any:
        """A comparison: null equals null alone, and is neither more nor less than anything."""
        if isinstance(node.comparator, ast.In):
            return self._among(node)
        left, right = node.left, node.right
        self._check_alike(left, right)
        if isinstance(node.comparator, ast.Eq | ast.NotEq):
            return self._equal(left, right, isinstance(node.comparator, ast.Eq))
        if "Null" in (self.kind(left), self.kind(right)):
            return sa.false()
        if "Boolean" in (self.kind(left), self.kind(right)):
            raise wrong_option(OPTION, "Boolean compares with eq and ne alone")
        compared = self.visit(node.comparator)(*self._pair(left, right))
        return sa.func.coalesce(compared, sa.false()) if self._exact else compared

    def _pair(self, left: ast._Node, right: ast._Node) -> tuple[Any, Any]:
        """Both sides; a date beside a moment is its first one."""
        kinds = (self.kind(left), self.kind(right))
        sides = [self._exactly(left), self._exactly(right)]
        if "Guid" in kinds and kinds != ("Guid", "Guid"):
            sides = [sa.literal(side.value.lower()) if kind == "String" else side
                     for side, kind in zip(sides, kinds, strict=True)]  # fmt: skip
        if set(kinds) == set(_DAY):
            place = kinds.index("Date")
            node = (left, right)[place]
            if not isinstance(node, ast.Date):
                raise wrong_option(OPTION, "Date does not compare with DateTimeOffset: use date(…)")
            sides[place] = sa.literal(dt.datetime.combine(_value(node), dt.time()))
        return sides[0], sides[1]

    def _equal(self, left: ast._Node, right: ast._Node, wanted: bool) -> Any:
        if "Null" in (self.kind(left), self.kind(right)):
            value = self._exactly(left if isinstance(right, ast.Null) else right)
            if isinstance(left, ast.Null) and isinstance(right, ast.Null):
                return sa.true() if wanted else sa.false()
            return value.is_(None) if wanted else value.is_not(None)
        one, other = self._pair(left, right)
        if not wanted:
            return one.is_distinct_from(other)
        if isinstance(left, ast._Literal) or isinstance(right, ast._Literal):
            same = one == other  # such a comparison finds its way by an index
            return sa.func.coalesce(same, sa.false()) if self._exact else same
        return one.is_not_distinct_from(other)

    def _among(self, node: ast.Compare) -> Any:
        assert isinstance(node.right, ast.List)
        for item in node.right.val:
            if not isinstance(item, ast._Literal):
                raise not_supported(OPTION, "a list of other than plain values")
            self._check_alike(node.left, item)
        if isinstance(node.left, ast._Literal):
            raise not_supported(OPTION, "`in` of other than a property")
        some = [item for item in node.right.val if not isinstance(item, ast.Null)]
        field = self.visit(node.left)
        found = field.in_([self._pair(node.left, item)[1].value for item in some])
        if len(some) < len(node.right.val):
            return sa.or_(field.is_(None), found)
        return sa.func.coalesce(found, sa.false()) if self._exact else found

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        """`and`, `or`."""
        parts = _joined(node)
        for part in parts:
            if self.kind(part) not in ("Boolean", "Null"):
                raise wrong_option(OPTION, f"and, or join conditions, not {self.kind(part)}")
        join: Callable[..., Any] = sa.and_ if isinstance(node.op, ast.And) else sa.or_
        return join(*(self.visit(part) for part in parts))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        """`not`, and the minus."""
        kind = self.kind(node.operand)
        if not isinstance(node.op, ast.Not):
            if kind not in _NUMBER:
                raise wrong_option(OPTION, f"minus takes a number, not {kind}")
            return -self.visit(node.operand)
        if kind != "Boolean":
            raise wrong_option(OPTION, f"not takes a condition, not {kind}")
        return sa.not_(self._exactly(node.operand))

    def _exactly(self, node: ast._Node) -> Any:
        outer, self._exact = self._exact, True
        value = self.visit(node)
        self._exact = outer
        return value

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """Arithmetic; whole numbers divide to whole ones, and by zero to null."""
        kind = self._kind_of_sum(node)
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Div):
            if kind == "Number":
                return left / sa.func.nullif(right, 0)
            whole, by = sa.cast(left, sa.BigInteger), sa.func.nullif(sa.cast(right, sa.BigInteger), 0)
            return whole.op("/", return_type=sa.BigInteger())(by)  # both databases cut the rest off
        if isinstance(node.op, ast.Mod):
            if kind != "Integer":
                raise not_supported(OPTION, "mod of other than whole numbers")
            return left % sa.func.nullif(right, 0)
        return self.visit(node.op)(left, right)

    def visit_Call(self, node: ast.Call) -> Any:
        """A function, its arguments checked."""
        self._kind_of_call(node)
        return super().visit_Call(node)

    def visit_Integer(self, node: ast.Integer) -> Any:
        """A whole number; one that no column can hold is compared as a float."""
        value = int(node.val)
        return sa.literal(value) if -(2**63) <= value < 2**63 else self.visit_Float(node)

    def visit_Float(self, node: ast.Float | ast.Integer) -> Any:
        """A number."""
        value = float(node.val)
        if not math.isfinite(value):
            raise wrong_option(OPTION, f"{node.val} is beyond the range of numbers")
        return sa.literal(value)

    def visit_Boolean(self, node: ast.Boolean) -> Any:
        """True or false, in any case of letters."""
        return sa.true() if node.py_val else sa.false()

    def visit_GUID(self, node: ast.GUID) -> Any:
        """As they are stored."""
        return sa.literal(node.val.lower())

    def visit_Date(self, node: ast.Date) -> Any:
        """A date."""
        return sa.literal(_value(node))

    def visit_DateTime(self, node: ast.DateTime) -> Any:
        """A moment as they are stored: UTC without a zone."""
        return sa.literal(_value(node))

    def func_contains(self, field: ast._Node, substr: ast._Node) -> Any:
        """Whether a text is within another; capitals matter."""
        return self._place(field, substr) > 0

    def func_startswith(self, field: ast._Node, substr: ast._Node) -> Any:
        """Whether a text begins with another."""
        return self._place(field, substr) == 1

    def func_endswith(self, field: ast._Node, substr: ast._Node) -> Any:
        """Whether a text ends with another."""
        text, end = self.visit(field), self.visit(substr)
        start = sa.func.length(text) - sa.func.length(end) + 1
        return sa.and_(start > 0, sa.func.substr(text, start) == end)

    def func_indexof(self, first: ast._Node, second: ast._Node) -> Any:
        """Where a text is within another, 0 first; -1: nowhere."""
        return self._place(first, second) - 1

    def _place(self, whole: ast._Node, part: ast._Node) -> Any:
        return Place(self.visit(whole), self.visit(part))

    def func_concat(self, *args: ast._Node) -> Any:
        """One text after the other."""
        first, second = (self.visit(one) for one in args)
        return sa.cast(first, sa.Text).concat(second)

    def func_floor(self, field: ast._Node) -> Any:
        """The whole number below."""
        value = self.visit(field)
        return sa.case((value.is_(None), None), else_=sa.func.floor(value))  # SQLAlchemy's own for SQLite fails on null

    def func_ceiling(self, field: ast._Node) -> Any:
        """The whole number above."""
        value = self.visit(field)
        return sa.case((value.is_(None), None), else_=-sa.func.floor(-value))

    def func_date(self, field: ast._Node) -> Any:
        """The day of a moment."""
        return sa.func.date(self.visit(field), type_=sa.Date)

    def func_now(self) -> Any:
        """This moment."""
        return sa.literal(now())


def _full(node: ast.Identifier) -> str:
    return ".".join((*node.namespace, node.name))


def _value(node: ast.Date | ast.DateTime) -> Any:
    try:
        value = node.py_val
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise wrong_option(OPTION, f"{node.val} is no {LITERALS[type(node)]}") from error
    return value
