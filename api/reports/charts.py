"""The charts of a report: plotly figures as JSON, and two small drawings in SVG that need no script."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from api.reports.items import ReportItem
from forecast.plot import DARK, LIGHT, figure, template
from forecast.words import digits_for, driver_name, number

_OWN = ("season", "trend")  # the same colour in every category; signals take the others by size
_SLOTS = 6  # drivers with a colour of their own; the rest are drawn together
_TEXTURES = ("", "/", ".", "\\", "x", "-", "|")
REST = ""  # no signal is called nothing
# Above the plot, where it grows upwards when a narrow screen breaks it into lines.
_LEGEND = {"y": 1.02, "yanchor": "bottom"}


def fan(item: ReportItem) -> dict[str, Any]:
    """The fan chart without its title and unit, which the report sets as text above it."""
    drawn = figure(item.forecast, item.signal_names)
    drawn.layout.annotations = ()
    return _portable(drawn.update_layout(title=None, margin={"t": 8}, height=380, legend=_LEGEND))


def effects(item: ReportItem) -> pd.DataFrame:
    """Contributions but the level: `ds`, season, trend, then signals by size; those beyond the colours are `REST`."""
    table = item.forecast.contributions()
    moving = table.drop(columns=["ds", "level"], errors="ignore")
    moving = moving.loc[:, (moving != 0).any()]
    ranked = moving.abs().sum().sort_values(ascending=False, kind="stable").index
    others = [driver for driver in ranked if driver not in _OWN]
    kept, small = others[: _SLOTS - len(_OWN)], others[_SLOTS - len(_OWN) :]
    rest = {REST: moving[small].sum(axis=1)} if small else {}
    return table[["ds"]].join(moving[[own for own in _OWN if own in moving] + kept]).assign(**rest)


def effect_name(driver: str, item: ReportItem) -> str:
    """What a column of `effects` is called in front of people."""
    return "other drivers" if driver == REST else driver_name(driver, item.signal_names)


def drivers(item: ReportItem) -> dict[str, Any]:
    """What moves each period away from its level: bars stacked by driver, and their sum as a line."""
    import plotly.graph_objects as go

    table = effects(item)
    moving = table.drop(columns="ds")
    digits = digits_for(moving.to_numpy().ravel())
    free = itertools.count(len(_OWN))
    slots = [_OWN.index(driver) if driver in _OWN else next(free) for driver in moving]
    names = [effect_name(str(driver), item) for driver in moving]
    traces = [
        _bars(table["ds"], moving[driver], name, slot, digits)
        for driver, name, slot in zip(moving, names, slots, strict=True)
    ]
    layout = {
        "template": template(),
        "barmode": "relative",
        "bargap": 0.45,
        "height": 300,
        "margin": {"t": 8},
        "legend": _LEGEND,
        "yaxis": {"zeroline": True, "zerolinecolor": LIGHT["muted"], "tickformat": ",~r"},
        "xaxis": {"tickformat": "%-d %b\n%Y" if item.record.frequency[0] in "DW" else "%b\n%Y"},
    }
    return _portable(go.Figure({"data": [*traces, _sum_line(table["ds"], moving, digits)], "layout": layout}))


def _bars(ds: pd.Series, values: pd.Series, name: str, slot: int, digits: int) -> dict[str, Any]:
    colour = LIGHT[f"driver_{slot + 1}"] if slot < _SLOTS else LIGHT["driver_rest"]
    texture = {"shape": _TEXTURES[slot], "fillmode": "overlay", "fgcolor": LIGHT["texture"], "size": 7, "solidity": 0.3}
    return {
        "type": "bar",
        "name": html.escape(name),
        "x": ds,
        "y": values,
        "marker": {"color": colour, "pattern": texture, "line": {"width": 0}},
        "hovertemplate": f"%{{y:+,.{digits}f}}",
    }


def _sum_line(ds: pd.Series, moving: pd.DataFrame, digits: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": "Sum",
        "x": ds,
        "y": moving.sum(axis=1),
        "mode": "lines+markers",
        "line": {"color": LIGHT["ink"], "width": 1.5},
        "marker": {"size": 6, "color": LIGHT["paper"], "line": {"color": LIGHT["ink"], "width": 1.5}},
        "hovertemplate": f"%{{y:+,.{digits}f}}",
    }


def _portable(drawn: Any) -> dict[str, Any]:
    """A figure as plain JSON without its template, which a page holds once for all."""
    parts: dict[str, Any] = json.loads(drawn.to_json())
    parts["layout"].pop("template", None)
    return parts


def page_data(charts: Mapping[str, dict[str, Any]]) -> Markup:
    """All charts of a page, the template and the colours of both schemes: JSON that is safe inside a script element."""
    data = {"template": template(), "colours": {LIGHT[token]: DARK[token] for token in LIGHT}, "charts": charts}
    text = json.dumps(data, separators=(",", ":"))
    # A "<" could end the script element, or open a comment in it.
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def sparkline(history: Sequence[float], expected: Sequence[float]) -> Markup:
    """The last year of sales and the forecast in 120 by 28 pixels; decoration, hidden from screen readers."""
    values = [*history, *expected]
    known = [value for value in values if value == value]
    low, span = min(known), (max(known) - min(known)) or 1.0
    points = [
        f"{2 + 116 * place / max(len(values) - 1, 1):.1f},{25 - 22 * (value - low) / span:.1f}"
        for place, value in enumerate(values)
        if value == value
    ]
    split = len(points) - len(expected)
    return Markup(
        '<svg class="spark" viewBox="0 0 120 28" width="120" height="28" preserveAspectRatio="none"'
        ' aria-hidden="true" focusable="false">'
        '<polyline class="past" points="{}"/><polyline class="next" points="{}"/></svg>'
    ).format(" ".join(points[:split]), " ".join(points[max(split - 1, 0) :]))


def whisker(gain: float | None, interval: tuple[float, float] | None, limit: float, *, admitted: bool) -> Markup:
    """A gain with its interval on a scale from -limit to +limit per cent; the table says the same in numbers."""
    if gain is None:
        return Markup("")
    low, high = interval if interval is not None else (gain, gain)
    left, mid, right = (_place(value, limit) for value in (low, gain, high))
    mark = (
        '<circle class="mark" cx="{0}" cy="9" r="4"/>'
        if admitted
        else '<circle class="mark hollow" cx="{0}" cy="9" r="3.5"/>'
    )
    return Markup(
        '<svg class="whisker" viewBox="0 0 120 18" width="120" height="18" aria-hidden="true" focusable="false">'
        '<line class="zero" x1="60" x2="60" y1="1" y2="17"/>'
        '<line class="range" x1="{}" x2="{}" y1="9" y2="9"/>{}</svg>'
    ).format(left, right, Markup(mark).format(mid))


def _place(value: float, limit: float) -> str:
    return number(60 + 54 * max(-1.0, min(1.0, value / limit)), 1).replace("−", "-")
