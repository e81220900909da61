"""Colour for those who see it, and words and symbols for everybody: a colour never says anything alone."""

import os
import shutil
import sys
from enum import Enum

from holdfast.model.value import Value


class Tone(Enum):
    """What a piece of text means; how that looks is decided by `Paint`."""

    PLAIN = ""
    GOOD = "32"
    WARN = "33"
    BAD = "31"
    QUIET = "2"
    STRONG = "1"


class Paint(Value, frozen=True):
    """How text may look on the present output."""

    is_coloured: bool = False
    width: int = 80

    def __call__(self, text: str, tone: Tone) -> str:
        """Return `text` in its tone, unchanged where there is no colour."""
        if not self.is_coloured or tone is Tone.PLAIN or not text:
            return text
        return f"\x1b[{tone.value}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Return `text` without what steers a terminal: output of components ends up on this screen."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def terminal_paint() -> Paint:
    """Return the paint for stdout: colour only on a terminal that did not ask for none (https://no-color.org)."""
    is_terminal = sys.stdout.isatty()
    refused = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = shutil.get_terminal_size((80, 24)).columns if is_terminal else 80
    return Paint(is_coloured=is_terminal and not refused, width=max(width, 40))
