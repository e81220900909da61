"""`holdfast plan`: what the file would change, before it does."""

from pathlib import Path

import click

from holdfast import config
from holdfast.agent.protocol import PolicyRequest
from holdfast.cli.asking import UnreachableError, asking
from holdfast.cli.exits import ExitCode
from holdfast.cli.loading import load_policy
from holdfast.cli.painting import terminal_paint
from holdfast.cli.place import agent_options, find_file
from holdfast.cli.printing import print_json
from holdfast.cli.rendering_plan import plan_text
from holdfast.model.policy import Policy
from holdfast.model.value import replace

_CHANGES = 2  # as terraform says it


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 0 for no changes, 1 for an error, 2 for changes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@agent_options
def plan(path: Path | None, *, detailed_exitcode: bool, as_json: bool) -> None:
    """Show what the file would change, and its single points of failure.

    Compared with what the running agent has in force, or with nothing if none runs. Changes nothing.
    Signs: + started, - stopped, ! restarted, > traffic, ? probes, ~ taken over as it is. To carry the
    changes out use `holdfast reload`; on several hosts `holdfast apply`, which shows them too.

    \b
    Examples:
      holdfast plan
      holdfast plan new.yaml
      holdfast plan --detailed-exitcode || echo "not what runs"
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    try:
        new = load_policy(find_file(path))
        old = _running()
    except click.ClickException as error:
        if detailed_exitcode:
            error.exit_code = int(ExitCode.FAILED)  # type: ignore[misc]  # click documents it so, and declares a ClassVar
        raise
    made = config.plan(old, new)
    if as_json:
        print_json(made)
    else:
        against = f"the running agent, revision {old.revision}" if old else "nothing: no agent runs"
        click.echo(plan_text(made, against, terminal_paint()), nl=False)
    click.get_current_context().exit(_CHANGES if detailed_exitcode and made.changes else 0)


def _running() -> Policy | None:
    """Return the file in force as its operator wrote it: without the balancer that holdfast adds."""
    try:
        with asking() as agent:
            policy = agent.ask(PolicyRequest(), Policy)
    except UnreachableError:
        return None
    written = {name: service for name, service in policy.services.items() if not service.is_builtin}
    return replace(policy, services=written)
