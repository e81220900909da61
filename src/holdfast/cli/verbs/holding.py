"""`holdfast pause`, `resume`, `reload`, `down`: what changes whether the agent acts at all."""

import sys

import click

from holdfast.agent.protocol import DownRequest, PauseRequest, ReloadRequest, ResumeRequest
from holdfast.cli.asking import asking
from holdfast.cli.commanding import Span, Wish, command, told, wish_options
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import agent_options, find_file, place
from holdfast.cli.printing import print_json
from holdfast.model.time import DAY, SECOND, Duration


@click.command()
@click.argument("service", required=False, metavar="[SERVICE]")
@click.option(
    "--for", "duration", type=Span(7 * DAY), required=True, help="For how long; then it ends by itself."
)
@wish_options(timeout="10s", reason="required")
def pause(service: str | None, duration: Duration, wish: Wish) -> None:
    """Have failures detected but not acted on, for a time.

    Of one service, or of the whole system; on several hosts, of the members on the asked host (`--host`
    names another). Costs you the failover: a member that dies meanwhile stays
    dead, and if it was the last one there is an outage. So it always ends by itself, at most a
    week later, and `holdfast status` shows who paused and why. To keep work away from one member use
    `holdfast drain`.

    \b
    Examples:
      holdfast pause --for 30m --reason "switch firmware update"
      holdfast pause db --for 5m --reason "manual repair"
      holdfast resume
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    for_s = duration / SECOND
    command(lambda wait_s: PauseRequest(service=service, for_s=for_s, **wish.fields(wait_s)), wish)


@click.command()
@click.argument("target", required=False, metavar="[SERVICE|SERVICE/MEMBER]")
@wish_options(timeout="10s", reason="none")
def resume(target: str | None, wish: Wish) -> None:
    """End a pause or a drain.

    Without TARGET it ends the whole system's pause; with a service, that service's own pause; with a member,
    its drain. Other pauses and drains stay: `holdfast status` shows them. What was held back meanwhile is
    acted on at once, if it is still called for.

    \b
    Examples:
      holdfast resume
      holdfast resume db
      holdfast resume web/web-1
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    command(lambda wait_s: ResumeRequest(target=target, **wish.fields(wait_s)), wish)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only check the file; `holdfast plan` says what would change.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@agent_options
def reload(*, dry_run: bool, as_json: bool) -> None:
    """Have the agent read its file again.

    Only what changed is touched; a program that has to be restarted for it is, one member at a time. A
    file with mistakes changes nothing: they are named, exit 2, and the old policy stays in force. See
    first what would happen with `holdfast plan`. On several hosts it is of the asked host only, until a
    file was shared: from then on use `holdfast apply`.

    \b
    Examples:
      holdfast plan && holdfast reload
      holdfast reload --dry-run
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if dry_run:
        if place().host is not None:
            hint = "holdfast validate checks a file that is here"
            raise Trouble("the file that would be read is on that host", ExitCode.USAGE, hint=hint)
        policy = load_policy(find_file())
        click.echo(f"the file is valid, revision {policy.revision}; nothing was changed")
        return
    with asking() as agent:
        accepted = agent.do(ReloadRequest())
    if as_json:
        print_json(accepted)
    else:
        click.echo(told(accepted))


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Required when stdin is not a terminal.")
@wish_options(timeout="2m")
def down(wish: Wish, *, yes: bool) -> None:
    """Stop every service, and the agent.

    Dependents stop before what they depend on. This is an outage, and meant to be one. On several hosts it
    is of the asked host only: what can serve on another one goes on there. To stop only
    the agent and leave the services running, end the agent: `systemctl stop holdfast`, or Ctrl-C.

    \b
    Examples:
      holdfast down
      holdfast down --yes --reason "moving house"
      holdfast down --dry-run
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if not yes and not wish.dry_run:
        if not sys.stdin.isatty():
            hint = "holdfast down --yes stops every service without asking"
            raise Trouble("down needs --yes when stdin is not a terminal", ExitCode.USAGE, hint=hint)
        click.confirm("Stop every service of this system?", abort=True)
    command(lambda wait_s: DownRequest(**wish.fields(wait_s)), wish)
