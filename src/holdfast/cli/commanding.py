"""What all changing verbs share: who is asked, `--dry-run`, waiting, and one line that says what came of it."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

import click

from holdfast.agent.protocol import Accepted, CommandRequest
from holdfast.cli.asking import asking
from holdfast.cli.place import agent_options
from holdfast.cli.printing import print_json
from holdfast.model.time import HOUR, SECOND, Duration, parse_duration, show_duration
from holdfast.model.value import Value

F = TypeVar("F", bound=Callable[..., Any])
Reason: TypeAlias = Literal["optional", "required", "none"]


class Span(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A duration such as 500ms, 30s, 5m, 1h."""

    name = "duration"

    def __init__(self, most: Duration) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Duration:  # noqa: ANN401 - click's signature
        """Return nanoseconds."""
        if isinstance(value, int):
            return value
        try:
            duration = parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if duration > self._most:
            self.fail(f"{value} is longer than {show_duration(self._most)}, the most there is", param, ctx)
        return duration


class Wish(Value, frozen=True):
    """How something is asked for."""

    why: str
    dry_run: bool
    wait: bool
    timeout: Duration
    as_json: bool

    def fields(self, wait_s: float) -> dict[str, Any]:
        """Return the fields that every command has."""
        return {"why": self.why, "dry_run": self.dry_run, "wait_s": wait_s}


def wish_options(*, timeout: str, reason: Reason = "optional") -> Callable[[F], F]:
    """Give a verb the options of all changing verbs; it gets them as one `wish`."""

    def decorate(verb: F) -> F:
        def collect(
            *args: Any,  # noqa: ANN401 - whatever the verb takes
            dry_run: bool,
            wait: bool,
            timeout: Duration,
            as_json: bool,
            reason: str = "",
            **named: Any,  # noqa: ANN401 - the same
        ) -> Any:  # noqa: ANN401 - the same
            wish = Wish(why=reason, dry_run=dry_run, wait=wait, timeout=timeout, as_json=as_json)
            return verb(*args, wish=wish, **named)

        collect.__name__, collect.__doc__ = verb.__name__, verb.__doc__
        collect.__dict__.update(verb.__dict__)  # click keeps the options declared so far in there
        options = [
            click.option("--dry-run", is_flag=True, help="Only say what would happen, or why it is refused."),
            click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is done."),
            click.option(
                "--timeout",
                type=Span(HOUR),
                default=timeout,
                show_default=True,
                help="Wait no longer: exit 7.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            agent_options,
        ]
        if reason == "required":
            options.insert(
                0,
                click.option(
                    "--reason", required=True, callback=_said, help="Why; shown to everyone who looks."
                ),
            )
        elif reason == "optional":
            options.insert(0, click.option("--reason", default="", help="Why; kept in the journal."))
        decorated: Any = collect
        for option in reversed(options):
            decorated = option(decorated)
        result: F = decorated
        return result

    return decorate


def _said(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    if not reason.strip():
        raise click.BadParameter("it is empty; say why, for whoever looks next")
    return reason


def command(request: Callable[[float], CommandRequest], wish: Wish) -> None:
    """Have it done and say in one line what came of it; Trouble with the fitting exit code if it was not."""
    wait_s = wish.timeout / SECOND if wish.wait and not wish.dry_run else 0.0
    try:
        with asking() as agent:
            accepted = agent.do(request(wait_s))
    except KeyboardInterrupt:
        click.echo("holdfast: no longer waiting; what was asked for goes on, see `holdfast status`", err=True)
        raise
    if wish.as_json:
        print_json(accepted)
    else:
        click.echo(told(accepted))


def told(accepted: Accepted) -> str:
    """Return in one line what came of a command; of a dry run, what it would begin with."""
    begins = "".join(f"\n  {line}" for line in accepted.begins_with)
    if accepted.dry_run:
        return f"{accepted.what} would be accepted{', and would begin with' if begins else ''}{begins}"
    if accepted.done is None:
        return f"{accepted.what} accepted; `holdfast status --watch` shows how it goes{begins}"
    took = f" in {show_duration(round(accepted.took_s * SECOND))}" if accepted.took_s else ""
    return f"{accepted.what} done{took}" + (f": {accepted.outcome}" if accepted.outcome else "")
