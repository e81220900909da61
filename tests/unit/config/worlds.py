"""What the tests of the configuration share: a host with known users, and short ways to load."""

from textwrap import dedent

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
