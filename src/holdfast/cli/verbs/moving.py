"""`holdfast switchover`, `drain`, `restart`: what moves work or processes, by plan."""

import click

from holdfast.agent.protocol import DrainRequest, RestartRequest, SwitchoverRequest
from holdfast.cli.commanding import Span, Wish, command, wish_options
from holdfast.model.time import HOUR, SECOND, Duration


@click.command()
@click.argument("service")
@click.option("--to", metavar="MEMBER", help="The member to move to.  [default: the best candidate]")
@click.option(
    "--open-transactions",
    type=Span(HOUR),
    help="PostgreSQL: how long those that are open may take to end; 0s: none.  [default: as the file says]",
)
@wish_options(timeout="60s")
def switchover(service: str, to: str | None, open_transactions: Duration | None, wish: Wish) -> None:
    """Move a service to another member, by plan.

    Nothing acknowledged is lost: the old member gives up its role before the new one takes it. Clients
    see a short gap, as long as the role change takes. Refused (exit 5) with a reason for each candidate
    when nobody can take over. To empty a member for maintenance use `holdfast drain`; when a member
    has failed there is nothing to do, failover is automatic. With --open-transactions longer than
    --timeout it may still go on when this command ends with exit 7.

    \b
    Examples:
      holdfast switchover db
      holdfast switchover db --to db-2 --reason "h1 gets new disks"
      holdfast switchover db --open-transactions 30s
      holdfast switchover db --dry-run
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    within_s = None if open_transactions is None else open_transactions / SECOND
    command(
        lambda wait_s: SwitchoverRequest(
            service=service, to=to, open_transactions_s=within_s, **wish.fields(wait_s)
        ),
        wish,
    )


@click.command()
@click.argument("component", metavar="SERVICE/MEMBER")
@click.option("--force", is_flag=True, help="Even if it is the last member that can serve: an outage.")
@wish_options(timeout="60s")
def drain(component: str, wish: Wish, *, force: bool) -> None:
    """Take new work away from a member.

    Its sessions may end by themselves until traffic.drain_timeout; then they are cut. A primary hands
    its role over first. The process goes on running and is still watched. Until `holdfast resume
    SERVICE/MEMBER` it takes no work: redundancy is lower by one. Refused (exit 5) for the last member that
    can serve. To move a service without emptying a member use `holdfast switchover`.

    \b
    Examples:
      holdfast drain web/web-1 --reason "kernel update"
      holdfast drain web/web-1 --dry-run
      holdfast resume web/web-1
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    command(lambda wait_s: DrainRequest(component=component, force=force, **wish.fields(wait_s)), wish)


@click.command()
@click.argument("target", metavar="SERVICE|SERVICE/MEMBER")
@wish_options(timeout="5m")
def restart(target: str, wish: Wish) -> None:
    """Restart a service or a member, one at a time.

    Each member is drained, stopped and started, and the next waits until it is up: a service with two
    members or more stays reachable. A primary hands its role over first. A member whose restarts were
    spent gets a new budget. On several hosts it is of the members on the asked host (`--host` names
    another). For a changed file use `holdfast reload`: it restarts only what has to be.

    \b
    Examples:
      holdfast restart web
      holdfast restart web/web-1 --no-wait
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    command(lambda wait_s: RestartRequest(target=target, **wish.fields(wait_s)), wish)
