"""`doctor`, `backup`, `restore` and `tidy`: what a home needs to live long."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.commands import common

if TYPE_CHECKING:
    from api.settings import Settings


@click.command("doctor")
@click.option("--mend", is_flag=True, help="Mend what can be mended; what is replaced moves to `aside/` in the home.")
@common.as_json
@click.pass_context
def doctor_command(ctx: click.Context, mend: bool, as_json: bool) -> None:
    """Look whether a home is sound: store, snapshots, inbox, ledger, jobs, keys, disk, settings.

    Exit code 0 where no problem is left, 1 where one is. While `groundswell serve` runs the store itself is not
    looked at.
    """
    from api.doctor import Finding, examine

    settings, ignored, trouble = _settings(ctx)
    findings = [Finding("settings", "warning", f"{name} is set, but no setting has this name") for name in ignored]
    if trouble:
        findings.append(Finding("settings", "problem", trouble, "mend it, or take it out"))
    findings += examine(settings, mend)
    problems = sum(finding.state == "problem" for finding in findings)
    if as_json:
        told = {"home": str(settings.home), "problems": problems}
        common.write_json(told | {"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            remedy = f" → {finding.remedy}" if finding.remedy else ""
            click.echo(f"{finding.state:8} {finding.check:11} {finding.message}{remedy}")
        click.echo(f"\n{problems} problems in {settings.home}" if problems else f"\n{settings.home} is well")
    if problems:
        ctx.exit(1)


def _settings(ctx: click.Context) -> tuple[Settings, tuple[str, ...], str]:
    """The settings, variables that are none, and what is wrong with them: then those of the defaults."""
    from api.settings import DEFAULT_HOME, SettingError, Settings, load_settings

    try:
        settings, origin = load_settings(home=ctx.find_root().obj)
    except SettingError as error:
        home = ctx.find_root().obj or DEFAULT_HOME
        return Settings.model_construct(home=home), (), str(error)
    return settings, origin.ignored, ""


@click.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@common.as_json
@click.pass_context
def backup_command(ctx: click.Context, target: Path, as_json: bool) -> None:
    """Write all of a home to the file TARGET, or under a name of its own into the directory TARGET.

    May run while `groundswell serve` does. It holds digests of API keys, and secrets that groundswell.toml names.
    """
    from api.backup import back_up

    file, told = back_up(common.settings_of(ctx), target)
    if told.database == "external":
        common.note("note: the database at database_url is not in it: back it up with its own tools, before this")
    if as_json:
        common.write_json({"file": str(file), **asdict(told)})
    else:
        click.echo(f"{file}: {told.files:,} files, {told.bytes / 1e6:,.1f} MB, data version {told.data_version}")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common.as_json
@click.pass_context
def restore_command(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Make a new home, at --home, from a backup; each file is compared with its hash first."""
    from api.backup import restore
    from api.settings import load_settings

    home = ctx.find_root().obj or load_settings()[0].home
    told = restore(file, home)
    if as_json:
        common.write_json({"home": str(home), **asdict(told)})
    else:
        click.echo(f"{home}: {told.files:,} files, data version {told.data_version}, as of {told.made}")


@click.command("tidy")
@common.as_json
@click.pass_context
def tidy_command(ctx: click.Context, as_json: bool) -> None:
    """Remove what is no longer kept (settings keep_jobs_days and the like), as `serve` does once an hour."""
    from api.retention import tidy

    removed = tidy(common.settings_there(ctx))
    if as_json:
        common.write_json(asdict(removed))
    else:
        click.echo(f"removed {removed}")


COMMANDS = (doctor_command, backup_command, restore_command, tidy_command)
