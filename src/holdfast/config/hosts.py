"""The hosts of a cluster, how each is fenced, and on which of them members may run."""

import re
from collections.abc import Iterable
from collections.abc import Mapping as Names
from typing import TypeAlias

from holdfast.config.addresses import LOOPBACK, Host
from holdfast.config.cluster import KEPT_SECRET
from holdfast.config.commands import Command, FilePath
from holdfast.config.document import Mapping, Node, Scalar
from holdfast.config.keys import Key, Reading, Section, Table, key_place
from holdfast.config.kinds import Kind, ListOf, MapOf, Plain, RefusedError, Schema, Text, name_kind
from holdfast.config.problems import quote
from holdfast.config.quantities import Span, Whole
from holdfast.config.scope import INVALID, Invalid, Scope
from holdfast.model import policy as model
from holdfast.model.ids import HostName, ServiceName
from holdfast.model.time import HOUR, SECOND

HOSTS_MIN = 2
BY_HOST = "host"  # spread over hosts, as if each had a label of its own

# The hosts that the file names; None for one whose section has problems. None altogether: the file is for one host.
Hosts: TypeAlias = dict[HostName, model.HostPolicy | None]

LABEL = Text(rf"(?!{BY_HOST}$)[a-z][a-z0-9-]{{0,39}}", f"a label of a-z, 0-9 and -, and not be {BY_HOST}")


class LabelValue(Plain, frozen=True):
    """What a label says. Numbers need no quotes: `rack: 12`."""

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not re.fullmatch(self.pattern, scalar.text, re.ASCII):
            raise RefusedError(f"must be {self.words}")
        return scalar.text

    @property
    def pattern(self) -> str:
        """What is allowed, as a regular expression."""
        return r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a word of letters, digits, ., _ and -"


LABELS = MapOf(LABEL, LabelValue())


class Option(Kind, frozen=True):
    """What one option of a fence agent is set to."""

    def read(self, node: Node, scope: Scope) -> str | model.SecretFrom | Invalid:
        """Return the text, or the secret's place."""
        if not isinstance(node, Mapping):
            text: str | Invalid = Plain(is_one_line=True).read(node, scope)
            return text
        secret: model.SecretFrom | Invalid = Section(KEPT_SECRET).read(node, scope)
        return secret

    def inner(self) -> tuple[Kind, ...]:
        """Return the kind of secrets."""
        return (Section(KEPT_SECRET),)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "text, a number, or a secret's place: { file: PATH } or { env: NAME }"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"oneOf": [Plain().schema(), Section(KEPT_SECRET).schema()]}


_OPTIONS = MapOf(
    Text(
        "(?!action$)[a-z][a-z0-9_-]{0,60}", "an option of the fence agent, and not be action, which is ours"
    ),
    Option(),
)

FENCE = Table(
    "hosts.NAME.fence",
    "How the other hosts make sure that this one is off. Exactly one of agent and command.",
    model.FencePolicy,
    (
        Key(
            "agent",
            FilePath(keep_bare=True),
            "a fence agent such as fence_ipmilan, from the packages fence-agents",
            default="none",
        ),
        Key("options", _OPTIONS, "the fence agent's options, given to it on its standard input"),
        Key(
            "command",
            Command(),
            "a program of your own: when it ends with 0, the host is surely off",
            default="none",
        ),
        Key("timeout", Span(SECOND, HOUR), "how long it may take"),
    ),
    exactly_one=("agent", "command"),
    example="write, for example, { agent: fence_ipmilan, options: { ip: 10.0.9.1 } }",
)


class Fence(Section, frozen=True):
    """How to make sure that a host is off."""

    def check(self, reading: Reading, scope: Scope) -> bool:
        """Tell whether options have an agent to go to; note it if not."""
        if "options" not in reading.key_places or "command" not in reading.values:
            return True
        scope.refuse_at(
            reading.key_places["options"], "options goes with agent, not with command", "remove it"
        )
        return False


HOST = Table(
    "hosts.NAME",
    "One host. The name is the one that `holdfast agent` goes by there.",
    model.HostPolicy,
    (
        Key("address", Host(), "where the other hosts reach it", is_required=True),
        Key("labels", LABELS, "words about it for `placement`, such as { zone: a }"),
        Key("capacity", Whole(0, 10_000), "how many members the leader may place on it; 0: any number"),
        Key("fence", Fence(FENCE), "how to make sure that it is off", default="no fencing"),
    ),
    example="write, for example, h1: { address: 10.0.0.1 }",
)


class OneHost(Section, frozen=True):
    """One host. Its name is the last part of its path."""

    def build(self, reading: Reading) -> model.HostPolicy:
        """Return it from a section without faults."""
        return model.HostPolicy(name=reading.place.path[-1], **reading.fields())


class HostsByName(MapOf, frozen=True):
    """The hosts. One alone would be no cluster."""

    @property
    def words(self) -> str:
        """What is allowed."""
        return f"hosts by name, {HOSTS_MIN} at least"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return super().schema() | {"type": "object", "minProperties": HOSTS_MIN}


HOSTS = HostsByName(name_kind(), OneHost(HOST))

PLACEMENT = Table(
    "services.NAME.placement",
    "Several hosts: where the leader may run the members that have no `on`.",
    model.PlacementPolicy,
    (
        Key("require", LABELS, "only on hosts with these labels"),
        Key("prefer", LABELS, "rather on hosts with these labels"),
        Key(
            "spread_by",
            Text("[a-z][a-z0-9-]{0,39}", "a label of the hosts, or host"),
            "spread the members over the values of this label; host: over the hosts",
        ),
        Key("apart_from", ListOf(name_kind()), "not on a host with a member of these services"),
        Key("together_with", ListOf(name_kind()), "only on a host with a member of each of these services"),
        Key(
            "move_after",
            Span(SECOND, 24 * HOUR),
            "how long a lost host may take to come back before its members are moved",
        ),
    ),
)


def read_hosts(node: Node, scope: Scope) -> Hosts:
    """Return the hosts by name; note every problem in them."""
    if not isinstance(node, Mapping) or not node.entries:
        scope.refuse(node, f"must be {HOSTS.words}", HOST.example)
        return {}
    hosts: Hosts = {}
    for name, entry in node.entries.items():
        if not HOSTS.accepts(name):
            scope.refuse_at(key_place(node, name), f"{quote(name)} must be {HOSTS.key.words}")
        policy = HOSTS.item.read(entry, scope)
        hosts[name] = None if policy is INVALID else policy
    if len(hosts) < HOSTS_MIN:
        message = f"must be {HOSTS.words}: one alone has nowhere to move anything to"
        scope.refuse(node, message, "add a host, or remove hosts and cluster")
    _check_addresses(node, hosts, scope)
    return hosts


def address_of(hosts: Hosts, name: HostName) -> str:
    """Return the host's address; a stand-in if it could not be read, so that the rest is looked at all the same."""
    host = hosts.get(name)
    return host.address if host else LOOPBACK


def candidates(
    hosts: Iterable[model.HostPolicy], on: HostName | None, placement: model.PlacementPolicy
) -> tuple[model.HostPolicy, ...]:
    """Return the hosts where a member may run: the one that it is bound to, or those with the labels that it requires."""
    if on is not None:
        return tuple(host for host in hosts if host.name == on)
    return tuple(host for host in hosts if has_labels(host, placement.require))


def left_for(
    hosts: Iterable[model.HostPolicy],
    placement: model.PlacementPolicy,
    bound: Names[ServiceName, tuple[HostName | None, ...]],
) -> tuple[model.HostPolicy, ...]:
    """Return the hosts that a placement leaves, as far as the file alone can tell: `bound` says where members always are."""
    taken = {on for other in placement.apart_from for on in bound.get(other, ())}
    needed = [set(bound[other]) for other in placement.together_with if other in bound]
    return tuple(
        host
        for host in candidates(hosts, None, placement)
        if host.name not in taken and all(host.name in ons or None in ons for ons in needed)
    )


def has_labels(host: model.HostPolicy, labels: dict[str, str]) -> bool:
    """Tell whether the host has all these labels."""
    return labels.items() <= host.labels.items()


def _check_addresses(node: Mapping, hosts: Hosts, scope: Scope) -> None:
    first: dict[str, HostName] = {}
    for name, host in hosts.items():
        if host is None:
            continue
        other = first.setdefault(host.address, name)
        if other != name:
            entry = node.entries[name]
            assert isinstance(entry, Mapping)
            place = key_place(entry, "address")
            message = f"is the address of {other} too"
            scope.refuse_at(place, message, "each host has an address of its own", seen=quote(host.address))
