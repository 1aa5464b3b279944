"""The picture of a forecast: history, last year, the expected path and its prediction intervals.

The palettes and the template here are also those of the report. plotly is imported only when a figure is drawn.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.words import axis_label, digits_for, finding, interval_levels, last_year, number, period_noun

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from forecast import Forecast

FONT = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif'

# The same tokens in both palettes, each colour once per palette: the report swaps one for the other by value.
LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "ink": "#1d2730",
    "muted": "#56626d",
    "rule": "#e4e8eb",
    "history": "#3b4650",
    "last_year": "#8a949d",
    "accent": "#0f6a83",
    "fan_inner": "rgba(15,106,131,0.26)",
    "fan_outer": "rgba(15,106,131,0.12)",
    "texture": "rgba(255,255,255,0.32)",
    "driver_1": "#2f86a6",
    "driver_2": "#c98a1b",
    "driver_3": "#7b62ad",
    "driver_4": "#b4533a",
    "driver_5": "#5d8a3c",
    "driver_6": "#c06292",
    "driver_rest": "#98a2ab",
}
DARK: Mapping[str, str] = {
    "paper": "#182028",
    "ink": "#e8edf1",
    "muted": "#a7b2bc",
    "rule": "#2c3742",
    "history": "#c6d0d8",
    "last_year": "#7d8994",
    "accent": "#62c1dc",
    "fan_inner": "rgba(98,193,220,0.30)",
    "fan_outer": "rgba(98,193,220,0.14)",
    "texture": "rgba(24,32,40,0.32)",
    "driver_1": "#54a9c8",
    "driver_2": "#e0aa4a",
    "driver_3": "#a28bd3",
    "driver_4": "#dd7d63",
    "driver_5": "#8cb868",
    "driver_6": "#dd8fb5",
    "driver_rest": "#707c87",
}

# Periods of history in the opening view; the rest is there to scroll to.
_VIEW = {"D": 91, "W": 52, "M": 24, "Q": 12}


def template(palette: Mapping[str, str] = LIGHT) -> dict[str, Any]:
    """The plotly template of every Groundswell chart, as a plain dictionary."""
    axis = {
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "linecolor": palette["rule"],
        "gridcolor": palette["rule"],
        "tickfont": {"color": palette["muted"], "size": 12},
        "title": {"font": {"color": palette["muted"], "size": 12}},
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": palette["ink"]},
            "paper_bgcolor": palette["paper"],
            "plot_bgcolor": palette["paper"],
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
            "title": {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 14}},
            "hovermode": "x unified",
            "hoverlabel": {"bgcolor": palette["paper"], "bordercolor": palette["rule"], "font": {"size": 12}},
            "legend": {"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top", "font": {"size": 12}},
            "xaxis": axis | {"ticks": "outside", "ticklen": 4, "tickcolor": palette["rule"], "nticks": 8},
            "yaxis": axis | {"showgrid": True, "separatethousands": True, "exponentformat": "none", "nticks": 6},
            "barcornerradius": 2,
        }
    }


def figure(forecast: Forecast, names: Mapping[str, str] | None = None) -> Figure:
    """The fan chart of a forecast, with its finding as the title.

    Args:
        forecast: What to draw; the history it holds is drawn whole, and the view opens on the last year.
        names: Titles of signals by id, for the finding.
    """
    import plotly.graph_objects as go

    frame = forecast.to_frame()
    traces = _last_year_line(forecast, frame) + _fans(forecast, frame)
    traces += [_history_line(forecast), *_forecast_lines(forecast, frame)]
    title = textwrap.wrap(finding(forecast, names), 84)
    return go.Figure({"data": traces, "layout": _layout(forecast, frame, title)})


def _layout(forecast: Forecast, frame: pd.DataFrame, title: list[str]) -> dict[str, Any]:
    view = forecast.history.tail(max(_VIEW[forecast.frequency[0]], 2 * len(frame)))
    shown = pd.concat([view["ds"], frame["ds"]], ignore_index=True)
    step = shown.iloc[-1] - shown.iloc[-2] if len(shown) > 1 else pd.Timedelta(days=1)
    return {
        "template": template(),
        "title": {"text": "<br>".join(map(html.escape, title)), "font": {"size": 16}},
        "margin": {"t": 44 + 21 * len(title)},
        "height": 440,
        "xaxis": {"range": [shown.iloc[0], shown.iloc[-1] + step / 2], "tickformat": _ticks(forecast)},
        "yaxis": {"range": _value_range(forecast, view, frame)},
        "annotations": [_unit_label(forecast)],
        "shapes": [_edge(view["ds"].iloc[-1] + (frame["ds"].iloc[0] - view["ds"].iloc[-1]) / 2)] if len(view) else [],
    }


def _edge(at: pd.Timestamp) -> dict[str, Any]:
    """The line between what is known and what is forecast."""
    line = {"color": LIGHT["last_year"], "width": 1, "dash": "dot"}
    return {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _unit_label(forecast: Forecast) -> dict[str, Any]:
    corner = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom"}
    text = html.escape(axis_label(forecast.unit, forecast.frequency))
    return {"text": text, "showarrow": False, "font": {"color": LIGHT["muted"], "size": 12}} | corner


def _ticks(forecast: Forecast) -> str:
    return "%-d %b\n%Y" if forecast.frequency[0] == "D" else "%b\n%Y"


def _value_range(forecast: Forecast, view: pd.DataFrame, frame: pd.DataFrame) -> list[float]:
    """The y range of the opening view: from zero, unless that would flatten the line."""
    shown = [
        view["y"],
        last_year(forecast.history, view["ds"], forecast.frequency),
        *(frame[c] for c in frame.columns[1:]),
    ]
    low = min(float(part.min()) for part in shown if part.notna().any())
    high = max(float(part.max()) for part in shown if part.notna().any())
    margin = 0.06 * (high - low) or 1.0
    return [0.0 if 0 <= low < 0.5 * high else low - margin, high + margin]


def _last_year_line(forecast: Forecast, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The sales of a year before under every period; no line where the history is shorter than a year."""
    ds = pd.concat([forecast.history["ds"], frame["ds"]], ignore_index=True)
    values = last_year(forecast.history, ds, forecast.frequency)
    if values.isna().all():
        return []
    line = {
        "type": "scatter",
        "name": "A year before",
        "legendrank": 1003,
        "x": ds,
        "y": values,
        "mode": "lines",
        "line": {"color": LIGHT["last_year"], "width": 1.3, "dash": "dot"},
        "hovertemplate": f"%{{y:,.{digits_for(values)}f}}",
    }
    return [line]


def _history_line(forecast: Forecast) -> dict[str, Any]:
    history = forecast.history
    return {
        "type": "scatter",
        "name": "Sales",
        "legendrank": 1001,
        "x": history["ds"],
        "y": history["y"],
        "mode": "lines",
        "line": {"color": LIGHT["history"], "width": 1.8},
        "hovertemplate": f"%{{y:,.{digits_for(history['y'])}f}}",
    }


def _fans(forecast: Forecast, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One closed band a level, the widest first; each opens from the last known sale."""
    start = forecast.history[["ds", "y"]].dropna().tail(1)
    levels = interval_levels(frame)
    bands = []
    for level in reversed(levels):
        low, high = frame[f"lo-{level}"], frame[f"hi-{level}"]
        bands.append(
            {
                "type": "scatter",
                "name": f"{level} % range",
                "x": pd.concat([start["ds"], frame["ds"], frame["ds"][::-1]]),
                "y": pd.concat([start["y"], high, low[::-1]]),
                "legendrank": 1100 - float(level),
                "fill": "toself",
                "fillcolor": LIGHT["fan_inner" if level == levels[0] else "fan_outer"],
                "mode": "none",
                "hoverinfo": "skip",
            }
        )
    return bands


def _forecast_lines(forecast: Forecast, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The expected path; periods that were already over at the origin are marked as nowcast."""
    digits = digits_for(frame["mean"])
    line = {
        "type": "scatter",
        "name": "Forecast",
        "legendrank": 1002,
        "x": frame["ds"],
        "y": frame["mean"],
        "mode": "lines+markers",
        "line": {"color": LIGHT["accent"], "width": 2.4},
        "marker": {"size": 5, "color": LIGHT["accent"]},
        "text": [_hover(row, interval_levels(frame), digits) for row in frame.to_dict("records")],
        "hovertemplate": "%{text}",
    }
    nowcast = frame[[kind == "nowcast" for kind in forecast.kinds]]
    if nowcast.empty:
        return [line]
    marks = {
        "type": "scatter",
        "legendrank": 1002,
        "name": "Nowcast",
        "x": nowcast["ds"],
        "y": nowcast["mean"],
        "mode": "markers",
        "marker": {
            "symbol": "diamond",
            "size": 9,
            "color": LIGHT["paper"],
            "line": {"color": LIGHT["accent"], "width": 2},
        },
        "hovertemplate": f"this {period_noun(forecast.frequency)} is over, its sales are not in yet",
    }
    return [line, marks]


def _hover(row: Mapping[Hashable, Any], levels: list[str], digits: int) -> str:
    ranges = "".join(
        f"<br>{level} %: {number(row[f'lo-{level}'], digits)} to {number(row[f'hi-{level}'], digits)}"
        for level in levels
    )
    return f"{number(row['mean'], digits)}, median {number(row['median'], digits)}{ranges}"
