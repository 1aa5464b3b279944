"""`categories` and `settings`: what is there."""

from __future__ import annotations

import click

from api.commands import common


@click.command("categories")
@common.as_json
@click.pass_context
def categories_command(ctx: click.Context, as_json: bool) -> None:
    """List the categories of the store."""
    frame = common.open_newest(ctx).categories().sort_values("category")
    rows = [{**row, "start": common.day(row["start"]), "end": common.day(row["end"])} for row in common.records(frame)]
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


COMMANDS = (categories_command, settings_command)
