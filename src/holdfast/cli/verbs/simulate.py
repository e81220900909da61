"""`holdfast simulate`: faults on virtual time, decided by the real core."""

from pathlib import Path

import click

from holdfast.cli.commanding import Span
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import find_file, place_options
from holdfast.model.policy import Policy
from holdfast.model.time import DAY, Duration, show_duration
from holdfast.sim import Fault, FaultKind, WhatIf, search, what_if


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--kill", multiple=True, metavar="SERVICE/MEMBER", help="Its process dies.  [repeatable]")
@click.option("--hang", multiple=True, metavar="SERVICE/MEMBER", help="It answers nothing.  [repeatable]")
@click.option("--freeze", multiple=True, metavar="SERVICE/MEMBER", help="A signal stops it.  [repeatable]")
@click.option("--at", type=Span(DAY), default="5s", show_default=True, help="When the first fault strikes.")
@click.option("--apart", type=Span(DAY), default="0s", show_default=True, help="Time between two faults.")
@click.option("--until", type=Span(DAY), default="60s", show_default=True, help="How long to play on.")
@click.option(
    "--seeds", type=click.IntRange(1, 1_000_000), help="Instead: so many runs with random faults, checked."
)
@place_options
def simulate(  # noqa: PLR0913 - one parameter an option
    path: Path | None,
    *,
    kill: tuple[str, ...],
    hang: tuple[str, ...],
    freeze: tuple[str, ...],
    at: Duration,
    apart: Duration,
    until: Duration,
    seeds: int | None,
) -> None:
    """Play faults through on virtual time; nothing real is touched.

    The core that would decide in production decides here, on your own file; a minute passes in
    milliseconds. Prints the timeline. With --seeds, random faults strike and every run is checked: never
    two primaries, and back to full redundancy when the faults end; a run that fails is named by its seed.
    For real faults on real processes use `holdfast demo`.

    \b
    Examples:
      holdfast simulate --kill web/web-1 --at 5s
      holdfast simulate new.yaml --hang web/web-1 --kill web/web-2 --apart 2s
      holdfast simulate --seeds 200
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    struck = [
        *((FaultKind.CRASH, component) for component in kill),
        *((FaultKind.HANG, component) for component in hang),
        *((FaultKind.FREEZE, component) for component in freeze),
    ]
    if seeds is not None and struck:
        raise click.UsageError("--seeds draws its own faults: leave out --kill, --hang and --freeze")
    if seeds is None and not struck:
        raise click.UsageError("say what fails: --kill, --hang or --freeze SERVICE/MEMBER, or --seeds N")
    policy = load_policy(find_file(path))
    if seeds is not None:
        _search(policy, seeds)
        return
    faults = tuple(
        Fault(kind, at + number * apart, _known(policy, component), lasts=until)
        for number, (kind, component) in enumerate(struck)
    )
    _tell(what_if(policy, faults, until))


def _known(policy: Policy, component: str) -> str:
    known = [component for service in policy.services.values() for component in service.components]
    if component not in known:
        raise Trouble(
            f"there is no component {component!r}", ExitCode.USAGE, hint=f"components: {', '.join(known)}"
        )
    return component


def _tell(outcome: WhatIf) -> None:
    for line in outcome.lines:
        click.echo(line)
    for incident in outcome.incidents:
        cost = f"outage {show_duration(incident.outage)}" if incident.outage else "no outage"
        if incident.closed_at is None:
            cost += ", redundancy not back"
        else:
            cost += f", redundancy back after {show_duration(incident.closed_at - incident.fault_at)}"
        cause = incident.cause.code if incident.cause else "unknown"
        click.echo(f"{incident.id} {incident.service}: {cause}; {cost}; S min {incident.health_min:.2f}")
    click.echo(f"S = {outcome.health:.2f} at the end, lowest {outcome.health_min:.2f}")


def _search(policy: Policy, seeds: int) -> None:
    result = search(policy, seeds)
    for line in result.lines:
        click.echo(line)
    click.echo(f"{seeds} runs, {len(result.failed)} failed")
    if result.failed:
        click.get_current_context().exit(int(ExitCode.FAILED))
