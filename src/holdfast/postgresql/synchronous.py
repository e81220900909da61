"""Synchronous commit: for whom a primary waits, who may be promoted, and in which order both may change.

Two facts have to fit together at any instant. The *rule* is in force on the primary: a commit is acknowledged when `need`
of `names` have it on disk. The *record* stands in the coordinator: who may be elected is the furthest of at least
`electing` of `voters`, all of whom stopped streaming before they were compared. They fit when each set of standbys that
can acknowledge a commit meets each set that can elect: then somebody in every election has every acknowledged commit,
and the furthest has them all, as logs are beginnings of each other.

A change is a series of steps, each of which keeps that true:

- A stricter record (fewer voters, or more of them needed) may be written down at any time.
- A rule may be set when it fits the record that is written down.
- A looser record may be written down only when the rule in force fits it, and *covers* all that was committed under
  earlier rules: `need` of `names` have everything up to a place in the log that was read after the rule was in force.

So nobody may ever be promoted but by a record that was written down before commits could rely on it. The primary itself is
always good enough: it has all that it acknowledged.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

from holdfast.model.ids import MemberName
from holdfast.model.value import Tagged, Value
from holdfast.postgresql.position import Lsn, Position

NOBODY = "holdfast_nobody"  # no standby is called so: a commit that waits for it waits for ever


class Mode(StrEnum):
    """How commits wait for standbys."""

    OFF = "off"  # they do not: the loss is bounded by the lag
    PRIORITY = "priority"  # for certain standbys, all of them
    QUORUM = "quorum"  # for any so many of all


class Wish(Value, frozen=True):
    """What the operator wants of synchronous commit."""

    mode: Mode = Mode.OFF
    count: int = 1  # how many standbys a commit waits for
    is_strict: bool = False  # rather wait than commit with fewer


class Member(Value, frozen=True):
    """A standby, as its primary sees it."""

    name: MemberName
    is_streaming: bool  # and near enough: what follows from far away would only slow commits down
    priority: int = 0  # more is better
    is_allowed: bool = True  # not marked as never synchronous


class Rule(Value, frozen=True):
    """A commit waits for `need` of `names`."""

    names: tuple[MemberName, ...] = ()  # sorted
    need: int = 0
    is_quorum: bool = False

    @property
    def setting(self) -> str:
        """Return it as synchronous_standby_names."""
        if not self.need:
            return ""
        names = self.names or (NOBODY,)
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        return f"{'ANY' if self.is_quorum else 'FIRST'} {self.need} ({quoted})"


class Record(Value, frozen=True):
    """Who may be promoted, as it stands in the coordinator beside the lease."""

    primary: MemberName
    voters: tuple[MemberName, ...] = ()  # sorted; none: only the primary itself may come back
    electing: int = 1  # how many voters have to be compared


class WriteDown(Tagged, frozen=True):
    """Write the record into the coordinator, if it still is the one that this was derived from."""

    record: Record
    why: str


class Set(Tagged, frozen=True):
    """Put the rule in force on the primary."""

    rule: Rule
    why: str


class Wait(Tagged, frozen=True):
    """Do nothing until the rule covers what was committed before it."""

    why: str


Step: TypeAlias = WriteDown | Set | Wait


def fits(rule: Rule, record: Record) -> bool:
    """Tell whether each set that can acknowledge under `rule` meets each set that can elect under `record`.

    The worst case takes first whoever the other side does not know; what is then still needed of those whom both know
    must be more than there are.
    """
    names, voters = set(rule.names), set(record.voters)
    known_to_both = len(names & voters)
    acknowledging = max(0, rule.need - len(names - voters))
    electing = max(0, record.electing - len(voters - names))
    return not voters or acknowledging + electing > known_to_both


def is_covering(rule: Rule, flushed: Mapping[MemberName, Lsn], place: Lsn) -> bool:
    """Tell whether all up to `place` is as safe as if it had been committed under `rule`."""
    return sum(flushed.get(name, 0) >= place for name in rule.names) >= rule.need


# --- what should be -------------------------------------------------------------------------------------


def choose(wish: Wish, members: Iterable[Member], current: Rule) -> Rule:
    """Return the rule that should be in force: whoever is in it already stays, if it still streams."""
    if wish.mode is Mode.OFF:
        return Rule()
    able = [member for member in members if member.is_streaming and member.is_allowed]
    able.sort(key=lambda member: (member.name not in current.names, -member.priority, member.name))
    if wish.mode is Mode.PRIORITY:
        able = able[: wish.count]
    names = tuple(sorted(member.name for member in able))
    need = min(wish.count, len(names))
    if wish.is_strict and need < wish.count:
        return _blocking(wish, names, current)
    return Rule(names, need, is_quorum=wish.mode is Mode.QUORUM)


def _blocking(wish: Wish, names: tuple[MemberName, ...], current: Rule) -> Rule:
    """Return the rule of a strict wish that cannot be met: it goes on as soon as those whom it waits for are back."""
    together = tuple(sorted({*names, *current.names})) if current.need else names
    return Rule(together, wish.count, is_quorum=wish.mode is Mode.QUORUM)


def record_of(primary: MemberName, rule: Rule) -> Record:
    """Return the loosest record that fits `rule`: all of its names vote, and as few as possible have to."""
    if not rule.need or rule.need > len(rule.names):
        return Record(primary)
    return Record(primary, rule.names, len(rule.names) - rule.need + 1)


# --- the way there --------------------------------------------------------------------------------------


def next_step(record: Record, rule: Rule, wanted: Rule, *, is_covered: bool) -> Step | None:
    """Return the next step from `record` and `rule` towards `wanted`; None: all is as it should be.

    `is_covered` is about `rule`: see is_covering. Whoever asks has `record` as it stands in the coordinator.
    """
    if rule != wanted:
        if fits(wanted, record):
            return Set(wanted, _tell(rule, wanted))
        return WriteDown(_stricter(record, wanted), f"before {_tell(rule, wanted)}")
    goal = record_of(record.primary, rule)
    if goal == record:
        return None
    if is_stricter(goal, record):
        return WriteDown(goal, "fewer may be promoted")
    if is_covered:
        return WriteDown(goal, f"{', '.join(goal.voters)} have all that was committed")
    return Wait(f"until {rule.need} of {', '.join(rule.names)} have all that was committed before")


def is_stricter(record: Record, than: Record) -> bool:
    """Tell whether each set that can elect under `record` could under `than`: then it is as safe at least."""
    can_elect = record.electing <= len(record.voters)
    return not can_elect or (set(record.voters) <= set(than.voters) and record.electing >= than.electing)


def _stricter(record: Record, wanted: Rule) -> Record:
    """Return the loosest record that is stricter than `record` and fits `wanted`."""
    both = tuple(name for name in record.voters if name in wanted.names)
    return _loosest(record.primary, (record.voters, both), record.electing, wanted)


def _loosest(
    primary: MemberName, choices: Iterable[tuple[MemberName, ...]], electing_min: int, rule: Rule
) -> Record:
    found = [
        Record(primary, voters, electing)
        for voters in choices
        for electing in range(electing_min, len(voters) + 1)
        if fits(rule, Record(primary, voters, electing))
    ]
    # The fewer are needed the better; among those, the more may be asked the better.
    return min(found, key=lambda each: (each.electing, -len(each.voters)), default=Record(primary))


def _tell(rule: Rule, wanted: Rule) -> str:
    come = sorted(set(wanted.names) - set(rule.names))
    leave = sorted(set(rule.names) - set(wanted.names))
    changes = [f"{name} joins" for name in come] + [f"{name} leaves" for name in leave]
    return ", ".join(changes) or f"commits wait for {wanted.need} instead of {rule.need}"


# --- promotion ------------------------------------------------------------------------------------------


def why_not(record: Record, candidate: MemberName, heard: Mapping[MemberName, Position]) -> str:
    """Return why `candidate` must not be promoted under `record`; empty: it may.

    `heard` has the positions of members that stopped streaming before they were asked, the candidate's included: one
    that still streams could acknowledge a commit after it was compared. The record has to be the same still when the
    new one, `record_after`, takes its place: by compare-and-swap, before the candidate opens for writes.
    """
    if candidate == record.primary:
        return ""
    if candidate not in record.voters:
        return f"{candidate} may lack acknowledged commits: it is not among {_names(record)}"
    if candidate not in heard:
        return f"the position of {candidate} is not known"
    compared = {name: position for name, position in heard.items() if name in record.voters}
    if len(compared) < record.electing:
        return f"{len(compared)} of {record.electing} members that have to be compared answered"
    further = [name for name, position in sorted(compared.items()) if position > heard[candidate]]
    if further:
        return f"{further[0]} is further: {heard[further[0]]} against {heard[candidate]}"
    return ""


def record_after(
    record: Record, candidate: MemberName, heard: Mapping[MemberName, Position], rule: Rule
) -> Record:
    """Return the record under which `candidate` becomes primary with `rule` in force from its first commit on.

    Who is as far as the candidate has all that was acknowledged, and may vote at once as far as `rule` fits. Of a
    primary that comes back itself nobody else is known to be so far, unless the record said so.
    """
    if candidate == record.primary:
        return Record(candidate)
    equal = tuple(
        sorted(name for name, position in heard.items() if name != candidate and position == heard[candidate])
    )
    both = tuple(name for name in equal if name in rule.names)
    return _loosest(candidate, (equal, both), 1, rule)


def rule_after(wish: Wish, candidate: MemberName, heard: Mapping[MemberName, Position]) -> Rule:
    """Return the rule that has to be in force before `candidate` opens: those that answered will follow it."""
    others = [Member(name, is_streaming=True) for name in sorted(heard) if name != candidate]
    return choose(wish, others, Rule())


def _names(record: Record) -> str:
    return ", ".join((record.primary, *record.voters))
