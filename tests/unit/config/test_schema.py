"""The JSON Schema for editors: valid, made from the same tables, and of one mind with the reader."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from holdfast.config import load, schema
from holdfast.config.keys import sections
from holdfast.config.reference import BEGIN, renewed
from holdfast.config.tables import ROOT
from tests.unit.config.test_problems import MISTAKES
from tests.unit.config.worlds import load as read_text
from tests.unit.config.worlds import tree

PROJECT = Path(__file__).parents[3]
EXAMPLES = sorted((PROJECT / "examples").glob("*.yaml"))
VALIDATOR = Draft202012Validator(schema())


def document(lines: str) -> Any:
    keys = "\n".join("    " + line for line in lines.splitlines())
    return tree(f"system: shop\nservices:\n  web:\n{keys}\n")


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid_for_the_schema_and_for_the_reader(path: Path) -> None:
    VALIDATOR.validate(tree(path.read_text("utf-8")))
    load(path)


def test_the_documents_own_examples_are_valid() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text("utf-8")
    found = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(found) > 1
    for example in found:
        VALIDATOR.validate(tree(example))
        read_text(example)


# Mistakes of shape are for the schema to find too; what takes meaning to see, only the reader can tell.
SHAPES = [
    "unknown key",
    "must be a duration",
    "must be a mapping",
    "must be a number",
    "must be a path",
    "must be a size",
    "must be a variable's name",
    "must be a whole number",
    "must be active-active",
    "must be names with settings",
    "must be one_for_one",
    "must be true or false",
    "needs exactly one of",
    "needs the key listen",
]
SHAPELESS = (
    "window: 999",
    "010",
    "tcp: 70000",
    ".nan",
    "failback: yes",
)  # PyYAML reads them as what they might mean
COMPARED = [
    lines
    for lines, wanted in MISTAKES
    if any(shape in wanted for shape in SHAPES) and not any(word in lines for word in SHAPELESS)
]


@pytest.mark.parametrize("lines", COMPARED)
def test_a_mistake_of_shape_is_a_mistake_for_the_schema(lines: str) -> None:
    assert not VALIDATOR.is_valid(document(lines))


def test_many_mistakes_were_compared() -> None:
    assert len(COMPARED) > 30


def test_every_key_has_a_sentence_and_no_second_place() -> None:
    tables = (ROOT, *sections(tuple(key.kind for key in ROOT.keys)))
    for table in tables:
        assert len({key.name for key in table.keys}) == len(table.keys), table.title
        assert all(key.doc and not key.doc.endswith(".") for key in table.keys), table.title
    assert len({table.id for table in tables}) == len(tables) > 10


def test_every_field_of_a_tables_model_is_filled_by_a_key_or_known_to_be_made() -> None:
    made = {
        "ServicePolicy": {"name", "is_builtin", "components", "is_leased", "elsewhere"},
        "HostPolicy": {"name"},
        "ProbePolicy": {"name", "check"},
        "MemberPolicy": {"name", "tags"},
        "TrafficPolicy": {"listen_host", "listen_port"},
        "ReadPolicy": {"listen_host", "listen_port"},
        "ProcessSpec": {"stop_signal", "stop_grace", "managed"},
        "Policy": {"revision", "size"},
        "PostgresServer": {"host", "port", "start_timeout", "demote_timeout", "monitor_timeout"},
        "RedisServer": {
            "host",
            "port",
            "start_timeout",
            "promote_timeout",
            "demote_timeout",
            "monitor_timeout",
        },
    }
    for table in (ROOT, *sections(tuple(key.kind for key in ROOT.keys))):
        if table.id in ("services-run-stop", "services-run-monitor", "services-run-timeouts"):
            continue  # each fills some fields of a model that has more
        fields = set(table.model.__struct_fields__) - made.get(table.model.__name__, set())
        assert fields <= {key.field or key.name for key in table.keys}, table.title


def test_defaults_in_the_schema_are_written_as_in_the_file() -> None:
    restart = schema()["$defs"]["services-restart"]["properties"]
    assert restart["window"]["default"] == "1m"
    assert restart["max"]["default"] == 5


def test_the_reference_in_the_docs_is_the_one_that_the_tables_give() -> None:
    document = (PROJECT / "docs" / "configuration.md").read_text("utf-8")
    assert BEGIN in document
    assert document == renewed(document), (
        "renew it: python -m holdfast.config.reference docs/configuration.md"
    )
