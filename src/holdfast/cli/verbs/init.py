"""`holdfast init`: a first file that works as it is."""

import socket
from contextlib import ExitStack

import click

from holdfast.cli.exits import Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import FILES, place, place_options

_TEMPLATE = """\
# holdfast keeps the services in this file up.
#
#   holdfast validate         check it
#   holdfast plan             see what it would do
#   holdfast run              do it
#   holdfast status --watch   look, from another terminal
#
# Every key: docs/configuration.md. For your editor: holdfast schema > holdfast.schema.json
# yaml-language-server: $schema=holdfast.schema.json

system: {system}

services:
  web:
    # active-standby: all members run, one serves, the others wait to take over.
    # active-active: all serve. singleton: one runs, never two.
    mode: active-standby

    # Where clients go. HAProxy listens here and sends them to the member that serves.
    traffic:
      listen: 127.0.0.1:{listen}

    # How to run a member: a program and its arguments, no shell. {{port}} is the member's own.
    run: [python3, -m, http.server, --bind, 127.0.0.1, "{{port}}"]

    members:
      web-1: {{ port: {first} }}
      web-2: {{ port: {second} }}

    # How each member is asked how it is. One that does not answer three times in a row gets no
    # traffic and is restarted. A path alone is asked at the member's own port.
    probes:
      alive:
        http: /
        every: 500ms
        timeout: 300ms
        fall: 3

    # When it dies, it is started again, this often at most; then holdfast says so and waits.
    restart:
      max: 5
      window: 1m
"""


@click.command()
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("--system", default="", help="The system's name.  [default: the folder's]")
@place_options
def init(system: str, *, force: bool) -> None:
    """Write a first holdfast.yaml that works as it is.

    It keeps two copies of Python's web server up, behind HAProxy, on ports that are free now. Change
    it into your own service step by step; `holdfast validate` names every mistake. An existing file is
    left alone (exit 1) without --force. To only see holdfast at work use `holdfast demo`.

    \b
    Examples:
      holdfast init
      holdfast init --file /etc/holdfast/holdfast.yaml --system shop
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    path = place().file or FILES[0]
    text = first_file(system or system_name(path.absolute().parent.name), free_ports(3))
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise Trouble(
            f"{path} exists, and is left as it is", hint="holdfast init --force overwrites it"
        ) from error
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {error.strerror}") from error
    policy = load_policy(path)
    traffic = policy.services["web"].traffic
    assert traffic is not None
    option = "" if path == FILES[0] else f" --file {path}"
    click.echo(
        f"wrote {path}: system {policy.system}, 1 service, 2 members\n\n"
        f"next:\n"
        f"  holdfast run{option}\n"
        f"  holdfast status --watch{option}        from another terminal\n"
        f"  curl http://127.0.0.1:{traffic.listen_port}/\n"
        f"  holdfast switchover web{option}        move it, by plan"
    )


def first_file(system: str, ports: tuple[int, ...]) -> str:
    """Return the text of the file."""
    listen, first, second = ports
    return _TEMPLATE.format(system=system, listen=listen, first=first, second=second)


def system_name(folder: str) -> str:
    """Return a name made of a folder's: lower case letters, digits and hyphens."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in folder.lower())
    return letters.strip("-")[:40].strip("-") or "system"


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports of loopback that nobody has now; all are held until the last is found, so they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(int(one.getsockname()[1]) for one in sockets)
