"""The JSON Schema of the file, for editors: completion, help and red lines while typing.

It is made from the tables that reading uses. It knows shapes, not meanings: that a dependency exists or
that two ports differ, only `load` can tell.
"""

import msgspec

from holdfast.config.keys import Key, Section, Table, sections
from holdfast.config.kinds import Schema
from holdfast.config.tables import ROOT


def schema() -> Schema:
    """Return the JSON Schema (2020-12) of `holdfast.yaml`."""
    inner = sections(tuple(key.kind for key in ROOT.keys))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "holdfast.yaml",
        **_table(ROOT),
        "$defs": {table.id: _table(table) for table in inner},
    }


def _table(table: Table) -> Schema:
    required = [key.name for key in table.keys if key.is_required and not table.is_shared_out]
    made: Schema = {
        "description": table.doc,
        "type": "object" if required else ["object", "null"],
        "properties": {key.name: _key(table, key) for key in table.keys},
        "additionalProperties": False,
    }
    if required:
        made["required"] = required
    if table.exactly_one and not table.is_shared_out:
        made["oneOf"] = [{"type": "null"}, *({"required": [name]} for name in table.exactly_one)]
    if table.has_extensions:
        made["patternProperties"] = {"^x-": {}}
    return made


def _key(table: Table, key: Key) -> Schema:
    made = {**key.kind.schema(), "description": key.doc}
    default = table.default(key)
    if default not in (msgspec.NODEFAULT, None) and not isinstance(key.kind, Section) and not key.default:
        made["default"] = msgspec.to_builtins(key.kind.written(default))
    return made
