"""`holdfast status`: one screen for people, one word for scripts."""

import sys

import click
import msgspec

from holdfast.agent.client import ControlClient
from holdfast.cli.asking import asking
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.painting import terminal_paint
from holdfast.cli.place import agent_options
from holdfast.cli.printing import print_json
from holdfast.cli.rendering_status import nagios_code, nagios_text, status_text
from holdfast.cli.standing import Standing, standing_of
from holdfast.cli.wall_clock import WallClock

_NAGIOS_UNKNOWN = 3
_CLEAR = "\x1b[H\x1b[J"


@click.command()
@click.option("--watch", is_flag=True, help="Stay, and draw the screen again whenever something changes.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print everything as JSON; with --watch, a line per change."
)
@click.option(
    "--nagios", is_flag=True, help="Print one line and exit with 0, 1, 2 or 3, as Nagios-style checks do."
)
@agent_options
def status(*, watch: bool, as_json: bool, nagios: bool) -> None:
    """Show how everything is, on one screen.

    Costs the agent about a millisecond. The first column tells without colour: * serves clients,
    o stands by, ~ doubted or drained, x down, ? not known, - stopped and meant to be.
    S is the health of the service or system, from 0 to 1. Of several hosts the screen has a table more, and
    members of other hosts are as their hosts tell; - stands for what only they know.

    Exits with 0 when all is well, 3 when something is degraded (also: a host does not take part), 4 when
    health is at or below its threshold, 1 when no agent answers. For why something is so, use
    `holdfast explain`; for the cluster alone, `holdfast hosts`.

    \b
    Examples:
      holdfast status
      holdfast status --watch
      holdfast status --json | jq '.services[] | {name, health, active}'
      holdfast status --nagios
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if nagios and (watch or as_json):
        raise click.UsageError("--nagios stands alone: it cannot be combined with --watch or --json")
    if nagios:
        code = _print_nagios()
    elif watch:
        try:
            code = _watch(as_json=as_json)
        except KeyboardInterrupt:  # how one leaves a watch: nothing went wrong
            code = int(ExitCode.OK)
    else:
        code = _print_once(as_json=as_json)
    click.get_current_context().exit(code)


def _print_once(*, as_json: bool) -> int:
    with asking() as agent:
        standing, problem = _look(agent)
        if as_json:
            print_json(agent.status())
        else:
            click.echo(status_text(standing, terminal_paint(), problem=problem), nl=False)
    return int(standing.verdict.exit_code)


def _print_nagios() -> int:
    try:
        with asking() as agent:
            standing, _ = _look(agent)
    except Trouble as trouble:
        click.echo(f"HOLDFAST UNKNOWN {trouble.message}")
        return _NAGIOS_UNKNOWN
    click.echo(nagios_text(standing), nl=False)
    return nagios_code(standing.verdict)


def _watch(*, as_json: bool) -> int:
    """Draw until the agent leaves or the reader does."""
    is_terminal = sys.stdout.isatty()
    # One connection tells that something changed; the screen's facts come over another.
    with asking() as changes, asking() as agent:
        for told in changes.watch():
            if as_json:
                click.echo(msgspec.json.encode(told))
                continue
            standing, problem = _look(agent)
            text = status_text(standing, terminal_paint(), problem=problem)
            click.echo((_CLEAR if is_terminal else "") + text, nl=is_terminal is False)
    click.echo("holdfast: the agent ended", err=True)
    return int(ExitCode.FAILED)


def _look(agent: ControlClient) -> tuple[Standing, str]:
    answer = agent.state()
    clock = WallClock(answer.wall_offset)
    return standing_of(answer.state, answer.now, clock, answer.cluster), answer.agent.problem
