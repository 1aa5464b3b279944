"""The page in a real browser: charts are drawn, nothing is refused or fails, and it prints."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime

import pytest

from api.reports.report import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--virtual-time-budget=8000", "--window-size=1280,6000"),
)

pytestmark = [pytest.mark.heavy, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@pytest.fixture
def page(make_item, tmp_path):
    names = ("Boots", "<script>document.title='broken'</script>")
    html = build_report(
        [make_item(name) for name in names], title="Autumn", generated_at=datetime(2026, 11, 23), source_note="Note"
    )
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def browse(page, *flags):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *flags]
    return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=90, check=True)


def test_charts_are_drawn_and_the_console_stays_silent(page):
    done = browse(page, "--dump-dom")
    assert done.stdout.count('class="main-svg"') >= 4
    assert "CONSOLE" not in done.stderr
    assert "<title>Autumn</title>" in done.stdout


def test_findings_and_tables_stand_without_scripts(page):
    blocked = page.with_name("blocked.html")
    blocked.write_text(page.read_text(encoding="utf-8").replace("sha256-", "no-hash-", 2), encoding="utf-8")
    done = browse(blocked, "--dump-dom")
    assert 'class="main-svg"' not in done.stdout
    assert done.stdout.count("<td>") > 50


def test_dark_readers_get_dark_charts(page):
    done = browse(page, "--dump-dom", "--blink-settings=preferredColorScheme=0")
    assert "rgb(24, 32, 40)" in done.stdout
    assert "rgb(255, 255, 255)" not in done.stdout.split('class="plot', 1)[1]


def test_it_prints(page):
    target = page.with_suffix(".pdf")
    browse(page, f"--print-to-pdf={target}")
    assert target.read_bytes().startswith(b"%PDF")
    assert target.stat().st_size > 30_000
