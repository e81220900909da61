"""`holdfast run`: the agent, in the foreground."""

from pathlib import Path

import click

from holdfast.cli.place import find_file, place, place_options


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option(
    "--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to log."
)
@place_options
def run(path: Path | None, log: str) -> None:
    """Run the agent: keep the file's services up.

    It stays in the foreground and logs to stderr; on a server let systemd start it
    (deploy/holdfast.service). Services that already run are found and kept. Ending the agent (Ctrl-C,
    SIGTERM) does not end the services: they go on, unwatched. To stop everything use `holdfast down`.
    SIGHUP reads the file again, as `holdfast reload` does.

    \b
    Examples:
      holdfast run
      holdfast run /etc/holdfast/holdfast.yaml --log json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from holdfast.agent.log import Format
    from holdfast.agent.running import run as run_agent

    code = run_agent(find_file(path), place().directory, log_format=Format(log))
    click.get_current_context().exit(code)


@click.command()
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file of all hosts. [default: as for `holdfast run`]",
)
@click.option("--host", "name", metavar="NAME", help="Which host of the file this machine is.")
@click.option(
    "--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to log."
)
@place_options
def agent(path: Path | None, name: str | None, log: str) -> None:
    """Run the agent of one of several hosts.

    It is `holdfast run` for a file with `cluster` and `hosts`: every host has the same file and runs one agent.
    Which host this machine is follows from its addresses, or is said with --host. The agent starts
    the guard, which ends a primary whose lease is over even if the agent hangs.

    \b
    Examples:
      holdfast agent --config /etc/holdfast/holdfast.yaml
      holdfast agent --config holdfast.yaml --host h1
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from holdfast.agent.log import Format
    from holdfast.agent.running import run as run_agent

    code = run_agent(find_file(path), place().directory, host=name, log_format=Format(log))
    click.get_current_context().exit(code)
