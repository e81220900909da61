"""`holdfast incidents`: what went wrong, how long it took, what it cost."""

import click

from holdfast.agent import clock as host_clock
from holdfast.cli import facts
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.painting import terminal_paint
from holdfast.cli.place import agent_options
from holdfast.cli.printing import print_json
from holdfast.cli.rendering_incident import incident_list_text, incident_text
from holdfast.cli.rendering_postmortem import postmortem_text


@click.command()
@click.argument("incident", required=False, metavar="[INCIDENT]")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="List so many.")
@click.option("--export", type=click.Choice(["md"]), help="Print one incident as a page for a post-mortem.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@agent_options
def incidents(incident: str | None, limit: int, export: str | None, *, as_json: bool) -> None:
    """List what went wrong, what it cost, or tell one incident in full.

    DETECT is the time since the process ended or the first bad answer was asked for; what ended while
    no agent looked counts from when it was last known to run. OUTAGE is how long no member could
    serve. REDUNDANT is the time until every copy was back. Works from the journal when the agent is
    down. For why a thing is as it is now, use `holdfast explain`.

    \b
    Examples:
      holdfast incidents
      holdfast incidents i-3
      holdfast incidents i-3 --export md > post-mortem.md
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if incident is None:
        if export:
            raise click.UsageError("--export needs the incident: holdfast incidents i-3 --export md")
        _print_list(limit, as_json=as_json)
        return
    record = facts.find_incident(incident)
    if record is None:
        hint = "holdfast incidents lists those that are known"
        raise Trouble(f"there is no incident {incident}", ExitCode.USAGE, hint=hint)
    if as_json:
        print_json(record)
    elif export:
        click.echo(postmortem_text(record.incident, host_clock.now(), facts.clock_of(record)), nl=False)
    else:
        click.echo(
            incident_text(record.incident, host_clock.now(), facts.clock_of(record), terminal_paint()),
            nl=False,
        )


def _print_list(limit: int, *, as_json: bool) -> None:
    records = facts.list_incidents(limit)
    if as_json:
        print_json(records)
        return
    listed = [(record.incident, facts.clock_of(record)) for record in records]
    click.echo(incident_list_text(listed, host_clock.now(), terminal_paint()), nl=False)
