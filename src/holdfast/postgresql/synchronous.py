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
always good enough: it has all that it acknowledged. And so is whoever has all of the primary's log, once that has stopped for
good: after a shutdown in good order any standby that received the last of it may follow, whether it voted or not.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from holdfast.model.ids import MemberName
from holdfast.model.postgresql import Commit, Record
from holdfast.model.value import Tagged, Value, replace
from holdfast.postgresql.position import Lsn, Position

NOBODY = "holdfast_nobody"  # no standby is called so: a commit that waits for it waits for ever

_SETTING = re.compile(r'(FIRST|ANY) ([0-9]+) \(("(?:[^"]|"")+"(?:, "(?:[^"]|"")+")*)\)')
_NAME = re.compile(r'"((?:[^"]|"")+)"')


class Wish(Value, frozen=True):
    """What the operator wants of synchronous commit."""

    mode: Commit = Commit.ASYNCHRONOUS
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


BLOCKING = Rule(need=1)  # nobody's commit is acknowledged


def parse_setting(setting: str) -> Rule | None:
    """Return the rule of a synchronous_standby_names that we wrote; None if somebody else did."""
    if not setting:
        return Rule()
    match = _SETTING.fullmatch(setting)
    if match is None:
        return None
    names = tuple(sorted(name.replace('""', '"') for name in _NAME.findall(match[3])))
    return Rule(() if names == (NOBODY,) else names, int(match[2]), is_quorum=match[1] == "ANY")


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
    if wish.mode is Commit.ASYNCHRONOUS:
        return Rule()
    able = [member for member in members if member.is_streaming and member.is_allowed]
    able.sort(key=lambda member: (member.name not in current.names, -member.priority, member.name))
    if wish.mode is Commit.SYNCHRONOUS:
        able = able[: wish.count]
    names = tuple(sorted(member.name for member in able))
    need = min(wish.count, len(names))
    if wish.is_strict and need < wish.count:
        return _blocking(wish, names, current)
    return Rule(names, need, is_quorum=wish.mode is Commit.QUORUM)


def _blocking(wish: Wish, names: tuple[MemberName, ...], current: Rule) -> Rule:
    """Return the rule of a strict wish that cannot be met: it goes on as soon as those whom it waits for are back."""
    together = tuple(sorted({*names, *current.names})) if current.need else names
    return Rule(together, wish.count, is_quorum=wish.mode is Commit.QUORUM)


def record_of(record: Record, rule: Rule) -> Record:
    """Return the loosest record of the same primary that fits `rule`: all names vote, and as few as possible have to."""
    if not rule.need or rule.need > len(rule.names):
        return replace(record, voters=(), electing=1)
    return replace(record, voters=rule.names, electing=len(rule.names) - rule.need + 1)


# --- the way there --------------------------------------------------------------------------------------


def next_step(record: Record, rule: Rule, wanted: Rule, *, is_covered: bool) -> Step | None:
    """Return the next step from `record` and `rule` towards `wanted`; None: all is as it should be.

    `is_covered` is about `rule`: see is_covering. Whoever asks has `record` as it stands in the coordinator.
    """
    if rule != wanted:
        if fits(wanted, record):
            return Set(wanted, _tell(rule, wanted))
        return WriteDown(_stricter(record, wanted), f"before {_tell(rule, wanted)}")
    goal = record_of(record, rule)
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
    return _loosest(record, (record.voters, both), record.electing, wanted)


def _loosest(
    base: Record, choices: Iterable[tuple[MemberName, ...]], electing_min: int, rule: Rule
) -> Record:
    every = (
        replace(base, voters=voters, electing=electing)
        for voters in choices
        for electing in range(electing_min, len(voters) + 1)
    )
    found = [record for record in every if fits(rule, record)]
    # The fewer are needed the better; among those, the more may be asked the better.
    closed = replace(base, voters=(), electing=1)
    return min(found, key=lambda each: (each.electing, -len(each.voters)), default=closed)


def _tell(rule: Rule, wanted: Rule) -> str:
    come = sorted(set(wanted.names) - set(rule.names))
    leave = sorted(set(rule.names) - set(wanted.names))
    changes = [f"{name} joins" for name in come] + [f"{name} leaves" for name in leave]
    return ", ".join(changes) or f"commits wait for {wanted.need} instead of {rule.need}"


# --- promotion ------------------------------------------------------------------------------------------


def why_not(record: Record, candidate: MemberName, heard: Mapping[MemberName, Position]) -> str:
    """Return why `candidate` must not be promoted under `record`; empty: it may.

    `heard` has the positions of members that stopped streaming before they were asked, the candidate's included: one
    that still streams could acknowledge a commit after it was compared. The primary of the record may be heard once it
    does not serve any more: then its position is the end of all that it ever acknowledged. The record has to be the same
    still when the new one, `record_after`, takes its place: by compare-and-swap, before the candidate opens for writes.
    """
    if candidate == record.primary:
        return ""
    own, last = heard.get(candidate), heard.get(record.primary)
    if own is not None and last is not None and own >= last:
        return ""
    if candidate not in record.voters:
        return f"{candidate} may lack acknowledged commits: it is not among {', '.join(record.names)}"
    if own is None:
        return f"the position of {candidate} is not known"
    compared = {name: position for name, position in heard.items() if name in record.voters}
    if len(compared) < record.electing:
        return f"{len(compared)} of {record.electing} members that have to be compared answered"
    further = [name for name, position in sorted(compared.items()) if position > own]
    if further:
        return f"{further[0]} is further: {heard[further[0]]} against {own}"
    return ""


def record_after(candidate: MemberName, heard: Mapping[MemberName, Position], rule: Rule) -> Record:
    """Return the record under which `candidate` becomes primary with `rule` in force from its first commit on.

    The candidate has all that was acknowledged; who is exactly as far has it too, and may vote at once as far as `rule`
    fits. That goes for a primary that comes back itself as well.
    """
    equal = tuple(
        sorted(name for name, position in heard.items() if name != candidate and position == heard[candidate])
    )
    both = tuple(name for name in equal if name in rule.names)
    return _loosest(Record(candidate), (equal, both), 1, rule)


def rule_after(wish: Wish, followers: Iterable[Member]) -> Rule:
    """Return the rule that has to be in force before a candidate opens, where `followers` are about to follow it."""
    return choose(wish, followers, Rule())


# --- for people -----------------------------------------------------------------------------------------


def describe(rule: Rule, wish: Wish) -> str:
    """Return for whom commits wait."""
    if wish.mode is Commit.ASYNCHRONOUS and not rule.need:
        return ""
    if not rule.need:
        return "commits wait for no standby: none follows closely enough"
    if rule.need > len(rule.names):
        names = f" beside {' and '.join(rule.names)}" if rule.names else ""
        return f"commits wait until {rule.need - len(rule.names)} more can acknowledge them{names}"
    if rule.need == len(rule.names):
        return f"commits wait for {' and '.join(rule.names)}"
    return f"commits wait for {rule.need} of {', '.join(rule.names)}"
