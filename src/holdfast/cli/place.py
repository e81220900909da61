"""Where the file and the state directory are, and which host's agent is meant: options given before or after a verb.

The agent's directory hangs on the system's name, which stands in the file. Only that one line of the file is
read to find it: an agent must stay reachable while its file is being edited and full of mistakes.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from holdfast.agent.directory import VARIABLE, choose_directory
from holdfast.cli.exits import ExitCode, Trouble

FILES = (Path("holdfast.yaml"), Path("/etc/holdfast/holdfast.yaml"))
_TLS = {
    "ca": "With --host: the authority that the agent's certificate is of.",
    "cert": "With --host: your certificate.",
    "key": "With --host: its key.",
}
_SYSTEM = re.compile(rb"""^system[ \t]*:[ \t]*["']?([a-z0-9][a-z0-9-]*)""", re.MULTILINE)

F = TypeVar("F", bound=Callable[..., Any])


class Place:
    """What was said on the command line about where things are; it lives as long as the command."""

    def __init__(self) -> None:
        self.file: Path | None = None
        self.argument: Path | None = (
            None  # the file that a verb was given beside that, such as `plan new.yaml`
        )
        self.directory: Path | None = None
        self.host: str | None = None  # whose agent is asked; None: this host's, over its socket
        self.tls: dict[str, str] = {}  # "ca", "cert", "key": what was given of them


def place_options(command: F) -> F:
    """Give a verb `--file` and `--directory`."""
    file = click.option(
        "--file",
        "-f",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_remember_file,
        help="The system's file.  [default: ./holdfast.yaml, then /etc/holdfast/holdfast.yaml]",
    )
    directory = click.option(
        "--directory",
        "-d",
        # Who `control.group` lets in may pass through the folder, and not list it.
        type=click.Path(path_type=Path, readable=False),
        expose_value=False,
        callback=_remember_directory,
        help=f"The agent's state directory.  [env: {VARIABLE}; default: by the system's name]",
    )
    return file(directory(command))


def agent_options(command: F) -> F:
    """Give a verb that asks an agent the options of `place_options`, and `--host` for the agent of another host."""
    host = click.option(
        "--host",
        metavar="NAME|ADDRESS[:PORT]",
        expose_value=False,
        callback=_remember_host,
        help="Ask the agent of that host, over TLS.",
    )
    decorated: Any = command
    for what, line in reversed(_TLS.items()):
        decorated = click.option(
            f"--tls-{what}",
            metavar="FILE",
            expose_value=False,
            hidden=True,  # of interest once, and then in the environment: docs/cli.md has them
            callback=_remember_tls,
            help=line,
        )(decorated)
    result: F = place_options(host(decorated))
    return result


def place() -> Place:
    """Return what the present command was told."""
    found: Place = click.get_current_context().ensure_object(Place)
    return found


def find_file(given: Path | None = None) -> Path:
    """Return the system's file: the one given, or the first of the usual places; Trouble if there is none."""
    chosen = given or place().file
    if chosen is not None:
        place().argument = given
        return _readable(chosen)
    if (found := usual_file()) is not None:
        return found
    hint = "holdfast init writes a first one; --file names another"
    raise Trouble(f"no file: neither {FILES[0]} nor {FILES[1]} is there", ExitCode.USAGE, hint=hint)


def usual_file() -> Path | None:
    """Return the first of the usual places where a file is; Trouble if that cannot be told."""
    for path in FILES:
        try:
            if path.is_file():
                return path
        except OSError as error:
            hint = "name a file with --file, or the agent's state directory with --directory"
            message = f"{path.absolute()}: cannot be read: {error.strerror}"
            raise Trouble(message, ExitCode.USAGE, hint=hint) from None
    return None


def _readable(path: Path) -> Path:
    """Return the path if a file is there; Trouble that says what is there instead."""
    try:
        what = path.stat().st_mode
    except OSError as error:
        hint = "holdfast init writes a first one" if isinstance(error, FileNotFoundError) else ""
        said = "no such file" if hint else f"cannot be read: {error.strerror}"
        raise Trouble(f"{path}: {said}", ExitCode.USAGE, hint=hint) from None
    if stat.S_ISDIR(what):
        raise Trouble(
            f"{path}: is a folder", ExitCode.USAGE, hint=f"name the file in it, as {path / FILES[0]}"
        )
    if not stat.S_ISREG(what):
        hint = "it is read more than once: write it to a file first"
        raise Trouble(f"{path}: is no regular file", ExitCode.USAGE, hint=hint)
    return path


def find_directory() -> Path:
    """Return the state directory of the agent that is meant; Trouble if that cannot be told."""
    chosen = place()
    if chosen.host is not None:
        hint = "log in there to look into its files"
        raise Trouble(
            f"this is on {chosen.host}, and only its agent can be asked over the network",
            ExitCode.USAGE,
            hint=hint,
        )
    if chosen.directory is not None or os.environ.get(VARIABLE):
        return choose_directory("", chosen.directory)
    if chosen.file is not None or usual_file() is not None:
        return choose_directory(_system_of(find_file()))
    if chosen.argument is not None:
        return choose_directory(_system_of(chosen.argument))
    return _only_one(choose_directory("any").parent)


def _system_of(file: Path) -> str:
    try:
        match = _SYSTEM.search(file.read_bytes())
    except OSError as error:
        raise Trouble(f"{file}: {error.strerror}", ExitCode.USAGE) from error
    if match is None:
        hint = "name the agent's state directory with --directory"
        raise Trouble(f"{file}: it has no line `system: NAME`", ExitCode.USAGE, hint=hint)
    return match[1].decode("ascii")


def _only_one(base: Path) -> Path:
    """Without a file: the one system that ever ran here as this user."""
    systems = sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    if len(systems) == 1:
        return systems[0]
    told = (
        f"several systems ran here: {', '.join(path.name for path in systems)}"
        if systems
        else "no system ran here"
    )
    hint = "name the file with --file, or the agent's state directory with --directory"
    raise Trouble(f"which agent? There is no holdfast.yaml, and {told}", ExitCode.USAGE, hint=hint)


def _remember_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Place).file = value


def _remember_directory(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Place).directory = value


def _remember_host(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Place).host = value


def _remember_tls(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        assert parameter.name is not None
        context.ensure_object(Place).tls[parameter.name.removeprefix("tls_")] = value
