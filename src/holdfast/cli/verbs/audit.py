"""`holdfast audit`: who asked the agent for what."""

from collections import deque
from typing import TYPE_CHECKING

import click

from holdfast.cli.exits import Trouble
from holdfast.cli.painting import Tone, terminal_paint
from holdfast.cli.place import find_directory, place_options
from holdfast.cli.printing import print_json
from holdfast.cli.table import Cell, table

if TYPE_CHECKING:
    from holdfast.agent.audit import Entry


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="List so many.")
@click.option("--denied", is_flag=True, help="Only what was denied.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def audit(limit: int, *, denied: bool, as_json: bool) -> None:
    """Show who asked the agent for what, and what came of it.

    Oldest first, the newest at the end. Everything that changes something is there, over the socket or from
    another host, and everything that was denied; reading is there when it came from another host, once per
    caller and verb in ten minutes. Reads audit.jsonl in the state directory of this host and needs no
    agent. What the agent did by itself is in `holdfast explain`.

    \b
    Examples:
      holdfast audit
      holdfast audit --denied --limit 10
      holdfast audit --json | jq '.[] | select(.verb == "switchover")'
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    entries = _newest(limit, denied=denied)
    if as_json:
        print_json(entries)
        return
    rows = [_row(entry) for entry in entries]
    if not rows:
        click.echo("nothing was asked for" if not denied else "nothing was denied")
        return
    for line in table(("AT (UTC)", "WHO", "ACCESS", "VERB", "WHAT", "CAME OF IT"), rows, terminal_paint()):
        click.echo(line)


def _newest(limit: int, *, denied: bool) -> "list[Entry]":
    from holdfast.agent.audit import AUDIT, read_entries

    path = find_directory() / AUDIT
    try:
        return list(deque((one for one in read_entries(path) if not (denied and one.allowed)), limit))
    except OSError as error:
        raise Trouble(
            f"{path}: {error.strerror}", hint="only the agent's user and root can read it"
        ) from error


def _row(entry: "Entry") -> tuple[Cell | str, ...]:
    what = " ".join(f"{name}={value}" for name, value in entry.asked.items())
    result = Cell(entry.result, Tone.PLAIN if entry.allowed else Tone.BAD)
    at = entry.at.partition(".")[0].replace("T", " ")
    return (at, entry.who, entry.access or "none", entry.verb or "-", what or "-", result)
