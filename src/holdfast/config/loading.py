"""The file becomes a policy, or an error that carries everything that is wrong with it."""

import hashlib
import re
from pathlib import Path

import msgspec

from holdfast.config.accounts import Accounts
from holdfast.config.checks import check_dependencies, check_ports, in_start_order
from holdfast.config.document import BYTES_MAX, Mapping, Node, UnreadableError, parse, position
from holdfast.config.hosts import read_hosts
from holdfast.config.keys import Reading, key_place, read_table
from holdfast.config.kinds import NAME_PATTERN, name_kind
from holdfast.config.problems import ConfigError, Problem, quote
from holdfast.config.scope import INVALID, Scope
from holdfast.config.services import Ground, ServiceReading, read_service
from holdfast.config.several_hosts import (
    check_companions,
    check_fences,
    check_listens,
    check_pairing,
    check_placements,
)
from holdfast.config.tables import ROOT, SERVICE
from holdfast.model.ids import ServiceName
from holdfast.model.policy import Policy
from holdfast.model.value import replace

RESERVED = frozenset({"haproxy"})  # services that holdfast adds by itself


def load(path: str | Path, accounts: Accounts | None = None) -> Policy:
    """Return the policy in the file at `path`; ConfigError with all problems if there are any."""
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        folder = Path(path).absolute().parent
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
        raise ConfigError(name, [Problem(0, 0, (), "", f"cannot be read: {reason.lower()}")]) from None
    if len(content) > BYTES_MAX:
        message = f"the file is longer than {BYTES_MAX // 1_000_000} MB"
        raise ConfigError(name, [Problem(1, 1, (), "", message, "is it the right file?")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        line, column = position(before, len(before))
        message = f"is not UTF-8: the byte 0x{content[error.start]:02x} begins no character"
        raise ConfigError(name, [Problem(line, column, (), "", message, "save the file as UTF-8")]) from None
    return load_text(text, name, folder, accounts)


def load_text(
    text: str, name: str = "holdfast.yaml", folder: str | Path = "/", accounts: Accounts | None = None
) -> Policy:
    """Return the policy in `text`; relative paths start at `folder`. ConfigError with all problems if there are any."""
    problems: list[Problem] = []
    try:
        root = parse(text, problems)
    except UnreadableError as error:
        raise ConfigError(name, [*problems, error.problem]) from None
    scope = Scope(problems, Path(folder), accounts or Accounts.of_this_host())
    policy = _read_policy(root, scope)
    if problems:
        raise ConfigError(name, problems)
    assert policy is not None
    return policy


def _read_policy(root: Node, scope: Scope) -> Policy | None:
    reading = read_table(ROOT, root, scope)
    if reading is INVALID or not isinstance(root, Mapping):
        return None
    check_pairing(reading, scope)
    hosts = read_hosts(reading.values["hosts"], scope) if "hosts" in reading.values else None
    services = _read_services(reading, scope, Ground(reading.values.get("system", "system"), hosts))
    check_dependencies(root, services, scope)
    check_placements(root, services, hosts, scope)
    check_companions(root, services, scope)
    check_fences(root, services.values(), hosts, scope)
    usable = [service.policy for service in services.values() if service.policy]
    draft = Policy(
        system="",
        services={service.name: service for service in usable},
        haproxy=reading.get("haproxy"),
        cluster=reading.values.get("cluster"),
        hosts={name: host for name, host in (hosts or {}).items() if host is not None},
    )
    if hosts is None or draft.hosts:
        check_ports(root, draft, scope)
    check_listens(root, draft, scope)
    if scope.problems:
        return None
    fields = reading.fields("system", "threshold", "control")
    policy = replace(draft, **fields, services=in_start_order(usable))
    return replace(policy, revision=revision_of(policy))


def _read_services(reading: Reading, scope: Scope, ground: Ground) -> dict[ServiceName, ServiceReading]:
    node: Node | None = reading.values.get("services")
    if node is None:
        return {}
    if not isinstance(node, Mapping) or not node.entries:
        scope.refuse(node, "must be services by name", SERVICE.example)
        return {}
    services = {}
    for name, entry in node.entries.items():
        if not re.fullmatch(NAME_PATTERN, name):
            scope.refuse_at(key_place(node, name), f"{quote(name)} must be {name_kind().words}")
        elif name in RESERVED:
            scope.refuse_at(
                key_place(node, name), "is the name of holdfast's own balancer", "choose another name"
            )
        services[name] = read_service(name, entry, scope, ground)
    return services


def revision_of(policy: Policy) -> str:
    """Return a short hash of what the policy says: comments and layout do not count."""
    return hashlib.sha256(msgspec.json.encode(replace(policy, revision=""))).hexdigest()[:12]
