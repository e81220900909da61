"""The YAML text as a tree in which every value knows its place and its path.

PyYAML's composer gives nodes with line and column. Here they become a tree of our own: aliases and merge
keys are resolved, so a node has one path; a key that is there twice is refused instead of losing the first.
Values keep their source text: whether `8080` is a number or a text is for the key to say, not for YAML.
"""

import re
from typing import Protocol, TypeAlias

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from holdfast.config.problems import Problem, quote, show_key
from holdfast.model.value import Value

BYTES_MAX = 1_000_000
VALUES_MAX = 50_000  # aliases multiply: a page of text can stand for billions of values
DEPTH_MAX = 40  # an alias can even hold itself

_TAG = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HINTS = {
    "mapping values are not allowed": 'put text that contains ": " in quotes',
    "cannot start any token": "indent with spaces, not tabs; put text that begins with @, ` or % in quotes",
    "did not find expected key": "look at the indentation of this line and the one above; close every quote",
    "undefined alias": "an alias (*name) needs its anchor (&name) above it; put other text with * in quotes",
    "expected a single document": "keep one document in the file: remove the second ---",
    "quoted scalar": "close the quote",
}


class _Mark(Protocol):
    """A place in the text, in PyYAML's words: counted from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class Place(Value, frozen=True):
    """Where something stands: keys from the top, and line and column counted from 1."""

    path: tuple[str, ...]
    line: int
    column: int


class Scalar(Value, frozen=True):
    """One word, number or text."""

    place: Place
    text: str
    tag: str  # "str", "int", "float", "bool" or "null", as YAML reads it

    @property
    def is_null(self) -> bool:
        """Tell whether nothing was written."""
        return self.tag == "null"


class Sequence(Value, frozen=True):
    """A list."""

    place: Place
    items: "tuple[Node, ...]"


class Mapping(Value, frozen=True):
    """Keys with their values, in the file's order."""

    place: Place
    entries: "dict[str, Node]"
    key_places: dict[str, Place]


Node: TypeAlias = Scalar | Sequence | Mapping


class UnreadableError(Exception):
    """The text is no document at all, or one too large to look at."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.text)


def parse(text: str, problems: list[Problem]) -> Node:
    """Return the document in `text`; add keys that are refused to `problems`."""
    if found := _UNPRINTABLE.search(text):
        line, column = position(text, found.start())
        character = f"U+{ord(found[0]):04X}"
        raise UnreadableError(
            Problem(line, column, (), "", f"the character {character} is not allowed in YAML")
        )
    if len(text) > BYTES_MAX:
        raise UnreadableError(Problem(1, 1, (), "", f"the file is longer than {BYTES_MAX // 1_000_000} MB"))
    _check_depth(text)
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(_problem_of(error)) from error
    if root is None:
        raise UnreadableError(
            Problem(1, 1, (), "", "the file is empty", "begin with system: NAME and services:")
        )
    return _Converter(problems).convert(root, ())


def position(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of the character at `offset`, counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def nearest(root: Node, path: tuple[str, ...]) -> Place:
    """Return the place of what stands at `path`, or of the closest thing above it that is written."""
    node = root
    for part in path:
        match node:
            case Mapping(entries=entries) if part in entries:
                node = entries[part]
            case Sequence(items=items) if part.startswith("[") and int(part[1:-1]) < len(items):
                node = items[int(part[1:-1])]
            case _:
                break
    return Place(path, node.place.line, node.place.column)


def _check_depth(text: str) -> None:
    # The composer recurses in C for each level, without a limit of its own: count before it starts.
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEPTH_MAX:
                    raise UnreadableError(_too_deep(_place((), event.start_mark)))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(_problem_of(error)) from error


def _too_deep(place: Place) -> Problem:
    return Problem(
        place.line, place.column, place.path[:6], "", f"is nested more than {DEPTH_MAX} levels deep"
    )


def _problem_of(error: yaml.MarkedYAMLError) -> Problem:
    place = _place((), error.problem_mark or error.context_mark)
    context = f"{error.context}: " if error.context else ""
    message = f"is not YAML: {context}{error.problem or 'unknown error'}"
    hint = next((hint for part, hint in _HINTS.items() if part in message), "")
    return Problem(place.line, place.column, (), "", " ".join(message.split()), hint)


def _place(path: tuple[str, ...], mark: _Mark | None) -> Place:
    return Place(path, mark.line + 1, mark.column + 1) if mark else Place(path, 1, 1)


class _Converter:
    """One pass over the composed nodes. It holds the count of values, because aliases make a tree of a graph."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._values = 0

    def convert(self, node: yaml.Node, path: tuple[str, ...]) -> Node:
        """Return `node` as part of our tree."""
        place = _place(path, node.start_mark)
        self._values += 1
        if len(path) > DEPTH_MAX:
            raise UnreadableError(_too_deep(place))
        if self._values > VALUES_MAX:
            message = f"stands for more than {VALUES_MAX} values, aliases counted"
            raise UnreadableError(Problem(place.line, place.column, (), "", message))
        self._check_tag(node, place)
        match node:
            case ScalarNode():
                return Scalar(place, node.value, node.tag.removeprefix(_TAG))
            case SequenceNode():
                items = (self.convert(item, (*path, f"[{i}]")) for i, item in enumerate(node.value))
                return Sequence(place, tuple(items))
            case MappingNode():
                return self._mapping(node, place)
            case _:
                raise AssertionError(node)

    def _mapping(self, node: MappingNode, place: Place) -> Mapping:
        entries: dict[str, Node] = {}
        key_places: dict[str, Place] = {}
        merged: list[tuple[yaml.Node, Place]] = []
        for key_node, value in node.value:
            key_place = _place(place.path, key_node.start_mark)
            if key_node.tag == _TAG + "merge":
                merged.append((value, key_place))
            elif not isinstance(key_node, ScalarNode):
                self._refuse(
                    key_place, "a key must be a plain word", "a value that begins with { or [ needs quotes"
                )
            elif (key := key_node.value) in entries:
                first = key_places[key]
                message = f"{show_key(key)} is there twice, first in line {first.line}"
                self._refuse(key_place, message, "remove one of them")
            else:
                entries[key] = self.convert(value, (*place.path, key))
                key_places[key] = key_place
        for value, key_place in merged:
            self._merge(value, key_place, entries, key_places)
        return Mapping(place, entries, key_places)

    def _merge(
        self, value: yaml.Node, key_place: Place, entries: dict[str, Node], key_places: dict[str, Place]
    ) -> None:
        """Add what `<<` brings; what is written out in the mapping itself, or merged earlier, wins."""
        sources = value.value if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._refuse(key_place, "<< takes a mapping, or a list of them", "write <<: *name")
                continue
            node = self.convert(source, key_place.path)
            assert isinstance(node, Mapping)
            for key, entry in node.entries.items():
                if key not in entries:
                    entries[key] = entry
                    key_places[key] = node.key_places[key]

    def _check_tag(self, node: yaml.Node, place: Place) -> None:
        if not node.tag.startswith(_TAG):
            self._refuse(place, f"the tag {quote(node.tag)} means nothing here", "remove it")

    def _refuse(self, place: Place, message: str, hint: str) -> None:
        self._problems.append(Problem(place.line, place.column, place.path, "", message, hint))
