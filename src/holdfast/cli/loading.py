"""Reading the file for a command: its mistakes end the command with exit code 2, each on a line of its own."""

import json
from pathlib import Path

import click

from holdfast import config
from holdfast.cli.exits import ExitCode
from holdfast.model.policy import Policy


class Invalid(click.ClickException):
    """The file has mistakes. The lines go out as they are, so that an editor can jump to each."""

    exit_code = int(ExitCode.USAGE)

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Print the mistakes on stderr."""
        click.echo(self.message, err=True)


def load_policy(path: Path) -> Policy:
    """Return the policy in the file."""
    try:
        return config.load(path)
    except config.ConfigError as error:
        raise Invalid(str(error)) from error


def load_to_share(path: Path) -> tuple[str, Policy]:
    """Return the file's text, to be sent to other hosts as it is, and the policy in that very text."""
    load_policy(path)  # with all that can be wrong with a file
    try:
        text = path.read_text("utf-8-sig")
        return text, config.load_text(text, str(path), path.absolute().parent)
    except config.ConfigError as error:
        raise Invalid(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: it changed while it was read: {error}") from error


def schema_text() -> str:
    """Return the JSON Schema of the file."""
    return json.dumps(config.schema(), indent=2)
