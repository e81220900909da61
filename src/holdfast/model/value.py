"""The base of every value: frozen, compared by content, encodable to JSON with its name as tag.

Values are msgspec structs rather than dataclasses: building one costs a tenth of a microsecond
instead of one, which the simulator feels, and a closed union of them decodes by its tag, which
`replay` needs. See docs/decisions/0002-values-are-msgspec-structs.md.
"""

from typing import Any, TypeVar

import msgspec


class Value(msgspec.Struct, frozen=True):
    """A frozen value."""


class Tagged(msgspec.Struct, frozen=True, tag_field="is", tag=True):
    """A frozen value that is one of a closed union and carries its own name when encoded."""


V = TypeVar("V", bound=msgspec.Struct)


def replace(value: V, /, **changes: Any) -> V:  # noqa: ANN401 - the fields' own types are checked when decoded
    """Return the successor of `value` with `changes` applied."""
    return msgspec.structs.replace(value, **changes)
