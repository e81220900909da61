"""`holdfast apply` and `policies`: the file that all hosts share, sent, followed, and gone back from."""

import time
from pathlib import Path

import click

from holdfast.agent.client import ControlClient
from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.protocol import AppliedPolicy, ApplyRequest, ClusterRequest, PoliciesRequest
from holdfast.cli.asking import asking
from holdfast.cli.commanding import Span
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_to_share
from holdfast.cli.offering import RELOAD, Shared, confirm, differences, shared_now
from holdfast.cli.painting import Paint, terminal_paint
from holdfast.cli.place import FILES, agent_options, find_file, place, usual_file
from holdfast.cli.printing import print_json
from holdfast.cli.rendering_plan import plan_text
from holdfast.cli.rolling_out import RollOut, roll_out
from holdfast.cli.table import Row, table
from holdfast.config.planning import Plan
from holdfast.coordination.recipes.shared_policy import PolicyRevision
from holdfast.model.time import HOUR, SECOND, Duration, show_duration
from holdfast.model.value import Value

_LOOK_EVERY_S = 0.2


class _Offer(Value, frozen=True):
    """What is to be shared."""

    text: str
    what: str
    folder: str  # where relative paths start, for telling the differences


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option(
    "--rollback",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=0,
    metavar="[N]",
    help="Go back to policy N.  [without N: the newest that differs from the present one]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Required when stdin is not a terminal.")
@click.option(
    "--wait",
    type=Span(HOUR),
    default="60s",
    show_default=True,
    help="Wait so long until all hosts run it: exit 7. 0s: do not wait.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@agent_options
def apply(
    path: Path | None, *, rollback: int | None, dry_run: bool, yes: bool, wait: Duration, as_json: bool
) -> None:
    """Share a file with all hosts, or go back to an earlier one.

    Every mistake is named first, and what the file changes against the one in force. Then it is put into
    the coordinator, signed, unless somebody has shared another one meanwhile (exit 5). The hosts take it
    over one after the other, each once the one before it runs it well: a file that breaks a service
    breaks it on one host. A host without a session takes it over when it is back. Needs admin access.
    From the first time on the agents use the shared file instead of their own. On a single host use
    `holdfast reload`.

    \b
    Examples:
      holdfast apply
      holdfast apply new.yaml --dry-run
      holdfast apply --yes --wait 5m
      holdfast apply --rollback
      holdfast apply --rollback 3
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if path is not None and rollback is not None:
        raise click.UsageError("--rollback goes back to what was shared before: it takes no FILE")
    offer = _from_file(path) if rollback is None else None
    with asking() as agent:
        shared = shared_now(agent)
        offer = offer or _from_history(shared, rollback or 0)
        plan = differences(shared, offer.text, Path(offer.folder))
        checked = agent.ask(ApplyRequest(text=offer.text, expect=shared.number, dry_run=True), AppliedPolicy)
    is_there = bool(shared.history) and shared.history[0].text == offer.text
    if not as_json:
        click.echo(_told(plan, shared, terminal_paint()), nl=False)
    if dry_run:
        _say_what_would_be(offer, plan, checked, is_there=is_there, as_json=as_json)
        return
    if not yes and not is_there:
        confirm(f"Share {offer.what} with all hosts?")
    with asking() as agent:
        applied = _send(agent, offer, shared, is_there=is_there)
        if not as_json:
            click.echo(f"policy {applied.number}, revision {applied.revision}: {_SAID[is_there]}")
        progress = _follow(agent, applied, wait / SECOND, is_quiet=as_json)
    if as_json:
        print_json({"applied": applied, "plan": plan, "hosts": progress.hosts, "done": progress.is_done})
    _end(applied, progress, wait)


_SAID = {True: "it is shared already", False: "it is shared with all hosts"}


def _from_file(path: Path | None) -> _Offer:
    file = find_file(path)
    text, policy = load_to_share(file)
    if policy.cluster is None:
        raise Trouble(f"{file} has one host only, and nobody to share it with", ExitCode.USAGE, hint=RELOAD)
    return _Offer(text, str(file), str(file.absolute().parent))


def _from_history(shared: Shared, number: int) -> _Offer:
    chosen = shared.revision(number)
    # The folder matters for relative paths only: for the differences any will do, if it is the same for both.
    file = place().file or usual_file() or FILES[-1]
    what = f"the text of policy {chosen.number} by {chosen.by} again"
    return _Offer(chosen.text, what, str(file.absolute().parent))


def _told(plan: Plan | str, shared: Shared, paint: Paint) -> str:
    return f"{plan}\n" if isinstance(plan, str) else plan_text(plan, shared.name, paint)


def _say_what_would_be(
    offer: _Offer, plan: Plan | str, checked: AppliedPolicy, *, is_there: bool, as_json: bool
) -> None:
    if as_json:
        print_json({"applied": checked, "plan": plan, "hosts": [], "done": False})
        return
    would = "is what is shared already" if is_there else f"would be shared, as revision {checked.revision}"
    click.echo(f"\n{offer.what} {would}; nothing was changed")


def _send(agent: ControlClient, offer: _Offer, shared: Shared, *, is_there: bool) -> AppliedPolicy:
    if is_there:
        newest = shared.history[0]
        return AppliedPolicy(newest.number, newest.revision, newest.by)
    return agent.ask(ApplyRequest(text=offer.text, expect=shared.number), AppliedPolicy)


def _follow(agent: ControlClient, applied: AppliedPolicy, within_s: float, *, is_quiet: bool) -> RollOut:
    """Follow the file from host to host until all have it, or the time is over; say what changes."""
    give_up_at = time.monotonic() + within_s
    told: dict[str, str] = {}
    while True:
        progress = roll_out(agent.ask(ClusterRequest(), ClusterStatus), applied.revision)
        for one in progress.hosts:
            if not is_quiet and within_s and told.get(one.host) != one.text:
                click.echo(f"  {one.host} {one.text}")
            told[one.host] = one.text
        if progress.is_done or time.monotonic() >= give_up_at:
            return progress
        time.sleep(_LOOK_EVERY_S)


def _end(applied: AppliedPolicy, progress: RollOut, wait: Duration) -> None:
    if progress.is_done or not wait:
        return
    message = f"policy {applied.number} is shared, but not all hosts run it after {show_duration(wait)}"
    waiting = [f"{one.host} {one.text}" for one in progress.waiting]
    raise Trouble(
        message, ExitCode.TIMED_OUT, hint="\n".join([*waiting, "`holdfast hosts` shows how it goes on"])
    )


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the texts.")
@agent_options
@click.pass_context
def policies(context: click.Context, *, as_json: bool) -> None:
    """List the files that were shared with `holdfast apply`.

    The newest first, with number, revision and who shared it; the last twenty are kept. Needs admin access: a
    file says which commands are run, as whom. To go back to one use `holdfast apply --rollback`.

    \b
    Examples:
      holdfast policies
      holdfast policies show 3 | diff - holdfast.yaml
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if context.invoked_subcommand is not None:
        return
    history, cluster = _history()
    if as_json:
        print_json(history)
        return
    if not history:
        click.echo("no file was shared yet: each host has its own; `holdfast apply` shares one")
        return
    click.echo("\n".join(policies_table(history, cluster, terminal_paint())))


@policies.command()
@click.argument("number", type=click.IntRange(min=1))
@agent_options
def show(number: int) -> None:
    """Print the text of one of them.

    \b
    Example:
      holdfast policies show 3 > holdfast.yaml
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    history, _ = _history()
    found = next((one for one in history if one.number == number), None)
    if found is None:
        known = ", ".join(str(one.number) for one in history) or "none"
        raise Trouble(f"there is no policy {number}", ExitCode.USAGE, hint=f"those that are kept: {known}")
    click.echo(found.text, nl=False)


def policies_table(history: tuple[PolicyRevision, ...], cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return the list; the newest is the one that is shared now."""
    rows: list[Row] = []
    for place_, one in enumerate(history):
        runs = [host.name for host in cluster.hosts if host.revision == one.revision]
        # The same text may be there under several numbers: hosts run the newest of them.
        first = not any(other.revision == one.revision for other in history[:place_])
        rows.append(
            (
                " *" if place_ == 0 else "",
                str(one.number),
                one.revision,
                one.by,
                ", ".join(runs) if first else "",
            )
        )
    return table(("", "NUMBER", "REVISION", "BY", "RUN BY"), rows, paint)


def _history() -> tuple[tuple[PolicyRevision, ...], ClusterStatus]:
    with asking() as agent:
        history = agent.ask(PoliciesRequest(), tuple[PolicyRevision, ...])
        return history, agent.ask(ClusterRequest(), ClusterStatus)
