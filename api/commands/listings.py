"""`categories`, `signals` and `settings`: what is there."""

from __future__ import annotations

from typing import Any

import click

from api.commands import common


@click.command("categories")
@common.as_json
@click.pass_context
def categories_command(ctx: click.Context, as_json: bool) -> None:
    """List the categories of the store."""
    frame = common.open_newest(ctx).categories().sort_values("category")
    rows = [{**row, "start": _day(row["start"]), "end": _day(row["end"])} for row in _records(frame)]
    if as_json:
        common.write_json(rows)
        return
    table = [
        [
            row["category"],
            row["frequency"],
            row["unit"] or "",
            f"{row['periods']:,}",
            row["start"] or "",
            row["end"] or "",
        ]
        for row in rows
    ]
    common.write_table(["category", "frequency", "unit", "periods", "from", "to before"], table, left=3)


@click.command("signals")
@click.option("--category", help="Only the candidate signals of this category.")
@common.as_json
@click.pass_context
def signals_command(ctx: click.Context, category: str | None, as_json: bool) -> None:
    """List the signals of the store."""
    snapshot = common.open_newest(ctx)
    frame = snapshot.signals().sort_values("signal")
    if category is not None:
        snapshot.category(category)  # refuses an unknown one, with near matches
        frame = frame[frame["signal"].isin(snapshot.candidates(category))]
    rows = [{**row, "first": _day(row["first"]), "last": _day(row["last"])} for row in _records(frame)]
    if as_json:
        common.write_json(rows)
        return
    table = [
        [
            row["signal"],
            row["source"] or "",
            f"{row['observations']:,}",
            row["first"] or "",
            row["last"] or "",
            "" if row["last_known_at"] is None else f"{row['last_known_at']:%Y-%m-%d %H:%M}",
        ]
        for row in rows
    ]
    common.write_table(["signal", "source", "values", "from", "to", "last known at (UTC)"], table, left=2)


@click.command("settings")
@common.as_json
@click.pass_context
def settings_command(ctx: click.Context, as_json: bool) -> None:
    """Show every setting, its value and where it was read."""
    from api.settings import load_settings

    settings, origin = load_settings(home=ctx.find_root().obj)
    values = {name: str(value) if name == "home" else value for name, value in settings}
    if as_json:
        common.write_json({name: {"value": value, "source": origin.where[name]} for name, value in values.items()})
    else:
        rows = [[name, str(value), origin.where[name]] for name, value in values.items()]
        common.write_table(["setting", "value", "source"], rows, left=3)
    for name in origin.ignored:
        common.note(f"note: the variable {name} is set, but no setting has this name")


def _records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a frame with None for whatever is missing."""
    return [
        {str(key): None if value != value else value for key, value in row.items()} for row in frame.to_dict("records")
    ]


def _day(value: Any) -> str | None:
    return None if value is None else f"{value:%Y-%m-%d}"


COMMANDS = (categories_command, signals_command, settings_command)
