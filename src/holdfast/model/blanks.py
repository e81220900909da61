"""Blanks: what stands in a member's texts while it is not known on which host it runs.

`{host}`, `{address}` and `{on}` of a member that is bound to a host are filled in when the file is read. For a member that
the leader places, that is too early: reading leaves a blank, and localizing fills it once the member has a host. A blank
cannot be mistaken for text of the file: it begins and ends with NUL, which reading refuses wherever somebody writes it.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

HOST = "\0host\0"  # where the member's port is reached
ADDRESS = "\0address\0"  # the address of the host that it runs on
ON = "\0on\0"  # the name of that host

_BLANK = re.compile("\0[a-z]+\0")

T = TypeVar("T")


def filled(value: T, texts: Mapping[str, str]) -> T:
    """Return `value` with every blank in it replaced by its text in `texts`, in all texts of all values inside."""
    found: T = _filled(value, texts)
    return found


def shaped(text: str) -> str:
    """Return `text` with a letter for each blank: of the shape that it has once it is filled in."""
    return _BLANK.sub("h", text)


def _filled(value: Any, texts: Mapping[str, str]) -> Any:  # noqa: ANN401 - any value of the model
    match value:
        case str():
            return _BLANK.sub(lambda blank: texts[blank[0]], value) if "\0" in value else value
        case tuple():
            return tuple(_filled(item, texts) for item in value)
        case dict():
            return {key: _filled(item, texts) for key, item in value.items()}
        case msgspec.Struct():
            fields = {name: _filled(getattr(value, name), texts) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **fields)
        case _:
            return value
