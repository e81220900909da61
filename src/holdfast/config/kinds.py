"""What may stand behind a key: a duration, a name, a choice. Each kind reads, explains and describes itself.

One kind answers for its parsing, for its words in an error, for the JSON Schema and for the reference, so that
these four can never say different things.
"""

import re
from enum import StrEnum
from typing import Any

from holdfast.config.document import Mapping, Node, Scalar, Sequence
from holdfast.config.problems import did_you_mean, quote
from holdfast.config.scope import INVALID, Scope, assignment
from holdfast.model import blanks
from holdfast.model.value import Value

Schema = dict[str, Any]
NAME_PATTERN = "[a-z0-9][a-z0-9-]{0,39}"

_SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL")


class RefusedError(Exception):
    """A text is not of the kind that is asked for."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Kind(Value, frozen=True):
    """What may stand behind a key. A kind of single words implements `parse`, any other `read`."""

    def read(self, node: Node, scope: Scope) -> Any:  # noqa: ANN401 - each kind has a result type of its own
        """Return the value; INVALID after noting what is wrong with it."""
        if not isinstance(node, Scalar):
            return scope.refuse(node, f"must be {self.words}", quoting_hint(node))
        if node.is_null:
            return scope.refuse(node, f"must be {self.words}", "write a value, or remove the key")
        text = scope.fill(node)
        if text is INVALID:
            return INVALID
        try:
            return self.parse(Scalar(node.place, text, node.tag))
        except RefusedError as refused:
            return scope.refuse(node, refused.message, refused.hint)

    def parse(self, scalar: Scalar) -> Any:  # noqa: ANN401 - each kind has a result type of its own
        """Return what the scalar's text stands for; RefusedError if it stands for nothing."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """What is allowed, to follow "must be"."""
        raise NotImplementedError

    def schema(self) -> Schema:
        """Return the JSON Schema of what may be written."""
        raise NotImplementedError

    def inner(self) -> "tuple[Kind, ...]":
        """Return the kinds of what stands inside."""
        return ()

    def written(self, value: Any) -> Any:  # noqa: ANN401 - each kind has a value type of its own
        """Return how `value` is written in the file, as JSON has it."""
        return value


def quoting_hint(node: Node) -> str:
    """Return a hint if somebody forgot quotes: YAML reads {port} as a mapping."""
    match node:
        case Mapping(entries=entries) if len(entries) == 1:
            key, value = next(iter(entries.items()))
            if isinstance(value, Scalar) and value.is_null:
                return f'text that begins with a brace needs quotes: "{{{key}}}"'
    return ""


class Text(Kind, frozen=True):
    """Any text. Numbers and booleans must be in quotes, so that 010 or `no` never surprise."""

    pattern: str = ""
    named: str = "text"

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if scalar.tag != "str":
            raise RefusedError(f"must be {self.words}", "put it in quotes")
        if self.pattern and not re.fullmatch(self.pattern, scalar.text):
            raise RefusedError(f"must be {self.words}")
        return scalar.text

    @property
    def words(self) -> str:
        """What is allowed."""
        return self.named

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string"} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


def name_kind() -> Text:
    """Return the kind of names of systems, services, members and probes."""
    return Text(NAME_PATTERN, "a name of a-z, 0-9 and -, at most 40 long, such as orders-db")


class Plain(Kind, frozen=True):
    """Any single value, taken by its source text: `8080` is "8080", `true` is "true"."""

    is_one_line: bool = False

    def parse(self, scalar: Scalar) -> str:
        """Return the source text."""
        if self.is_one_line and not blanks.shaped(scalar.text).isprintable():
            raise RefusedError("must be one line of printable characters")
        return scalar.text

    @property
    def words(self) -> str:
        """What is allowed."""
        return "text or a number"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": ["string", "number", "boolean"]}


class Choice(Kind, frozen=True):
    """One of a few words."""

    of: type[StrEnum]

    def parse(self, scalar: Scalar) -> StrEnum:
        """Return the chosen word."""
        try:
            return self.of(scalar.text)
        except ValueError:
            hint = did_you_mean(scalar.text, list(self.of))
            raise RefusedError(f"must be {self.words}", hint if hint.startswith("did") else "") from None

    @property
    def words(self) -> str:
        """What is allowed."""
        *most, last = self.of
        return f"{', '.join(most)} or {last}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"enum": [str(word) for word in self.of]}

    def written(self, value: StrEnum) -> str:
        """Return the word."""
        return str(value)


class Signal(Kind, frozen=True):
    """A signal that asks a process to end."""

    def parse(self, scalar: Scalar) -> str:
        """Return the name without SIG."""
        name = scalar.text.removeprefix("SIG")
        if name not in _SIGNALS:
            upper = name.upper().removeprefix("SIG")
            raise RefusedError(f"must be {self.words}", f"write {upper}" if upper in _SIGNALS else "")
        return name

    @property
    def words(self) -> str:
        """What is allowed."""
        return f"{', '.join(_SIGNALS[:-1])} or {_SIGNALS[-1]}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": f"^(SIG)?({'|'.join(_SIGNALS)})$"}


class Flag(Kind, frozen=True):
    """Yes or no."""

    def parse(self, scalar: Scalar) -> bool:
        """Return it."""
        text = scalar.text.lower()
        if scalar.tag == "bool" and text in ("true", "false"):
            return text == "true"
        meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
        meant |= {"true": "true", "false": "false"}
        hint = f"write {assignment(scalar, meant[text])}" if text in meant else ""
        raise RefusedError(f"must be {self.words}", hint)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "true or false"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "boolean"}


class ListOf(Kind, frozen=True):
    """A list of values of one kind."""

    item: Kind

    def read(self, node: Node, scope: Scope) -> Any:  # noqa: ANN401 - the item's kind decides
        """Return the items; INVALID if any of them is."""
        if not isinstance(node, Sequence):
            hint = f"write {assignment(node, f'[{node.text}]')}" if isinstance(node, Scalar) else ""
            return scope.refuse(node, f"must be {self.words}", "" if "\n" in hint else hint)
        items = tuple(self.item.read(item, scope) for item in node.items)
        return INVALID if INVALID in items else items

    def inner(self) -> tuple[Kind, ...]:
        """Return the item's kind."""
        return (self.item,)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a list"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "array", "items": self.item.schema()}


class MapOf(Kind, frozen=True):
    """Names of the operator's choice, each with a value of one kind."""

    key: Text
    item: Kind

    def read(self, node: Node, scope: Scope) -> Any:  # noqa: ANN401 - the item's kind decides
        """Return the values by name; INVALID if any of them is, or any name is no name."""
        if isinstance(node, Scalar) and node.is_null:
            return {}
        if not isinstance(node, Mapping):
            return scope.refuse(node, f"must be {self.words}")
        found: dict[str, Any] = {}
        for key, entry in node.entries.items():
            if not self.accepts(key):
                scope.refuse_at(node.key_places[key], f"{quote(key)} must be {self.key.words}")
                found[key] = INVALID
                continue
            found[key] = self.item.read(entry, scope)
        return INVALID if INVALID in found.values() else found

    def accepts(self, key: str) -> bool:
        """Tell whether `key` may be a name here."""
        return re.fullmatch(self.key.pattern, key) is not None

    def inner(self) -> tuple[Kind, ...]:
        """Return the values' kind."""
        return (self.item,)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a mapping of names to values"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        pattern = {f"^(?:{self.key.pattern})$": self.item.schema()}
        return {"type": ["object", "null"], "patternProperties": pattern, "additionalProperties": False}
