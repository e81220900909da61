"""How a command ends: the exit codes, which are a contract with scripts, and the errors that carry them."""

from enum import IntEnum
from typing import IO, Any

import click


class ExitCode(IntEnum):
    """What a script learns without reading a word."""

    OK = 0
    FAILED = 1
    USAGE = 2  # configuration or usage
    DEGRADED = 3
    BELOW_THRESHOLD = 4
    REFUSED = 5  # by a rule that keeps the system safe, or because the caller may not
    COORDINATOR = 6  # unreachable
    TIMED_OUT = 7


class Trouble(click.ClickException):
    """A command could not do what it was asked: what happened, and what to do about it."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED, *, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click documents it as the way, and declares a ClassVar
        self.hint = hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it on stderr, the hint on lines of its own."""
        click.echo(f"holdfast: {self.message}", file=file, err=file is None)
        for line in self.hint.splitlines():
            click.echo(f"  {line}", file=file, err=file is None)
