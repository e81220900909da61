"""`holdfast tokens`: secrets that give more access than the certificate they come with."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.place import find_directory, place_options
from holdfast.cli.printing import print_json

if TYPE_CHECKING:
    from holdfast.agent.tokens import Token

_TOKENS = (
    "tokens"  # the agent's name for it; importing it from there would import more than a help text needs
)


@click.group()
def tokens() -> None:
    """Give out tokens, and take them back.

    Who asks the agent of another host shows a certificate; a token, shown beside it, gives its own access
    instead of the certificate's. Tokens are for people who work on hosts with the hosts' certificates, and
    for what must be possible to take back at once. They are each host's own: give one out on each host that
    is to know it, with --from. The agent keeps their SHA-256 only.

    \b
    Example:
      holdfast tokens issue ann --access operate --out ann.token
      HOLDFAST_TOKEN_FILE=ann.token holdfast --host h2 drain web/web-2
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped


@tokens.command()
@click.argument("name")
@click.option("--access", type=click.Choice(["view", "operate", "admin"]), required=True, help="How much.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it there instead of printing it."
)
@click.option(
    "--from",
    "given",
    type=click.File("r"),
    metavar="FILE",
    help="Let this host know a token that exists; - reads stdin.",
)
@place_options
def issue(name: str, access: str, out: Path | None, given: TextIO | None) -> None:
    """Give out a token of this host.

    \b
    Examples:
      holdfast tokens issue ann --access operate --out ann.token
      ssh h2 holdfast tokens issue ann --access operate --from - < ann.token
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from holdfast.agent.access import Access
    from holdfast.agent.tokens import NAME, Token, digest_of, fresh_token
    from holdfast.cli.verbs.secret import write_secret

    if not re.fullmatch(NAME, name):
        raise Trouble(f"{name!r} must be a name of letters, digits, '.', '_', '-'", ExitCode.USAGE)
    path, kept = _kept()
    if any(token.name == name for token in kept):
        hint = f"take it back first: holdfast tokens revoke {name}"
        raise Trouble(f"{name} has a token already", ExitCode.USAGE, hint=hint)
    text = fresh_token() if given is None else given.read(4096).strip()
    if len(text) < 32:
        raise Trouble(
            "a token has 32 letters at least", ExitCode.USAGE, hint="holdfast tokens issue makes one"
        )
    if out is not None:
        write_secret(out, text)
    _write(path, (*kept, Token(name, Access(access), digest_of(text))))
    if out is not None:
        click.echo(f"{out}: the token of {name}, {access}; it is kept nowhere else")
    elif given is None:
        click.echo(text)


@tokens.command()
@click.argument("name")
@place_options
def revoke(name: str) -> None:
    """Take a token back, at once: who is connected with it is refused with their next request."""
    path, kept = _kept()
    left = tuple(token for token in kept if token.name != name)
    if len(left) == len(kept):
        raise Trouble(
            f"{name} has no token here", ExitCode.USAGE, hint="holdfast tokens list has those that there are"
        )
    _write(path, left)
    click.echo(f"the token of {name} is no longer good on this host")


@tokens.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def list_(*, as_json: bool) -> None:
    """List who has a token of this host, and their access."""
    _, kept = _kept()
    if as_json:
        print_json([{"name": token.name, "access": token.access} for token in kept])
        return
    if not kept:
        click.echo("nobody has a token of this host")
    for token in kept:
        click.echo(f"{token.name:<24} {token.access}")


def _kept() -> tuple[Path, "tuple[Token, ...]"]:
    from holdfast.agent.tokens import TokensError, read_tokens

    path = find_directory() / _TOKENS
    try:
        return path, read_tokens(path)
    except TokensError as error:
        raise Trouble(str(error)) from error


def _write(path: Path, tokens: "tuple[Token, ...]") -> None:
    from holdfast.agent.tokens import write_tokens

    try:
        write_tokens(path, tokens)
    except OSError as error:
        hint = "the agent makes its state directory when it first runs"
        raise Trouble(f"{path}: {error.strerror}", hint=hint) from error
