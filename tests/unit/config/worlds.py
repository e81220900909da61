"""What the tests of the configuration share: a host with known users, and short ways to load."""

from textwrap import dedent
from typing import Any

import yaml

from holdfast.config import Accounts, ConfigError, load_text
from holdfast.model.policy import Policy

ROOT = Accounts(
    users=frozenset({"root", "www-data"}),
    groups=frozenset({"root", "ops"}),
    user="root",
    own_groups=frozenset({"root"}),
    is_root=True,
)
ALICE = Accounts(
    users=frozenset({"root", "alice", "www-data"}),
    groups=frozenset({"alice", "ops", "secret"}),
    user="alice",
    own_groups=frozenset({"alice", "ops"}),
    is_root=False,
)


class _Editor(yaml.SafeLoader):
    """Reads YAML as editors do: `on` is a word (YAML 1.2), not true (YAML 1.1)."""


_Editor.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if first not in "oO" or pair[0] != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def tree(text: str) -> Any:
    """Return the document in `text` as an editor has it, for the JSON Schema and for mutations."""
    return yaml.load(text, _Editor)


def load(text: str, accounts: Accounts = ROOT) -> Policy:
    """Load a file in the folder /srv/shop."""
    return load_text(dedent(text), "holdfast.yaml", "/srv/shop", accounts)


def service(lines: str, accounts: Accounts = ROOT) -> Policy:
    """Load a file with the one service `web`, whose keys are given."""
    keys = "\n".join("    " + line for line in dedent(lines).strip().splitlines())
    return load_text(f"system: shop\nservices:\n  web:\n{keys}\n", "holdfast.yaml", "/srv/shop", accounts)


def problems(text: str, accounts: Accounts = ROOT) -> list[str]:
    """Return the lines of the error that loading ends with."""
    try:
        load(text, accounts)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def service_problems(lines: str, accounts: Accounts = ROOT) -> list[str]:
    """Return the problems of the service `web`, without the file's name and the path to the service."""
    try:
        service(lines, accounts)
    except ConfigError as error:
        return [line.split(": ", 1)[1].removeprefix("services.web.") for line in str(error).splitlines()]
    return []
