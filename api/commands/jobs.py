"""`jobs`: what the service has accepted, what died, and another try at it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from api.commands import common

STATES = ("pending", "running", "succeeded", "failed", "dead", "cancelled")


@click.group("jobs")
def jobs_command() -> None:
    """List, retry and cancel what was accepted to be done later."""


@jobs_command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state; default: all.")
@click.option("--kind", help="Only those of this kind, such as forecast or run; default: all.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Newest rows to show.")
@common.as_json
@click.pass_context
def list_command(ctx: click.Context, state: Any, kind: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first, with the reason why one failed."""
    from api.job_list import listed

    settings = common.settings_there(ctx)
    found, total = listed(settings, state=state, kind=kind, key_id=None, limit=limit, offset=0)
    rows = [_row(one) | _series(settings, one) for one in found]
    if as_json:
        common.write_json(rows)
        return
    head = ["job", "kind", "state", "done", "accepted", "finished", "reason"]
    table = [
        [row["job"], row["kind"], row["state"], f"{row['done']}/{row['total']}", row["accepted"], row["finished"] or "",
         row["reason"] or ""]
        for row in rows
    ]  # fmt: skip
    common.write_table(head, table, left=len(head))
    if total > len(rows):
        common.note(f"note: {total - len(rows)} older ones are not shown (--limit)")


@jobs_command.command("totals")
@common.as_json
@click.pass_context
def totals_command(ctx: click.Context, as_json: bool) -> None:
    """Tell what became of all jobs: accepted = answered + pending + dead."""
    from api.job_list import totals

    found = totals(common.settings_there(ctx))
    if as_json:
        common.write_json(found)
        return
    common.write_table(["", "jobs"], [[name, str(value)] for name, value in found.items()])


@jobs_command.command("retry")
@click.argument("job", required=False)
@click.option("--dead", is_flag=True, help="All that are dead, instead of one JOB.")
@click.pass_context
def retry_command(ctx: click.Context, job: str | None, dead: bool) -> None:
    """Try JOB again, which has failed or is dead; what it has made is not made again."""
    from api.job_list import listed, retry
    from api.jobs import Jobs

    if (job is None) != dead:
        raise click.UsageError("name one JOB, or give --dead")
    settings = common.settings_there(ctx)
    numbers = [job] if job else []
    if dead:
        found, _ = listed(settings, state="dead", kind=None, key_id=None, limit=1_000_000, offset=0)
        numbers = [one.job for one in found]
    again = [number for number in numbers if retry(Jobs(settings), number, _audited("job retried", number))]
    if job and not again:
        raise common.Failed(f"{job} is no job that has failed or is dead; `groundswell jobs list` shows them")
    click.echo(f"tried again by `groundswell serve`: {len(again)}")


@jobs_command.command("cancel")
@click.argument("job")
@click.pass_context
def cancel_command(ctx: click.Context, job: str) -> None:
    """Cancel JOB; what it has made so far stays."""
    from api.jobs import Jobs

    if not Jobs(common.settings_there(ctx)).cancel(job, _audited("job cancelled", job)):
        raise common.Failed(f"{job} is no job that is pending or running; `groundswell jobs list` shows them")
    click.echo(f"{job} is cancelled")


def _audited(action: str, job: str) -> Any:
    """Keeps in the audit what this command does: no key is behind it."""
    from api.audit import record

    return lambda connection: record(connection, action, job)


def _row(one: Any) -> dict[str, Any]:
    import orjson

    reason = None if not one.error else orjson.loads(one.error).get("detail")
    head = {"job": one.job, "kind": one.kind, "state": one.state, "done": one.done, "total": one.total}
    return head | {name: _second(getattr(one, name)) for name in ("accepted", "finished")} | {"reason": reason}


def _series(settings: Any, one: Any) -> dict[str, int]:
    """How far a run is in series: its parts are too large to tell."""
    from api.database import engine_of
    from api.runs import KIND, counts

    if one.kind != KIND:
        return {}
    found = counts(engine_of(settings), one, settings)
    return {"done": found.made + found.failed, "total": found.asked}


def _second(moment: dt.datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


COMMANDS = (jobs_command,)
