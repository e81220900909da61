"""What reading a value needs besides the value: where problems go, and what its text may refer to."""

import re
from collections.abc import Mapping as Names
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from holdfast.config.accounts import Accounts
from holdfast.config.document import Mapping, Node, Place, Scalar, Sequence
from holdfast.config.problems import Problem, quote
from holdfast.model.value import Value


class _Invalid(Enum):
    INVALID = "invalid"


INVALID: Final = _Invalid.INVALID  # stands for a value that was refused; its problem has been noted
Invalid: TypeAlias = _Invalid

_TEMPLATE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SECRET_KEYS = frozenset({"env", "headers", "options", "parameters"})  # what stands below them is never shown


class Scope(Value, frozen=True):
    """Where we are while reading. `variables` is None where text is taken as it is."""

    problems: list[Problem]
    folder: Path  # of the file: relative paths start here
    accounts: Accounts
    variables: Names[str, str] | None = None

    def refuse(self, node: Node, message: str, hint: str = "") -> Invalid:
        """Note that the value of `node` cannot be used."""
        self.refuse_at(node.place, message, hint, seen="" if is_secret(node.place) else show(node))
        return INVALID

    def refuse_at(self, place: Place, message: str, hint: str = "", *, seen: str = "") -> None:
        """Note a problem of a place: a key that is unknown or missing, or two values that do not fit."""
        problem = Problem(place.line, place.column, place.path, seen, message, hint)
        # What several members inherit is read once for each of them; its problem is one.
        if problem not in self.problems:
            self.problems.append(problem)

    def fill(self, scalar: Scalar, text: str | None = None) -> str | Invalid:
        """Return the scalar's text, or a part of it, with its {variables} filled in."""
        text = scalar.text if text is None else text
        if "\0" in text:  # nobody but ourselves writes it: see model/blanks.py
            return self.refuse(scalar, "holds a NUL character, which no program can be given")
        if self.variables is None:
            return text
        variables = self.variables
        fault = ""

        def value_of(match: re.Match[str]) -> str:
            nonlocal fault
            if match[0] in ("{{", "}}"):
                return match[0][0]
            if match[1] is not None and match[1] in variables:
                return variables[match[1]]
            fault = fault or match[0]
            return ""

        filled = _TEMPLATE.sub(value_of, text)
        if fault:
            return self._refuse_variable(scalar, fault, variables)
        return filled

    def _refuse_variable(self, scalar: Scalar, fault: str, variables: Names[str, str]) -> Invalid:
        known = ", ".join(sorted(f"{{{name}}}" for name in variables))
        literal = "for a brace itself write {{ or }}"
        if is_secret(scalar.place) or fault in "{}":
            return self.refuse(scalar, f"has a brace that names no variable (known here: {known})", literal)
        if fault == "{port}":
            return self.refuse(
                scalar, "there is no {port} here: the member has none", "give the service a port"
            )
        return self.refuse(scalar, f"there is no variable {quote(fault)[1:-1]}; known here: {known}", literal)


def is_secret(place: Place) -> bool:
    """Tell whether what stands there may be a secret, and so must not be shown."""
    return not _SECRET_KEYS.isdisjoint(place.path)


def show(node: Node) -> str:
    """Return the value for people, on one line."""
    match node:
        case Scalar(is_null=True):
            return "nothing"
        case Scalar(text=text):
            return quote(text)
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"


def assignment(node: Node, text: str) -> str:
    """Return how to write `text` at the node's place: `window: 2s`, or `- 2s` in a list."""
    key = node.place.path[-1] if node.place.path else ""
    return text if not key or key.startswith("[") else f"{key}: {text}"
