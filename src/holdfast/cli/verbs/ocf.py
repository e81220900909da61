"""`holdfast ocf`: the resource agents of this host, and what each says of itself."""

import difflib

import click

from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.painting import Paint, Tone, terminal_paint
from holdfast.cli.printing import print_json
from holdfast.cli.table import Cell, table, wrap
from holdfast.config import resource_agents
from holdfast.config.resource_agents import Action, Metadata, Parameter, UnknownAgentError
from holdfast.model.time import SECOND, show_duration

_INDENT = "    "


@click.group()
def ocf() -> None:
    """Show the OCF resource agents of this host.

    A resource agent is a program that starts, stops and looks after one kind of thing: an address, a file
    system, a server. The file names one with `run: { ocf: AGENT, parameters: {...} }`. On Debian they come with
    the package resource-agents.

    \b
    Examples:
      holdfast ocf list
      holdfast ocf show ocf:heartbeat:IPaddr2
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped


@ocf.command("list")
@click.argument("word", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(word: str | None, *, as_json: bool) -> None:
    """List the agents of this host, and whether each knows roles.

    With WORD only those that have it in their name or in their line. Each agent is asked what it says of
    itself, which takes some seconds for all of them. Of an agent that can be promoted, members run as standbys
    and one is primary (`mode: active-standby`).

    \b
    Examples:
      holdfast ocf list
      holdfast ocf list sql
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    found = [(name, _asked(name)) for name in resource_agents.installed()]
    wanted = [(name, told) for name, told in found if word is None or _speaks_of(name, told, word)]
    if as_json:
        print_json([_summary(name, told) for name, told in wanted])
        return
    if not wanted:
        root = resource_agents.ocf_root() / "resource.d"
        text = f"no resource agents in {root}" if not found else f"no resource agent speaks of {word!r}"
        raise Trouble(text, hint="" if found else "install the package resource-agents")
    rows = [(f"ocf:{name}", _roles(told), _line(told)) for name, told in wanted]
    for line in table(("AGENT", "ROLES", "WHAT IT LOOKS AFTER"), rows, terminal_paint()):
        click.echo(line)


@ocf.command()
@click.argument("agent")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(agent: str, *, as_json: bool) -> None:
    """Show what an agent can be told, and how long its actions take.

    Every parameter with its type, its default and what it means; then the actions, with the times that the
    agent advises. AGENT is its full name, or its last part where that is enough.

    \b
    Examples:
      holdfast ocf show ocf:heartbeat:IPaddr2
      holdfast ocf show pgsql
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    name = _find(agent)
    try:
        told = resource_agents.metadata_of(name)
    except UnknownAgentError as error:
        raise Trouble(str(error)) from error
    if as_json:
        print_json(_summary(name, told) | {"parameters": [one._asdict() for one in told.parameters.values()]})
        return
    for line in _page(name, told, terminal_paint()):
        click.echo(line)


def _page(name: str, told: Metadata, paint: Paint) -> list[str]:
    lines = [paint(f"ocf:{name}", Tone.STRONG) + (f"  {told.short}" if told.short else "")]
    for paragraph in told.long.split("\n\n"):
        lines += ["", *wrap(" ".join(paragraph.split()), paint)] if paragraph.strip() else []
    lines += ["", paint("Parameters", Tone.STRONG)]
    for parameter in sorted(told.parameters.values(), key=lambda one: not one.is_required):
        lines += _about(parameter, paint)
    lines += ["", paint("Actions", Tone.STRONG)]
    rows = [_row(action) for action in told.actions]
    lines += table(("ACTION", "TIMEOUT", "EVERY", "DEPTH", "ROLE"), rows, paint)
    if not told.is_promotable:
        lines += ["", *wrap("It knows no roles: mode is singleton, or active-active.", paint)]
    return lines


def _about(parameter: Parameter, paint: Paint) -> list[str]:
    is_given = f", default {parameter.default}" if parameter.default else ""
    kind = "required" if parameter.is_required else f"optional{is_given}"
    text = parameter.long if len(parameter.long) >= len(parameter.short) else parameter.short
    about = wrap(" ".join(text.split()), paint, first=_INDENT) if text else []
    choices = (
        wrap(f"One of {', '.join(parameter.choices)}.", paint, first=_INDENT) if parameter.choices else []
    )
    return [f"  {parameter.name} ({parameter.kind}, {kind})", *about, *choices]


def _row(action: Action) -> tuple[Cell | str, ...]:
    timeout = show_duration(action.timeout) if action.timeout else ""
    interval = show_duration(action.interval) if action.interval else ""
    return (action.name, timeout, interval, action.depth if action.depth != "0" else "", action.role)


def _find(agent: str) -> str:
    """Return PROVIDER:NAME of the agent that is meant; Trouble if there is none, or more than one."""
    name, known = agent.removeprefix("ocf:"), resource_agents.installed()
    if name in known:
        return name
    short = [one for one in known if one.partition(":")[2].lower() == name.lower()]
    if len(short) == 1:
        return short[0]
    if short:
        raise Trouble(
            f"several agents are called {name}", ExitCode.USAGE, hint=", ".join(f"ocf:{one}" for one in short)
        )
    everything = {one.partition(":")[2]: one for one in known} | {one: one for one in known}
    near = [everything[one] for one in difflib.get_close_matches(name, everything, n=2)]
    hint = (
        f"did you mean {' or '.join(f'ocf:{one}' for one in near)}?"
        if near
        else "holdfast ocf list names them all"
    )
    raise Trouble(f"this host has no resource agent {agent!r}", ExitCode.USAGE, hint=hint)


def _asked(name: str) -> Metadata | str:
    try:
        return resource_agents.metadata_of(name)
    except UnknownAgentError as error:
        return str(error)


def _speaks_of(name: str, told: Metadata | str, word: str) -> bool:
    return word.lower() in f"{name} {_line(told)}".lower()


def _line(told: Metadata | str) -> str:
    return told if isinstance(told, str) else told.short


def _roles(told: Metadata | str) -> str:
    return "primary, standby" if isinstance(told, Metadata) and told.is_promotable else ""


def _summary(name: str, told: Metadata | str) -> dict[str, object]:
    if isinstance(told, str):
        return {"agent": f"ocf:{name}", "problem": told}
    actions = [_in_seconds(action) for action in told.actions]
    return {
        "agent": f"ocf:{name}",
        "about": told.short,
        "is_promotable": told.is_promotable,
        "actions": actions,
    }


def _in_seconds(action: Action) -> dict[str, object]:
    timeout = action.timeout / SECOND if action.timeout is not None else None
    every = action.interval / SECOND if action.interval is not None else None
    return {
        "name": action.name,
        "timeout_s": timeout,
        "every_s": every,
        "depth": action.depth,
        "role": action.role,
    }
