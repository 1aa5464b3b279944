"""Three small panels of how the CPU time of a retrain grows."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.graph_objects as go
from plotly.subplots import make_subplots

_WIDTH, _HEIGHT = 1000, 320
_TITLES = {"periods": "weeks of history", "signals": "signals", "horizon": "horizon, weeks"}


@dataclass(frozen=True)
class Growth:
    """Median CPU milliseconds at each size of one thing."""

    name: str
    sizes: tuple[int, ...]
    medians: tuple[float, ...]


def draw(found: list[Growth], file: Path) -> None:
    """Write the panels to a self-contained HTML file, or to a PNG by way of headless chromium."""
    figure = make_subplots(1, len(found), shared_yaxes=True, horizontal_spacing=0.03)
    for column, one in enumerate(found, start=1):
        line = go.Scatter(x=one.sizes, y=one.medians, mode="lines+markers", line_color="#1f5a7a", showlegend=False)
        figure.add_trace(line, row=1, col=column)
        figure.update_xaxes(title_text=_TITLES[one.name], rangemode="tozero", row=1, col=column)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="CPU ms, median", row=1, col=1)
    figure.update_layout(template="plotly_white", width=_WIDTH, height=_HEIGHT, margin={"t": 20, "r": 20, "b": 50})
    if file.suffix == ".png":
        _photograph(figure, file)
    else:
        figure.write_html(file, include_plotlyjs=True)
    print(f"  drawn in {file}")


def _photograph(figure: go.Figure, file: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("a PNG needs chromium on the path; name a file that ends in .html")
    with TemporaryDirectory() as folder:
        page = Path(folder) / "growth.html"
        figure.write_html(page, include_plotlyjs=True)
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={_WIDTH},{_HEIGHT + 20}"]
        command = [browser, *options, "--virtual-time-budget=3000", f"--screenshot={file.resolve()}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
