"""`holdfast fence`: trying fence devices before they are needed, and turning a host off by hand."""

import asyncio
import sys

import click

from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import find_file, place_options
from holdfast.cli.printing import print_json
from holdfast.fencing import FenceAgents
from holdfast.model.events import Ending
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy
from holdfast.model.time import show_duration
from holdfast.model.value import Value
from holdfast.ports.fencing import DeviceSeen, Fenced


class Tried(Value, frozen=True):
    """What trying the fence device of one host brought."""

    host: HostName
    device: str
    problems: tuple[str, ...]  # of its options; with any, the device was not asked
    seen: DeviceSeen | None = None

    @property
    def code(self) -> ExitCode:
        """Return how the command ends if this is the worst."""
        if self.seen is None:
            return ExitCode.USAGE
        if self.seen.is_ready:
            return ExitCode.OK
        return ExitCode.TIMED_OUT if self.seen.is_late else ExitCode.FAILED


@click.group()
def fence() -> None:
    """Try the fence devices of hosts, or turn a host off.

    A fence device makes sure that a lost host is off, so that what needs it (`needs_fencing`) may be taken
    over. The file says how: hosts.NAME.fence. The devices are asked from this machine, and no agent
    has to run.

    \b
    Examples:
      holdfast fence test
      holdfast fence off h2
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped


@fence.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def test(hosts: tuple[HostName, ...], *, as_json: bool) -> None:
    """Ask fence devices whether they would work; changes nothing.

    Of the hosts named, or of all that have one. The options are held to what the fence agent says that it
    takes; then the device is asked whether it answers and whether the host is on. Of a program of your own
    only its being there can be tried. Exits with 2 for wrong options, 1 for a device that does not answer
    or does not know the host, 7 when it took too long. Try it on each host that may have to fence another.

    \b
    Examples:
      holdfast fence test
      holdfast fence test h1 h2
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    fences = _fences()
    chosen = {host: _fence_of(fences, host) for host in hosts} or {
        host: policy for host, policy in fences.items() if policy is not None
    }
    if not chosen:
        raise Trouble("no host of the file has a fence", ExitCode.USAGE, hint="write hosts.NAME.fence")
    tried = asyncio.run(_try_all(chosen))
    if as_json:
        print_json(tried)
    for one in () if as_json else tried:
        _tell(one)
    codes = {one.code for one in tried}
    order = (ExitCode.USAGE, ExitCode.FAILED, ExitCode.TIMED_OUT)
    click.get_current_context().exit(next((code for code in order if code in codes), ExitCode.OK))


@fence.command()
@click.argument("host")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Required when stdin is not a terminal.")
@click.option("--dry-run", is_flag=True, help="Only check the options and say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def off(host: HostName, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Turn a host off, and see that it is.

    As if its plug were pulled: all that runs there ends at once, and it stays off until somebody turns it
    on. Exits with 0 only when the device said afterwards that the host is off, or a program of your own ended with
    0; otherwise with 1, or 7 when it took too long, and then the host may still serve. To empty a host in good order
    use `holdfast drain` or `holdfast switchover` first.

    \b
    Examples:
      holdfast fence off h2
      holdfast fence off h2 --yes
      holdfast fence off h2 --dry-run
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    policy = _fence_of(_fences(), host)
    if dry_run:
        _rehearse(host, policy, as_json=as_json)
        return
    if not yes:
        if not sys.stdin.isatty():
            hint = f"holdfast fence off {host} --yes turns it off without asking"
            raise Trouble("fence off needs --yes when stdin is not a terminal", ExitCode.USAGE, hint=hint)
        click.confirm(f"Turn {host} off, with all that runs there, as if its plug were pulled?", abort=True)
    try:
        fenced = asyncio.run(FenceAgents().fence(host, policy))
    except KeyboardInterrupt:
        click.echo(f"holdfast: given up; whether {host} is off is not known", err=True)
        raise
    if as_json:
        print_json(fenced)
    _end(host, fenced, is_told=as_json)


def _fences() -> dict[HostName, FencePolicy | None]:
    hosts = load_policy(find_file()).hosts
    if not hosts:
        raise Trouble("the file names no hosts", ExitCode.USAGE, hint="fences are for several hosts")
    return {host.name: host.fence for host in hosts.values()}


def _fence_of(fences: dict[HostName, FencePolicy | None], host: HostName) -> FencePolicy:
    if host not in fences:
        raise Trouble(f"{host!r} is no host of the file", ExitCode.USAGE, hint=f"hosts: {', '.join(fences)}")
    policy = fences[host]
    if policy is None:
        raise Trouble(f"{host} has no fence", ExitCode.USAGE, hint=f"write hosts.{host}.fence")
    return policy


async def _try_all(chosen: dict[HostName, FencePolicy]) -> tuple[Tried, ...]:
    # One after the other: two hosts may hang on one device, and many a device has room for one session.
    return tuple([await _try(host, policy) for host, policy in chosen.items()])


async def _try(host: HostName, policy: FencePolicy) -> Tried:
    fencing = FenceAgents()
    problems = await fencing.problems_of(policy)
    seen = None if problems else await fencing.look(host, policy)
    return Tried(host, _device(policy), problems, seen)


def _tell(tried: Tried) -> None:
    head = f"{tried.host} ({tried.device})"
    for problem in tried.problems:
        click.echo(f"{head}: wrong options: {problem}", err=True)
    if tried.seen is not None:
        click.echo(
            f"{head}: {'ready' if tried.seen.is_ready else 'not ready'}: {tried.seen.text}",
            err=not tried.seen.is_ready,
        )


def _rehearse(host: HostName, policy: FencePolicy, *, as_json: bool) -> None:
    problems = asyncio.run(FenceAgents().problems_of(policy))
    if as_json:
        print_json(Tried(host, _device(policy), problems))
    if problems:
        raise Trouble(f"{host} cannot be turned off like this", ExitCode.USAGE, hint="\n".join(problems))
    if not as_json:
        limit = show_duration(policy.timeout)
        click.echo(f"{host} would be turned off with {_device(policy)}, within {limit}; nothing was changed")


def _end(host: HostName, fenced: Fenced, *, is_told: bool) -> None:
    took = show_duration(fenced.took)
    if fenced.ending is Ending.DONE:
        if not is_told:
            click.echo(f"{host} is off, in {took}: {fenced.text}")
        return
    code = ExitCode.TIMED_OUT if fenced.is_late else ExitCode.FAILED
    what = "was not turned off" if fenced.ending is Ending.FAILED else "may be off or not"
    hint = "as long as nobody has seen that it is off, start nothing in its place"
    raise Trouble(f"{host} {what}, after {took}: {fenced.text}", code, hint=hint)


def _device(policy: FencePolicy) -> str:
    return policy.agent or policy.command[0]
