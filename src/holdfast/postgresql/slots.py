"""Slots: what keeps a standby's log on its primary, and must not keep it for nobody.

Each member has a slot on each other member, so that whoever becomes primary has kept what the others still need. On a
standby nobody streams from, its slots are moved along by hand. A slot of ours whose member is gone for good is dropped;
for one that is only away, `max_slot_wal_keep_size` is the bound. Slots that are not ours are never touched.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from holdfast.model.ids import MemberName
from holdfast.model.value import Tagged, Value
from holdfast.postgresql.asking import ASK_WITHIN, local
from holdfast.postgresql.connecting import Statement, ask
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance, slot_name
from holdfast.postgresql.position import Lsn, parse_lsn, show_lsn

PREFIX = "holdfast_"


class Slot(Value, frozen=True):
    """A physical slot as its server tells of it."""

    name: str
    is_active: bool
    restart: Lsn  # from here on the log is kept; 0: nothing is kept yet
    is_lost: bool = False  # max_slot_wal_keep_size took away what it was to keep
    keeps: int = 0  # bytes of log that it keeps


class Create(Tagged, frozen=True):
    """Make a slot."""

    name: str


class Drop(Tagged, frozen=True):
    """Remove a slot."""

    name: str
    why: str


class Advance(Tagged, frozen=True):
    """Move a slot of a standby along: nobody streams through it, and its member has the log up to there."""

    name: str
    to: Lsn


Change: TypeAlias = Create | Drop | Advance


def plan(
    me: MemberName,
    members: Iterable[MemberName],
    slots: Iterable[Slot],
    replayed: Mapping[MemberName, Lsn],
    *,
    is_primary: bool,
    fed_elsewhere: Collection[MemberName] = (),
) -> tuple[Change, ...]:
    """Return what has to change on this server.

    `members` are those of the service's file, up or not. `replayed` tells how far each one's log is known to be; on a
    standby its slot is moved to there, or stays where that is not known. On a primary only slots of those are moved who are
    `fed_elsewhere`, by another standby.
    """
    wanted = {slot_name(member): member for member in members if member != me}
    there = {slot.name: slot for slot in slots if slot.name.startswith(PREFIX)}
    changes: list[Change] = []
    for name, slot in there.items():
        may_move = not is_primary or wanted.get(name) in fed_elsewhere
        if slot.is_active:
            continue  # somebody streams through it; PostgreSQL would refuse as well
        if name not in wanted:
            changes.append(Drop(name, "no member is called so any more"))
        elif slot.is_lost:
            changes += [Drop(name, "what it was to keep is gone"), Create(name)]
        elif may_move and (to := replayed.get(wanted[name], 0)) > slot.restart:
            changes.append(Advance(name, to))
    changes += [Create(name) for name in wanted if name not in there]
    return tuple(changes)


_SLOTS = """
select slot_name, active, restart_lsn, wal_status, pg_wal_lsn_diff(
  case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn)
from pg_replication_slots where slot_type = 'physical' and not temporary order by slot_name
"""


_ADVANCE = """
select pg_replication_slot_advance($1, least($2::pg_lsn,
  case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end))
"""


async def ask_slots(instance: Instance) -> tuple[Slot, ...]:
    """Return the server's physical slots; Unanswered otherwise."""
    (rows,) = await ask(local(instance, ASK_WITHIN), _SLOTS, within=ASK_WITHIN)
    return tuple(
        Slot(
            name or "",
            active == "t",
            parse_lsn(restart) if restart else 0,
            is_lost=status == "lost",
            keeps=max(0, int(keeps or 0)),
        )
        for name, active, restart, status, keeps in rows
    )


async def carry_out(instance: Instance, changes: Iterable[Change]) -> tuple[str, ...]:
    """Make the changes, each by itself; return what could not be done, for people."""
    problems = []
    for change in changes:
        try:
            await ask(local(instance, ASK_WITHIN), _statement(change), within=ASK_WITHIN)
        except Unanswered as unanswered:
            problems.append(f"slot {change.name}: {unanswered}")
    return tuple(problems)


def _statement(change: Change) -> Statement:
    match change:
        case Create(name=name):
            # Reserved at once: from now on the log is kept, and not only from the first connection on.
            return ("select pg_create_physical_replication_slot($1, true)", (name,))
        case Drop(name=name):
            return ("select pg_drop_replication_slot($1)", (name,))
        case Advance(name=name, to=to):
            # Not beyond what this server has itself: there it would refuse.
            return (_ADVANCE, (name, show_lsn(to)))
