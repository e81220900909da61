"""`holdfast secret`: the key of a cluster."""

import base64
import os
import secrets
from pathlib import Path

import click

from holdfast.cli.exits import ExitCode, Trouble

_BYTES = 32


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it there, for its owner only, instead of printing it.",
)
def secret(out: Path | None) -> None:
    """Make the key that all hosts of a cluster share.

    It signs heartbeats and what stands in the coordinator: who has it can speak as any host, and share a
    file that names commands to run. 256 bits of chance, as one line of text. Copy the file to every
    host, and name it in the file as cluster.secret. A file that is there is never overwritten.

    \b
    Examples:
      holdfast secret --out /etc/holdfast/cluster.key
      holdfast secret | ssh h2 'umask 077; cat > /etc/holdfast/cluster.key'
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    text = base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")
    if out is None:
        click.echo(text)
        return
    write_secret(out, text)
    click.echo(f"{out}: a new key, for its owner only; copy it to every host, then in holdfast.yaml:")
    click.echo(f"  cluster:\n    secret: {{ file: {out.absolute()} }}")


def write_secret(path: Path, text: str) -> None:
    """Write one line to a new file that only its owner can use; Trouble if it is there already."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        hint = "move it away first, if nothing uses it any more"
        raise Trouble(f"{path} is there already", ExitCode.USAGE, hint=hint) from error
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror}") from error
    with os.fdopen(file, "w", encoding="ascii") as opened:
        opened.write(f"{text}\n")
