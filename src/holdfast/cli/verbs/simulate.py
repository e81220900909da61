"""`holdfast simulate`: faults on virtual time, decided by the real core."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from holdfast.cli.commanding import Span
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import find_file, place_options
from holdfast.model.policy import Policy
from holdfast.model.time import DAY, Duration


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--kill", multiple=True, metavar="SERVICE/MEMBER", help="Its process dies.  [repeatable]")
@click.option("--hang", multiple=True, metavar="SERVICE/MEMBER", help="Its process hangs.  [repeatable]")
@click.option("--at", type=Span(DAY), default="5s", show_default=True, help="When the first fault strikes.")
@click.option("--apart", type=Span(DAY), default="0s", show_default=True, help="Time between two faults.")
@click.option("--until", type=Span(DAY), default="60s", show_default=True, help="How long to play on.")
@click.option(
    "--seeds", type=click.IntRange(1, 1_000_000), help="Instead: so many runs with random faults, checked."
)
@place_options
def simulate(
    path: Path | None,
    *,
    kill: tuple[str, ...],
    hang: tuple[str, ...],
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
    if seeds is not None and (kill or hang):
        raise click.UsageError("--seeds draws its own faults: leave out --kill and --hang")
    if seeds is None and not kill and not hang:
        raise click.UsageError("say what fails: --kill SERVICE/MEMBER, --hang SERVICE/MEMBER, or --seeds N")
    policy = load_policy(find_file(path))
    faults = _faults(policy, kill, hang, at, apart)
    simulator = _simulator()
    if seeds is not None:
        _search(simulator, policy, seeds)
        return
    for line in simulator.what_if(policy, faults, until):
        click.echo(line)


def _faults(
    policy: Policy, kill: tuple[str, ...], hang: tuple[str, ...], at: Duration, apart: Duration
) -> tuple[tuple[str, str, Duration], ...]:
    known = [component for service in policy.services.values() for component in service.components]
    wanted = [("kill", component) for component in kill] + [("hang", component) for component in hang]
    for _, component in wanted:
        if component not in known:
            raise Trouble(
                f"there is no component {component!r}", ExitCode.USAGE, hint=f"components: {', '.join(known)}"
            )
    return tuple((kind, component, at + number * apart) for number, (kind, component) in enumerate(wanted))


def _search(simulator: ModuleType, policy: Policy, seeds: int) -> None:
    failed = list(simulator.search(policy, seeds))
    for line in failed:
        click.echo(line)
    click.echo(f"{seeds} runs, {len(failed)} failed")
    if failed:
        click.get_current_context().exit(int(ExitCode.FAILED))


def _simulator() -> ModuleType:
    try:
        found = import_module("holdfast.sim")
    except ModuleNotFoundError as error:
        raise Trouble("this installation has no simulator (holdfast.sim)") from error
    if not hasattr(found, "what_if") or not hasattr(found, "search"):
        raise Trouble("the simulator of this installation (holdfast.sim) does not take files of one's own")
    return found
