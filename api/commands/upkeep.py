"""`doctor`: looks after a home."""

from __future__ import annotations

from dataclasses import asdict
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


COMMANDS = (doctor_command,)
