"""The console script. It knows every verb by name and loads one only when it is used.

`holdfast --help`, completion at a prompt and a mistyped verb must not wait for the configuration reader or the
core to be imported, so names, sections and one-line texts stand here in a table; a test holds it to the verbs.
"""

from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

import holdfast
from holdfast.cli.place import agent_options, place


class Verb(NamedTuple):
    """Where a verb lives, and how it is listed."""

    module: str  # under holdfast.cli.verbs
    section: str
    line: str


VERBS = {
    "demo": Verb("demo", "Begin", "See a real service fail and recover, in half a minute."),
    "init": Verb("init", "Begin", "Write a first holdfast.yaml that works as it is."),
    "validate": Verb("policy_file", "Begin", "Check the file and name every mistake in it."),
    "plan": Verb("plan", "Begin", "Show what the file would change, and its single points of failure."),
    "run": Verb("run", "Begin", "Run the agent: keep the file's services up."),
    "agent": Verb("run", "Begin", "Run the agent of one of several hosts."),
    "guard": Verb("guard", "Begin", "Run the guard: end a primary whose deadline passes."),
    "status": Verb("status", "Look", "Show how everything is, on one screen."),
    "hosts": Verb("hosts", "Look", "Show the hosts, who leads, and who holds which lease."),
    "explain": Verb("explain", "Look", "Say why something is so, or why something was not done."),
    "incidents": Verb(
        "incidents", "Look", "List what went wrong, what it cost, or tell one incident in full."
    ),
    "audit": Verb("audit", "Look", "Show who asked the agent for what, and what came of it."),
    "switchover": Verb("moving", "Act", "Move a service to another member, by plan."),
    "drain": Verb("moving", "Act", "Take new work away from a member."),
    "restart": Verb("moving", "Act", "Restart a service or a member, one at a time."),
    "pause": Verb("holding", "Act", "Have failures detected but not acted on, for a time."),
    "resume": Verb("holding", "Act", "End a pause or a drain."),
    "apply": Verb("applying", "Act", "Share a file with all hosts, or go back to an earlier one."),
    "reload": Verb("holding", "Act", "Have the agent read its file again."),
    "down": Verb("holding", "Act", "Stop every service, and the agent."),
    "simulate": Verb("simulate", "Prove", "Play faults through on virtual time; nothing real is touched."),
    "replay": Verb("replay", "Prove", "Decide a journal's turns again and compare."),
    "policies": Verb("applying", "Several hosts", "List the files that were shared with `holdfast apply`."),
    "certs": Verb("certs", "Several hosts", "Make certificates for hosts and people."),
    "tokens": Verb("tokens", "Several hosts", "Give out tokens, and take them back."),
    "secret": Verb("secret", "Several hosts", "Make the key that all hosts of a cluster share."),
    "fence": Verb("fence", "Several hosts", "Try the fence devices of hosts, or turn a host off."),
    "ocf": Verb("ocf", "Tools", "Show the OCF resource agents of this host."),
    "lock": Verb("lock", "Tools", "Run a command while holding a lock."),
    "schema": Verb("policy_file", "Tools", "Print the JSON Schema of holdfast.yaml."),
    "completion": Verb("completion", "Tools", "Print the completion script of a shell."),
}
SECTIONS = tuple(dict.fromkeys(verb.section for verb in VERBS.values()))

_EPILOG = """\b
Exit codes: 0 ok, 1 failed, 2 configuration or usage, 3 degraded,
4 below threshold, 5 refused for safety, 6 coordinator unreachable,
7 timed out.
"""


class LazyGroup(click.Group):
    """The verbs of the table, imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs in the table's order."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the verb and return it; None if there is none of that name."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command = getattr(import_module(f"holdfast.cli.verbs.{verb.module}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the verbs that begin so, from the table, and the options."""
        found = [
            CompletionItem(name, help=verb.line)
            for name, verb in VERBS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that `args` begin with; a mistyped one gets the nearest names as a hint."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else f" Verbs: {', '.join(VERBS)}."
            ctx.fail(f"No such verb {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the verbs by section, from the table: nothing is imported for it."""
        for section in SECTIONS:
            with formatter.section(section):
                formatter.write_dl(
                    [(name, verb.line) for name, verb in VERBS.items() if verb.section == section]
                )


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@agent_options
@click.version_option(holdfast.__version__, "--version", message="holdfast %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Keep services up: detect, diagnose, fail over, recover.

    \b
    The first five minutes:
      holdfast demo              see it work
      holdfast init              write holdfast.yaml
      holdfast run               keep its services up
      holdfast status --watch    look, from another terminal
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    name = context.invoked_subcommand
    if place().host is None or name not in VERBS:
        return
    verb = context.command.get_command(context, name) if isinstance(context.command, click.Group) else None
    if verb is not None and not any(option.name == "host" for option in verb.params):
        raise click.UsageError(f"--host is for verbs that ask an agent, and {name} asks none")


if __name__ == "__main__":
    main(prog_name="holdfast")
