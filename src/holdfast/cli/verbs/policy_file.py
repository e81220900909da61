"""`holdfast validate` and `holdfast schema`: the file, without any agent."""

from pathlib import Path

import click

from holdfast.cli.loading import load_policy, schema_text
from holdfast.cli.place import find_file, place_options
from holdfast.cli.printing import print_json


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print the policy that was read, defaults filled in.")
@place_options
def validate(path: Path | None, *, as_json: bool) -> None:
    """Check the file and name every mistake in it.

    Changes nothing and needs no agent. Every mistake is named at once, one line each on stderr:
    FILE:LINE:COLUMN, the key, its value, and what is allowed. Exits with 2 if there is any.
    To see what a valid file would change, use `holdfast plan`.

    \b
    Examples:
      holdfast validate
      holdfast validate new.yaml && mv new.yaml holdfast.yaml && holdfast reload
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    file = find_file(path)
    policy = load_policy(file)
    if as_json:
        print_json(policy)
        return
    services = [service for service in policy.services.values() if not service.is_builtin]
    members = sum(len(service.members) for service in services)
    probes = sum(len(member.probes) for service in services for member in service.members)
    counts = ", ".join(
        counted(n, word) for n, word in ((len(services), "service"), (members, "member"), (probes, "probe"))
    )
    if policy.hosts:
        counts += f", {counted(len(policy.hosts), 'host')}"
    click.echo(f"{file}: ok, system {policy.system}, {counts}, revision {policy.revision}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of holdfast.yaml.

    Editors use it to complete and check the file while you type. `holdfast validate` checks more than a
    schema can say, such as names that must exist and durations that must fit each other.

    \b
    Example:
      holdfast schema > holdfast.schema.json
      # and as the first line of holdfast.yaml:
      # yaml-language-server: $schema=holdfast.schema.json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    click.echo(schema_text())


def counted(number: int, word: str) -> str:
    """Return `1 service` or `2 services`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
