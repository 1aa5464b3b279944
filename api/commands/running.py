"""`serve` and `demo`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from api.commands import common

DEMO_HOME = Path("data/home-demo")
HORIZON = 8
PARTS = ("api", "jobs", "ingest", "puller")
SIMULATED = "Simulated data: a retailer that does not exist, made by a seeded script (data/demo/simulate.py)."


@click.command("serve")
@click.option("--host", help="Address to listen on.  [default: setting host, 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: setting port, 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="API worker processes.  [default: setting workers, 2]")
@click.option("--tls-cert", help="Certificate (chain) in PEM, for HTTPS.  [default: setting tls_cert]")
@click.option("--tls-key", help="Its private key in PEM.  [default: setting tls_key]")
@click.option(
    "--insecure-no-auth", is_flag=True, help="Listen beyond this machine although nobody is asked who they are."
)
@click.option(
    "--only",
    type=click.Choice(PARTS),
    multiple=True,
    help="Run this part, once for each, where others run elsewhere over the same home.  [default: all]",
)
@click.pass_context
def serve_command(ctx: click.Context, /, insecure_no_auth: bool, only: tuple[str, ...], **flags: Any) -> None:
    """Serve the REST API, and take imports, until Ctrl-C or SIGTERM."""
    from api.serve import serve

    serve(common.settings_of(ctx, **flags), without_auth=insecure_no_auth, only=only or PARTS)


@click.command("demo")
@click.option(
    "--out",
    type=common.OutFile(),
    default=Path("report.html"),
    show_default=True,
    help="The report to write.",
)
@click.option(
    "--home",
    type=common.Home(),
    expose_value=False,
    callback=common.take_home,
    help=f"Where to load the demo.  [default: {DEMO_HOME}, whatever GROUNDSWELL_HOME says]",
)
@click.pass_context
def demo_command(ctx: click.Context, out: Path) -> None:
    """Load the demo retailer (simulated), forecast every category, write a report.

    It has a home of its own, so that it never mixes with your data; running it again changes nothing.
    """
    from api.commands.reports import report_items, write_report
    from api.reports.sentences import three_sentences
    from signals.store import open_snapshot

    home = ctx.find_root().obj or DEMO_HOME
    load_demo(home)
    snapshot = open_snapshot(home)
    names = snapshot.names()
    # The demo stands still: its moment is the one at which its last value became known, however late it is run.
    as_of = snapshot.signals()["last_known_at"].max().to_pydatetime()
    items = report_items(snapshot, names, HORIZON, as_of=as_of)
    write_report(out, items, title="The demo retailer", source_note=SIMULATED, data_version=snapshot.data_version)
    for sentence in three_sentences(items):
        click.echo(sentence)
    click.echo(f"\nReport: {out} (open it in a browser). {SIMULATED}")
    click.echo(f'Next:   groundswell --home {home} forecast "{names[0]}"')
    click.echo(f"        groundswell --home {home} serve")
    click.echo("        groundswell import sales YOUR_FILE.csv")


DEMO_TOTAL = "All sales"  # of which the demo's categories are the parts


def load_demo(home: Path) -> None:
    """Import the demo retailer's files as a user's own are imported; a second time changes nothing.

    Raises:
        Failed: the home holds other categories.
    """
    from api.known import known_categories
    from signals.sales_import import prepare_sales
    from signals.signal_import import prepare_signals
    from signals.store import submit

    sales = prepare_sales(demo_file("sales.csv"), unit="units")
    assert sales.batch.categories is not None
    if others := sorted(known_categories(home).keys() - set(sales.batch.categories["category"])):
        raise common.Failed(f"{home} holds {others[0]!r}, which is not the demo's: choose another --home")
    sales.batch.categories["parent"] = DEMO_TOTAL
    signals = prepare_signals(demo_file("signals.csv"))
    submit(home, sales.batch)
    result = submit(home, signals.batch)
    click.echo(
        f"{sales.rows:,} sales and {signals.rows:,} signal values in {home}; data version {result.data_version}\n"
    )


def demo_file(name: str) -> Path:
    """A file of the demo retailer: in the installed package, or in a checkout's `data/demo`."""
    package = Path(str(files("api")))
    packaged = package / "demo" / name
    return packaged if packaged.exists() else package.parent / "data" / "demo" / name


COMMANDS = (serve_command, demo_command)
