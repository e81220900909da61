"""The reference of every key, as Markdown. `python -m holdfast.config.reference FILE` renews it in a document.

It stands between two marks, so that people may write around it; a test holds it to the tables.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from holdfast.config.keys import Key, Section, Table, sections
from holdfast.config.tables import ROOT

BEGIN = "<!-- keys: written by python -m holdfast.config.reference -->"
END = "<!-- end of keys -->"


def reference() -> str:
    """Return the tables of all keys as Markdown."""
    tables = (ROOT, *sections(tuple(key.kind for key in ROOT.keys)))
    return "\n".join(_table(table) for table in tables)


def renewed(document: str) -> str:
    """Return `document` with the reference between its marks made anew."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def _table(table: Table) -> str:
    rows = [
        f"| `{key.name}` | {_allowed(key)} | {_default(table, key)} | {_cell(key.doc)} |"
        for key in table.keys
    ]
    head = ["| key | what may stand there | default | what it is |", "|---|---|---|---|"]
    title = f"### `{table.title}`" if table.title else "### The top"
    return "\n".join([title, "", table.doc, "", *head, *rows, ""])


def _allowed(key: Key) -> str:
    inside = sections((key.kind,), deep=False)
    return _cell(key.kind.words + "".join(f": see `{table.title}`" for table in inside))


def _default(table: Table, key: Key) -> str:
    if key.is_required:
        return "**required**"
    if key.default:
        return _cell(key.default)
    default = table.default(key)
    if default is msgspec.NODEFAULT or default is None or isinstance(key.kind, Section):
        return ""
    return _show(key.kind.written(default))


def _show(written: Any) -> str:  # noqa: ANN401 - whatever a key may hold
    if isinstance(written, bool):
        return "`true`" if written else "`false`"
    if isinstance(written, float):
        return f"`{written:g}`"
    return f"`{written}`" if written not in ("", {}, [], ()) else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text("utf-8")), "utf-8")
