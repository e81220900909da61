"""A server outside of the cluster that the whole cluster follows: how it is reached, and whether our log is the beginning of its log.

A standby knows the roles that are in the log which it replays, and no others. So while the data comes from outside members stream
from each other under the role that they were given for that server. The cluster's own roles are made once it is open for writes;
see roles.py.
"""

import time

from holdfast.config.secrets import SecretError, read_secret
from holdfast.model.ids import ServiceName
from holdfast.model.postgresql import Outside, PostgresServer
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import replace
from holdfast.postgresql.asking import ASK_WITHIN, ask_history
from holdfast.postgresql.books import Books
from holdfast.postgresql.bootstrap import Passwords
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.files import read_file
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import (
    History,
    Position,
    Relation,
    Timeline,
    history_file,
    parse_history,
    relation,
)
from holdfast.postgresql.settings import Upstream, walsender_of

_ASK_AGAIN: Duration = 2 * SECOND


def upstream_of(outside: Outside) -> Upstream:
    """Return it as whom to stream from."""
    return Upstream(outside.host, outside.port, outside.user, outside.slot)


def passwords_of(service: ServiceName, server: PostgresServer, books: Books) -> Passwords:
    """Return how members prove who they are, to each other and outside; SecretError where a secret cannot be read."""
    passwords = books.passwords(service)
    if server.follows is None:
        return passwords
    try:
        secret = read_secret(server.follows.password)
    except SecretError as error:
        raise SecretError(f"follows.password: {error}") from None
    return replace(passwords, guest=secret.decode("utf-8", "replace").strip())


async def entered(instance: Instance, server: PostgresServer, source: Upstream) -> Upstream:
    """Return `source`, a member, with the role that it lets in: the one from outside while its data comes from there."""
    if server.follows is None:
        return source
    guest = replace(source, user=server.follows.user)
    try:
        await ask(walsender_of(instance, guest), "IDENTIFY_SYSTEM", within=ASK_WITHIN)
    except Unanswered as unanswered:
        if unanswered.fault is Fault.DENIED:
            return source  # it is open for writes, and knows our own
    return guest


class Entrance:
    """The role under which one server streams from whom it follows: asked for anew while it does not stream."""

    def __init__(self, instance: Instance, server: PostgresServer) -> None:
        self._instance = instance
        self._server = server
        self._known: tuple[Upstream, Upstream] | None = None
        self._asked_at: Instant = 0

    async def to(self, source: Upstream | None, *, is_streaming: bool) -> Upstream | None:
        """Return `source` with the role that it lets in."""
        if source is None or self._server.follows is None:
            return source
        now = time.monotonic_ns()
        is_due = not is_streaming and now - self._asked_at >= _ASK_AGAIN
        if self._known is None or self._known[0] != source or is_due:
            self._known, self._asked_at = (source, await entered(self._instance, self._server, source)), now
        return self._known[1]


async def ask_outside(instance: Instance, outside: Outside) -> tuple[str, Position, History]:
    """Return the server's system identifier, position and history; Unanswered otherwise."""
    try:
        return await ask_history(walsender_of(instance, upstream_of(outside)), 2 * ASK_WITHIN)
    except ValueError as error:
        raise Unanswered(Fault.OTHER, f"its history is not understood: {error}") from None


async def why_apart(instance: Instance, outside: Outside, system: str, own: Position) -> str:
    """Return why our log cannot go on with that of the server outside; empty: it can. Unanswered: that is not known."""
    theirs, there, history = await ask_outside(instance, outside)
    if theirs != system:
        return f"{outside.words} is of system {theirs}, and the data here of {system}"
    if is_apart(own, own_history(instance, own.timeline), there, history):
        return (
            f"its log, at {own}, is not the beginning of that of {outside.words}, at {there}: remove follows to have it be "
            "primary, or remove its data to have that cloned from there"
        )
    return ""


def is_apart(own: Position, ours: History | None, there: Position, theirs: History) -> bool:
    """Tell whether each of two logs has what the other one has not.

    Numbers of timelines are given to nobody twice inside of the cluster. Outside they are given again, so two timelines are the
    same only if the ways that led to them are. `ours`: None is a way that is not known.
    """
    if ours is not None and ours.forks != tuple(
        fork for fork in theirs.forks if fork.timeline < own.timeline
    ):
        return True
    return relation(own, there, theirs) is Relation.DIVERGED


def own_history(instance: Instance, timeline: Timeline) -> History | None:
    """Return the way to the timeline that the data is on; None: it is not told there."""
    if timeline <= 1:
        return History(timeline)
    text = read_file(instance.folder / "pg_wal" / history_file(timeline))
    try:
        return parse_history(timeline, text) if text else None
    except ValueError:
        return None
