"""Tables of plain text: columns as wide as their widest cell, padded before they are painted.

Colour codes have no width on the screen but would count as text, so a cell keeps its tone beside its text.
"""

import textwrap
from collections.abc import Sequence
from typing import TypeAlias

from holdfast.cli.painting import Paint, Tone, printable
from holdfast.model.value import Value


class Cell(Value, frozen=True):
    """One cell."""

    text: str
    tone: Tone = Tone.PLAIN


Row: TypeAlias = Sequence[Cell | str]


def as_cell(cell: Cell | str) -> Cell:
    """Return a text as a cell, without what steers a terminal."""
    plain = cell if isinstance(cell, Cell) else Cell(cell)
    return plain if plain.text.isprintable() else Cell(printable(plain.text), plain.tone)


def widths(rows: Sequence[Row]) -> list[int]:
    """Return how wide each column has to be."""
    columns = max((len(row) for row in rows), default=0)
    return [
        max((len(as_cell(row[i]).text) for row in rows if i < len(row)), default=0) for i in range(columns)
    ]


def table(head: Row, rows: Sequence[Row], paint: Paint, *, gap: int = 2) -> list[str]:
    """Return the lines of a table under a heading; no line ends in blanks."""
    heading = [Cell(as_cell(cell).text, Tone.QUIET) for cell in head]
    wide = widths([heading, *rows])
    return [line(row, wide, paint, gap=gap) for row in [heading, *rows]]


def line(row: Row, wide: Sequence[int], paint: Paint, *, gap: int = 2) -> str:
    """Return one row; the last cell with text in it is not padded."""
    cells = [as_cell(cell) for cell in row]
    while cells and not cells[-1].text:
        cells.pop()
    padding = [" " * (wide[i] - len(cell.text) + gap) for i, cell in enumerate(cells[:-1])] + [""]
    return "".join(paint(cell.text, cell.tone) + pad for cell, pad in zip(cells, padding, strict=False))


def wrap(text: str, paint: Paint, *, first: str = "", rest: str | None = None) -> list[str]:
    """Return `text` on lines no wider than the screen, after `first` and then `rest` (blanks as wide as `first`)."""
    indent = " " * len(first) if rest is None else rest
    width = max(paint.width, len(first) + 20)
    lines = textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or ([first.rstrip()] if first.strip() else [])


def bar(share: float, cells: int = 12) -> str:
    """Return a bar such as `[==========..]`. It is full only at 1 and empty only at 0."""
    filled = round(share * cells)
    if 0 < share < 1:
        filled = min(max(filled, 1), cells - 1)
    filled = min(max(filled, 0), cells)
    return "[" + "=" * filled + "." * (cells - filled) + "]"
