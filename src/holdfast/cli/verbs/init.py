"""`holdfast init`: a first file that works as it is."""

import json
import re
import socket
from contextlib import ExitStack
from pathlib import Path

import click

from holdfast import config
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import FILES, place, place_options

_PLAIN = re.compile("[a-z][a-z0-9-]*")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

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

KEY = "/etc/holdfast/cluster.key"

_SEVERAL = """\
# holdfast keeps the services in this file up, on several hosts.
#
#   holdfast validate                     check it
#   holdfast secret --out {key}           once; then copy it to every host
#   holdfast agent --config holdfast.yaml on every host, with the same file
#   holdfast hosts, holdfast status       look, from any of them
#   holdfast apply                        share a changed file with all of them
#
# Every key: docs/configuration.md. For your editor: holdfast schema > holdfast.schema.json
# yaml-language-server: $schema=holdfast.schema.json

system: {system}

cluster:
  # Where the hosts agree on who leads and who holds which role. Three machines or five.
  coordinator: {coordinator}
  # The key that all hosts share: `holdfast secret` makes it.
  secret: {{ file: {key} }}
  # How long the role of a host that fell silent stays its own. Shorter: faster takeover of exclusive services, and
  # less patience with a slow coordinator.
  lease: 3s

# Their names, and where they reach each other: heartbeats go to cluster.port (7420, UDP).
hosts:
{hosts}

services:
  # Where data is: each member is bound to its host, and the one whose host holds the lease serves.
  # promote and demote are programs that change its role; without them it serves where it is primary.
  db:
    mode: active-standby
    members:
{members}
    port: 15432
    run: [python3, -m, http.server, --bind, "{{host}}", "{{port}}"]
    probes:
      alive: {{ http: /, every: 500ms, timeout: 300ms, fall: 3 }}
    traffic: {{ listen: 127.0.0.1:15400 }} # on every host: its HAProxy sends to who serves, wherever that is
    # While the coordinator cannot be reached. stop: the primary stops before its lease can end.
    # hold: it goes on while all the other hosts promise, directly, not to take over.
    on_coordinator_loss: stop

  # Alike, and anywhere: the leader places them, and moves them when a host is lost.
  web:
    mode: active-active
    members: {count}
    port: 18081+ # one port each, since two may come to share a host
    run: [python3, -m, http.server, --bind, "{{host}}", "{{port}}"]
    probes:
      alive: {{ http: /, every: 500ms, timeout: 300ms, fall: 3 }}
    traffic: {{ listen: 127.0.0.1:18080 }}
    placement: {{ move_after: 10s }}
"""


@click.command()
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("--system", default="", help="The system's name.  [default: the folder's]")
@click.option(
    "--hosts", metavar="NAME=ADDRESS,...", help="Several hosts: their names, and where the others reach them."
)
@click.option(
    "--coordinator",
    metavar="URL",
    help="Several hosts: where they agree, etcd://HOST:2379,... or zookeeper://HOST:2181,...",
)
@place_options
def init(system: str, hosts: str | None, coordinator: str | None, *, force: bool) -> None:
    """Write a first holdfast.yaml that works as it is.

    It keeps two copies of Python's web server up, behind HAProxy, on ports that are free now. Change
    it into your own service step by step; `holdfast validate` names every mistake. An existing file is
    left alone (exit 1) without --force. With --hosts and --coordinator it is a file for several hosts, with
    one service of each kind. To only see holdfast at work use `holdfast demo`.

    \b
    Examples:
      holdfast init
      holdfast init --file /etc/holdfast/holdfast.yaml --system shop
      holdfast init --hosts h1=10.0.0.1,h2=10.0.0.2,h3=10.0.0.3 \\
          --coordinator etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    path = place().file or FILES[0]
    name = system or system_name(path.absolute().parent.name)
    if hosts is not None or coordinator is not None:
        if not hosts or not coordinator:
            raise click.UsageError("--hosts and --coordinator go together")
        _init_several(path, name, parsed_hosts(hosts), coordinator, force=force)
        return
    text = first_file(name, free_ports(3))
    _check(path, text)
    _write(path, text, force=force)
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


def _check(path: Path, text: str) -> None:
    """Raise Trouble if the text is no valid file: what was asked for has mistakes, and nothing is written then."""
    try:
        config.load_text(text, str(path), path.absolute().parent)
    except config.ConfigError as error:
        raise Trouble("this would make no valid file", ExitCode.USAGE, hint=str(error)) from error


def _init_several(path: Path, system: str, hosts: dict[str, str], coordinator: str, *, force: bool) -> None:
    text = several_hosts_file(system, hosts, coordinator)
    _check(path, text)
    _write(path, text, force=force)
    click.echo(
        f"wrote {path}: system {system}, {len(hosts)} hosts, 2 services\n\n"
        f"next:\n"
        f"  holdfast secret --out {KEY}\n"
        f"  copy {path} and the key to every host\n"
        f"  holdfast agent --config {path}       on every host\n"
        f"  holdfast hosts; holdfast status       on any of them\n"
        f"  holdfast switchover db                move it, by plan"
    )


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if path.is_dir():
            raise Trouble(f"{path} is a folder", hint=f"name the file in it, as {path / FILES[0]}") from error
        raise Trouble(
            f"{path} exists, and is left as it is", hint="holdfast init --force overwrites it"
        ) from error
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {error.strerror}") from error


def first_file(system: str, ports: tuple[int, ...]) -> str:
    """Return the text of the file."""
    listen, first, second = ports
    return _TEMPLATE.format(system=_text(system), listen=listen, first=first, second=second)


def parsed_hosts(text: str) -> dict[str, str]:
    """Return addresses by host; Trouble if `text` is not NAME=ADDRESS,NAME=ADDRESS."""
    pairs = [piece.strip().partition("=") for piece in text.split(",") if piece.strip()]
    names = [name for name, _, _ in pairs]
    if not pairs or not all(name and address for name, _, address in pairs) or len(set(names)) < len(names):
        hint = "write --hosts h1=10.0.0.1,h2=10.0.0.2,h3=10.0.0.3"
        raise Trouble(
            f"--hosts {text!r} does not name each host once, with its address", ExitCode.USAGE, hint=hint
        )
    return {name: address for name, _, address in pairs}


def several_hosts_file(system: str, hosts: dict[str, str], coordinator: str) -> str:
    """Return the text of a file for several hosts."""
    listed = "\n".join(
        f"  {_text(name)}: {{ address: {json.dumps(address)} }}" for name, address in hosts.items()
    )
    members = "\n".join(f"      db-{i}: {{ on: {_text(name)} }}" for i, name in enumerate(hosts, 1))
    return _SEVERAL.format(
        system=_text(system),
        coordinator=json.dumps(coordinator),  # YAML reads what JSON writes, whatever is in it
        key=KEY,
        hosts=listed,
        members=members,
        count=len(hosts),
    )


def _text(name: str) -> str:
    """Return a name as YAML reads it as text: to YAML `no`, `on` and `2024` are something else."""
    is_plain = _PLAIN.fullmatch(name) and name not in _NOT_TEXT
    return name if is_plain else json.dumps(name, ensure_ascii=False)


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
