"""What is wrong with the file: every problem at once, each with its place, what is allowed and a hint.

An operator who has to start the program ten times to learn of ten mistakes stops trusting it. So reading
never stops at the first problem: it notes it and goes on, and one error carries them all.
"""

import difflib
import json
import re
from collections.abc import Iterable

from holdfast.model.value import Value

_PLAIN_KEY = re.compile(r"[\w./+-]+")
_SEEN_LENGTH_MAX = 60
_KNOWN_MAX = 20  # names in a hint


class Problem(Value, frozen=True):
    """One thing that the operator has to change. Lines and columns count from 1, as editors do."""

    line: int  # 0: the file as a whole, which could not be read
    column: int
    path: tuple[str, ...]  # keys from the top; an item of a list is "[0]"
    seen: str  # the value as it may be shown; empty: the key is missing, unknown, or secret
    message: str
    hint: str = ""

    @property
    def text(self) -> str:
        """The problem without its file: `12:9: services.web.port = 0: must be from 1 to 65535`."""
        place = f"{self.line}:{self.column}: " if self.line else ""
        where = show_path(self.path)
        value = f" = {self.seen}" if self.seen and where else self.seen
        subject = f"{where}{value}: " if where or value else ""
        return one_line(f"{place}{subject}{self.message}" + (f"; {self.hint}" if self.hint else ""))


class ConfigError(Exception):
    """The file cannot be used. Its text is one line for each problem, in the file's order."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        lines = (f"{one_line(name)}:{'' if problem.line else ' '}{problem.text}" for problem in self.problems)
        super().__init__("\n".join(lines))


def show_path(path: Iterable[str]) -> str:
    """Return the path as people write it: `services.web.run.command[2]`."""
    parts = (part if part.startswith("[") else "." + show_key(part) for part in path)
    return "".join(parts).removeprefix(".")


def show_key(key: str) -> str:
    """Return the key, in quotes if it holds anything unusual."""
    return key if _PLAIN_KEY.fullmatch(key) else quote(key)


def quote(text: str) -> str:
    """Return `text` in quotes, on one line, shortened."""
    short = text if len(text) <= _SEEN_LENGTH_MAX else text[: _SEEN_LENGTH_MAX - 3] + "..."
    return one_line(json.dumps(short, ensure_ascii=False))


def one_line(text: str) -> str:
    """Return `text` with what would break the line, or paint the terminal, written as an escape."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint towards the known word that `word` was probably meant to be; else name them all."""
    words = list(known)
    near = difflib.get_close_matches(word.lower().replace("-", "_"), words, n=1, cutoff=0.6)
    near = near or difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(words) - _KNOWN_MAX} more" if len(words) > _KNOWN_MAX else ""
    return f"known: {', '.join(words[:_KNOWN_MAX])}{more}" if words else ""
