"""`holdfast hosts`: the cluster itself: who takes part, who leads, who holds what, and what happened of late."""

from datetime import tzinfo

import click

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.status import SystemStatus
from holdfast.cli.asking import asking
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.painting import Paint, Tone, terminal_paint
from holdfast.cli.place import agent_options
from holdfast.cli.printing import print_json
from holdfast.cli.rendering_hosts import (
    cluster_banners,
    hosts_block,
    leases_block,
    notes_block,
    placed_block,
    refused_line,
)
from holdfast.cli.wall_clock import WallClock

ONE_HOST = "the file has one host only"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@agent_options
def hosts(*, as_json: bool) -> None:
    """Show the hosts, who leads, and who holds which lease.

    As the asked host sees it: SESSION is with the coordinator, HEARD is by heartbeats, between the hosts
    directly. A revision with ! is not the one that runs on the asked host. Then who holds which lease, who should
    and why, and what the cluster did of late. For the services use `holdfast status`.

    \b
    Examples:
      holdfast hosts
      holdfast --host h2 hosts
      holdfast hosts --json | jq '.hosts[] | {name, has_session, reach}'
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    with asking() as agent:
        status = agent.status()
    if status.cluster is None:
        hint = "`holdfast status` shows it; several hosts need `cluster` and `hosts` in the file"
        raise Trouble(ONE_HOST, ExitCode.USAGE, hint=hint)
    if as_json:
        print_json(status.cluster)
        return
    click.echo("\n".join(hosts_text(status, status.cluster, terminal_paint())))


def hosts_text(
    status: SystemStatus, cluster: ClusterStatus, paint: Paint, *, zone: tzinfo | None = None
) -> list[str]:
    """Return the whole screen; times are of the reader's zone unless one is given."""
    number = f"policy {cluster.policy_number}" if cluster.policy_number else "each host has its own file"
    lines = [
        f"{paint(status.system, Tone.STRONG)}   as {cluster.me} sees it   {number}",
        *cluster_banners(cluster, paint),
        "",
        *hosts_block(cluster, paint),
        *refused_line(cluster, paint),
        "",
        paint("leases", Tone.STRONG),
        *leases_block(cluster, paint),
    ]
    if placed := placed_block(cluster, paint):
        lines += ["", paint("placed by the leader", Tone.STRONG), *placed]
    notes = notes_block(cluster, status.now, WallClock(status.wall_offset, zone), paint)
    return [*lines, "", paint("what happened, newest first", Tone.STRONG), *notes]
