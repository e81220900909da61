"""`holdfast guard`: the guard, in the foreground. It becomes another, leaner program."""

import os
from pathlib import Path

import click

from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.place import find_directory, place_options


@click.command()
@click.option(
    "--watchdog",
    type=click.Path(path_type=Path),
    metavar="DEVICE",
    help="A hardware watchdog, such as /dev/watchdog, to feed while a primary is armed.",
)
@click.option(
    "--watchdog-timeout",
    type=click.IntRange(1, 3600),
    metavar="SECONDS",
    help="After how long without food it resets the host.  [default: as the device has it]",
)
@place_options
def guard(watchdog: Path | None, watchdog_timeout: int | None) -> None:
    """Run the guard: end a primary whose deadline passes.

    On several hosts a primary may serve for as long as its host holds the service's lease. The agent tells
    the guard until when that is; if it is frozen or killed and tells no more, the guard ends the primary
    before another host may start one. On a server let systemd start it (deploy/holdfast-guard.service);
    otherwise the agent does, when it needs one.

    Asked to leave (Ctrl-C, SIGTERM), it stays until no primary is armed. Where another guard is on watch
    over the same directory it stands by, and takes over from it. With --watchdog nothing is promoted
    unless the device can be opened, and a host whose guard dies, or whose primary cannot be ended, is reset.

    \b
    Examples:
      holdfast guard
      holdfast guard --watchdog /dev/watchdog --watchdog-timeout 5
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from holdfast.guard.command import command

    if watchdog_timeout is not None and watchdog is None:
        raise Trouble("--watchdog-timeout needs --watchdog", ExitCode.USAGE)
    directory = find_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        arguments, environment = command(
            str(directory),
            watchdog="" if watchdog is None else str(watchdog),
            watchdog_timeout=watchdog_timeout or 0,
        )
        os.execve(arguments[0], arguments, environment)  # noqa: S606 - no shell, and one program fewer in memory
    except OSError as error:
        raise Trouble(
            f"the guard cannot be started on {directory}: {error.strerror}", ExitCode.FAILED
        ) from error
