"""Tables of keys, and the one reader for all of them.

A section of the file is a table: each key is declared once with its kind, its place in the model and a
sentence. Reading, JSON Schema and reference are three ways to walk it. Defaults are the model's own.
"""

from typing import Any

import msgspec

from holdfast.config.document import Mapping, Node, Place, Scalar
from holdfast.config.kinds import Kind, Schema
from holdfast.config.problems import did_you_mean, show_key
from holdfast.config.scope import INVALID, Invalid, Scope, show
from holdfast.model.value import Value, replace


class Key(Value, frozen=True):
    """One key of a section."""

    name: str
    kind: Kind
    doc: str
    field: str = ""  # of the model; empty: called as the key
    model: type[msgspec.Struct] | None = None  # the one with the field; None: the table's
    is_required: bool = False
    default: str = ""  # in words, where the model has none


class Table(Value, frozen=True):
    """One section: its keys, and the value of the model that they fill."""

    title: str  # as it stands in the reference: "services.NAME.restart"
    doc: str
    model: type[msgspec.Struct]
    keys: tuple[Key, ...]
    ordered: tuple[tuple[str, str], ...] = ()  # pairs of keys: the first must be at most the second
    exactly_one: tuple[str, ...] = ()  # keys of which one is there, and only one
    example: str = ""
    is_shared_out: bool = False  # written in parts, in a service and its members: each part may lack any key
    has_extensions: bool = False  # keys that begin with x- are free, as a place for anchors

    @property
    def id(self) -> str:
        """The table's name in the JSON Schema: the parts of its title that are keys."""
        return "-".join(part for part in self.title.split(".") if part.islower())

    def key(self, name: str) -> Key:
        """Return the key called `name`, which is there."""
        return next(key for key in self.keys if key.name == name)

    def default(self, key: Key) -> Any:  # noqa: ANN401 - each key has a type of its own
        """Return the model's default for the key; NODEFAULT if it has none."""
        fields = msgspec.structs.fields(key.model or self.model)
        field = next((field for field in fields if field.name == (key.field or key.name)), None)
        if field is None:
            return msgspec.NODEFAULT
        if field.default_factory is not msgspec.NODEFAULT:
            return field.default_factory()
        return field.default


class Reading(Value, frozen=True):
    """What was read from one section: by key, only what was written and is valid."""

    place: Place
    table: Table
    values: dict[str, Any]
    invalid: frozenset[str]  # written, but refused; or required and missing
    key_places: dict[str, Place] = {}

    def fields(self, *names: str) -> dict[str, Any]:
        """Return the values by the names of the model's fields; only of the keys `names`, if any are given."""
        keys = (
            key for key in self.table.keys if key.name in self.values and (not names or key.name in names)
        )
        return {key.field or key.name: self.values[key.name] for key in keys}

    def get(self, name: str) -> Any:  # noqa: ANN401 - each key has a type of its own
        """Return the key's value, its default if it was not written or is invalid."""
        if name in self.values:
            return self.values[name]
        default = self.table.default(self.table.key(name))
        return None if default is msgspec.NODEFAULT else default


class Section(Kind, frozen=True):
    """A mapping with the keys of a table, read into its model."""

    table: Table

    def read(self, node: Node, scope: Scope) -> Any:  # noqa: ANN401 - the table's model decides
        """Return the value of the model."""
        reading = read_table(self.table, node, scope)
        if reading is INVALID or not self.check(reading, scope) or reading.invalid:
            return INVALID
        return self.build(reading)

    def check(self, reading: Reading, scope: Scope) -> bool:  # noqa: ARG002 - for those who have something to check
        """Tell whether the keys fit together; note what does not."""
        return True

    def build(self, reading: Reading) -> Any:  # noqa: ANN401 - the table's model decides
        """Return the value of the model from a section without faults."""
        return self.table.model(**reading.fields())

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a mapping"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"$ref": f"#/$defs/{self.table.id}"}


class Part(Section, frozen=True):
    """A section whose keys fill some fields of the model above it."""

    def build(self, reading: Reading) -> dict[str, Any]:
        """Return the fields that were written."""
        return reading.fields()


class Later(Kind, frozen=True):
    """A part that is read once its surroundings are known. Until then it is its node."""

    kind: Kind

    def read(self, node: Node, scope: Scope) -> Node:  # noqa: ARG002 - nothing can be wrong with it yet
        """Return the node as it is."""
        return node

    def inner(self) -> tuple[Kind, ...]:
        """Return the kind of the part."""
        return (self.kind,)

    @property
    def words(self) -> str:
        """What is allowed."""
        return self.kind.words

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return self.kind.schema()


def read_table(table: Table, node: Node, scope: Scope) -> Reading | Invalid:
    """Read one section; note every problem in it. A section without anything in it is one without keys."""
    if isinstance(node, Scalar) and node.is_null:
        node = Mapping(node.place, {}, {})
    if not isinstance(node, Mapping):
        names = ", ".join(key.name for key in table.keys[:4])
        return scope.refuse(node, f"must be a mapping with keys such as {names}", table.example)
    known = {key.name: key for key in table.keys}
    values: dict[str, Any] = {}
    invalid = {key.name for key in table.keys if key.is_required and key.name not in node.entries}
    for name in sorted(invalid):
        scope.refuse_at(node.place, f"needs the key {name}: {known[name].doc}", table.example)
    for name, entry in node.entries.items():
        if name in known:
            values[name] = known[name].kind.read(entry, scope)
        elif not (table.has_extensions and name.startswith("x-")):
            scope.refuse_at(
                key_place(node, name), "unknown key", _belongs(name, table) or did_you_mean(name, known)
            )
    invalid |= {name for name, value in values.items() if value is INVALID}
    valid = {name: value for name, value in values.items() if value is not INVALID}
    invalid |= _surplus(table, node, scope)
    places = {name: key_place(node, name) for name in node.entries}
    reading = Reading(node.place, table, valid, frozenset(invalid), places)
    return _in_order(reading, node, scope)


def _surplus(table: Table, node: Mapping, scope: Scope) -> set[str]:
    """Return the keys that exclude each other; note that, and also if none of them is there."""
    known = {key.name for key in table.keys}
    found = [name for name in table.exactly_one if name in node.entries]
    if not table.exactly_one or len(found) == 1:
        return set()
    if not found and any(name not in known for name in node.entries):
        return set(table.exactly_one)  # most likely it is there, misspelt, and has been named as unknown
    *most, last = table.exactly_one
    having = " and ".join(found) or "none of them"
    message = f"needs exactly one of {', '.join(most)} and {last}, has {having}"
    scope.refuse_at(node.place, message, table.example)
    return set(table.exactly_one)


def _belongs(name: str, table: Table) -> str:
    """Return a hint if the key is known one level deeper: `env` under `run`."""
    for key in table.keys:
        for section in sections((key.kind,), deep=False):
            if (
                any(inner.name == name for inner in section.keys)
                and "NAME" not in section.title.split(".")[-1]
            ):
                return f"it belongs under {key.name}"
    return ""


def sections(kinds: tuple[Kind, ...], *, deep: bool = True) -> tuple[Table, ...]:
    """Return the tables of sections among `kinds` and, if `deep`, inside of them; each once, outer ones first."""
    found: dict[str, Table] = {}
    for kind in kinds:
        if isinstance(kind, Section):
            found.setdefault(kind.table.id, kind.table)
            inner = tuple(key.kind for key in kind.table.keys) if deep else ()
        else:
            inner = kind.inner()
        for table in sections(inner, deep=deep) if inner else ():
            found.setdefault(table.id, table)
    return tuple(found.values())


def key_place(node: Mapping, name: str) -> Place:
    """Return where the key is written, with the path of its value."""
    place = node.key_places[name]
    return Place((*node.place.path, name), place.line, place.column)


def _in_order(reading: Reading, node: Mapping, scope: Scope) -> Reading:
    """Hold the pairs of the table: a default gives way to what is written above it, never the other way round."""
    values = dict(reading.values)
    for low, high in reading.table.ordered:
        most = reading.get(high)
        if low in reading.invalid or high in reading.invalid or reading.get(low) <= most:
            continue
        if low not in values:
            values[low] = most
            continue
        limit = reading.table.key(high).kind.written(most)
        default = "" if high in values else ", its default"
        entry = node.entries[low]
        message = f"must be at most {show_key(high)} ({limit}{default})"
        scope.refuse_at(entry.place, message, f"raise {high} or lower {low}", seen=show(entry))
    return replace(reading, values=values)
