"""The reference of all verbs, made from their own help, for docs/cli.md.

A page that is written beside the program drifts from it. The part of the page between the two marks is this
text, and a test holds it to that.
"""

import click

from holdfast.cli.main import SECTIONS, VERBS, main

BEGIN, END = "<!-- made from --help: begin -->\n", "<!-- made from --help: end -->\n"
_WIDTH = 100


def reference() -> str:
    """Return the help of every verb, by section, as Markdown."""
    root = click.Context(main, info_name="holdfast", terminal_width=_WIDTH, max_content_width=_WIDTH)
    parts = []
    for section in SECTIONS:
        parts.append(f"## {section}\n")
        parts += [_verb(name, root) for name, verb in VERBS.items() if verb.section == section]
    return "\n".join(parts)


def renewed(page: str) -> str:
    """Return the page with its reference made anew; ValueError if a mark is missing."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("a mark of the reference is missing")
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


def _verb(name: str, root: click.Context) -> str:
    command = main.get_command(root, name)
    assert command is not None
    return _help(name, command, root, "###")


def _help(name: str, command: click.Command, parent: click.Context, level: str) -> str:
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    with context:
        text = f"{level} {context.command_path}\n\n```\n{command.get_help(context).rstrip()}\n```\n"
    if not isinstance(command, click.Group):
        return text
    under = [_help(one.name or "", one, context, f"{level}#") for one in command.commands.values()]
    return "\n".join([text, *under])
