"""`holdfast lock`: a command that runs on one host at a time, or once at a time on this one."""

import asyncio
from contextlib import suppress

import click

from holdfast.cli.commanding import Span
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.locking import CommandError, LockLostError, run_locked
from holdfast.cli.place import find_directory, place_options
from holdfast.client import AddressError, CoordinationError, WaitedTooLongError, connect
from holdfast.coordination.limits import is_key
from holdfast.model.time import DAY, HOUR, Duration, show_duration

_CANNOT_START = 127  # as shells say it


@click.command()
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option("--on", metavar="URL", help="The coordinator.  [default: embedded, in the state directory]")
@click.option(
    "--wait", type=Span(DAY), help="Wait no longer: exit 7; 0s tries once.  [default: as long as it takes]"
)
@click.option(
    "--ttl",
    type=Span(HOUR),
    default="15s",
    show_default=True,
    help="How long a dead holder keeps others out.",
)
@place_options
def lock(name: str, command: tuple[str, ...], on: str | None, wait: Duration | None, ttl: Duration) -> None:
    """Run a command while holding a lock.

    The command finds its fencing token in HOLDFAST_LOCK_TOKEN: it grows with each holder, so whatever the command
    changes can refuse an older one. When the lock cannot be kept, the command gets SIGTERM, and SIGKILL before the
    lock can pass to another. Its exit code is passed on; exit 7 when the lock could not be had in time, 6 when the
    coordinator does not answer, 1 when the lock was lost.

    \b
    Examples:
      holdfast lock backup -- /usr/local/bin/backup --full
      holdfast lock backup --wait 10s -- rsync -a /srv/ backup:/srv/
      holdfast lock report --on zookeeper://h1,h2,h3 -- ./report
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if not is_key(f"/{name}"):
        hint = "write lower-case letters, digits, -, _ and ., with / between parts: backup, or shop/backup"
        raise Trouble(f"{name[:60]!r} is no name of a lock", ExitCode.USAGE, hint=hint)
    url = on or f"embedded://{find_directory().absolute() / 'coordination'}"
    with suppress(KeyboardInterrupt):
        code = asyncio.run(_run(url, name, command, wait, ttl))
        click.get_current_context().exit(code)
    click.get_current_context().exit(130)


async def _run(url: str, name: str, command: tuple[str, ...], wait: Duration | None, ttl: Duration) -> int:
    try:
        async with connect(url) as client:
            try:
                return await run_locked(client, name, command, ttl=ttl, wait=wait)
            except WaitedTooLongError as error:
                holder = await client.holder(name)
                by = f"; {holder.by} holds it, token {holder.token}" if holder else ""
                waited = f"within {show_duration(wait)}" if wait else "at once"
                raise Trouble(f"lock {name} could not be had {waited}{by}", ExitCode.TIMED_OUT) from error
    except LockLostError as error:
        raise Trouble(f"lock {name} was lost, and the command ended: {error}") from error
    except CommandError as error:
        click.echo(f"holdfast: {error}", err=True)
        return _CANNOT_START
    except (AddressError, ValueError) as error:
        raise Trouble(str(error), ExitCode.USAGE) from error
    except CoordinationError as error:
        raise Trouble(f"coordinator {url}: {error}", ExitCode.COORDINATOR) from error
