"""JSON for scripts: values as msgspec writes them, readable on a terminal, one line in a pipe."""

import sys
from typing import Any

import click
import msgspec


def print_json(value: Any) -> None:  # noqa: ANN401 - any value that msgspec can encode
    """Print `value` as one JSON document."""
    print_json_bytes(msgspec.json.encode(value))


def print_json_bytes(encoded: bytes) -> None:
    """Print a JSON document that is already encoded."""
    text = msgspec.json.format(encoded, indent=2 if sys.stdout.isatty() else 0)
    click.echo(text.decode())
