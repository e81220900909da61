"""Electing: what has to be proven of a candidate before it is promoted, and what has to stand before it opens for writes.

The lease is the right to serve; it says nothing of what a log lacks. So the candidate stands still, compares its log with the last
words of the others, and writes itself into the record in one transaction with the lease: only then it is promoted.
"""

import asyncio
from collections.abc import Mapping

from holdfast.model.ids import ComponentId, Epoch, MemberName, member_of, service_of
from holdfast.model.postgresql import Commit, Kept, PostgresServer, Record
from holdfast.model.standing import Status
from holdfast.model.value import Value, replace
from holdfast.postgresql import running, timelines
from holdfast.postgresql.asking import Standing, ask_standing
from holdfast.postgresql.books import Books, instance_of, settings_of, wish_of
from holdfast.postgresql.comparing import could_serve, could_speak, heard, is_running, until_heard, why_behind
from holdfast.postgresql.position import Position
from holdfast.postgresql.synchronous import Member, Rule, describe, record_after, rule_after, why_not

_RESTS_S, _LOOK_AGAIN_S = 5.0, 0.02
_ROUNDS = 3  # of a second each: who is needed may be about to come up
_HOPELESS_S = 1.0  # who may lack commits lacks them in a moment as well: it is not tried ten times a second


class Won(Value, frozen=True):
    """It may be promoted, and has to have this setting in force before it opens."""

    setting: str
    timeline: int  # that it begins, or has begun: nobody else is ever given this number
    told: str = ""  # for whom its commits wait, for people


async def elect(component: ComponentId, server: PostgresServer, books: Books, lease: Epoch) -> Won | str:
    """Prove that the member may be promoted under `lease`, and write that down; in words why not.

    Unanswered, Unreadable, OSError, NoAccount otherwise.
    """
    service, instance = service_of(component), instance_of(component, server)
    kept, standing = await asyncio.gather(books.read_record(service), ask_standing(instance))
    if isinstance(kept, str):
        return f"the coordinator does not tell who may be promoted: {kept}"
    if standing.is_primary:
        return await _again(component, books, kept, standing, lease)
    own = await stand_still(component, server, books)
    if isinstance(own, str):
        return own
    if kept.record is None and server.commit is Commit.ASYNCHRONOUS:
        why, rule = await why_not_furthest(component, own, books, lease), Rule()
        timeline = why or await timelines.draw(instance, service, books, lease, own.timeline)
        return _won(component, server, rule, own, timeline)
    words = await _compared(component, books, kept.record, own, lease)
    if isinstance(words, str):
        return words
    rule = _rule(component, server, books, words)
    # A number that is drawn in vain is left out; both ask for the lease in their transactions.
    why, timeline = await asyncio.gather(
        _write(component, books, rule, (kept, words), lease),
        timelines.draw(instance, service, books, lease, own.timeline),
    )
    return _won(component, server, rule, own, why or timeline)


def _won(
    component: ComponentId, server: PostgresServer, rule: Rule, own: Position, timeline: int | str
) -> Won | str:
    if isinstance(timeline, str):
        return timeline
    timelines.show_as_taken(instance_of(component, server), own.timeline, timeline)
    is_told = server.commit is not Commit.ASYNCHRONOUS or rule != Rule()
    return Won(rule.setting, timeline, describe(rule, wish_of(server)) if is_told else "")


async def _again(
    component: ComponentId, books: Books, kept: Kept, standing: Standing, lease: Epoch
) -> Won | str:
    """Return whether a server that is open already may stay so: only if the record says that it is the primary."""
    if kept.record is not None and kept.record.primary != member_of(component):
        return f"it is open for writes, and the record says that {kept.record.primary} is the primary"
    why = await books.why_not_holder(service_of(component), lease)
    return why or Won(standing.synchronous, standing.position.timeline)


async def why_not_furthest(component: ComponentId, own: Position, books: Books, lease: Epoch) -> str:
    """Await the last words of all that could serve or are at rest; return whose log goes further than `own`."""
    await until_heard(component, books, lease, lambda each: could_serve(each) or each.is_clear)
    return why_behind(component, own, books)


async def stand_still(component: ComponentId, server: PostgresServer, books: Books) -> Position | str:
    """Have it follow nobody, and await that it receives nothing any more and has found all of its log.

    Return how far that goes; in words why it does not come to rest. Unanswered, Unreadable, OSError otherwise.
    """
    instance, before, why = instance_of(component, server), Position(), ""
    await running.follow(instance, settings_of(component, server, books, None))
    for _ in range(int(_RESTS_S / _LOOK_AGAIN_S)):
        standing = await ask_standing(instance)
        is_still = not standing.is_receiving and standing.is_complete
        if is_still and standing.position == before:
            return before
        before = standing.position if is_still else Position()
        why = "it still receives" if standing.is_receiving else "it has not found the end of its log yet"
        await asyncio.sleep(_LOOK_AGAIN_S)
    return why


async def _compared(
    component: ComponentId, books: Books, record: Record | None, own: Position, lease: Epoch
) -> dict[MemberName, Position] | str:
    """Return the last words under `lease` once they say that the candidate lacks nothing; in words why not."""
    me, why = member_of(component), ""

    def words_of() -> dict[MemberName, Position]:
        return {**heard(component, books, lease), me: own}

    def are_enough() -> bool:
        # Who runs is waited for: it will follow, and acknowledge. Who has to come up first is not, if nothing depends on it.
        running = (name for name, report in books.others(component).items() if is_running(report))
        words = words_of()
        return (
            record is not None and all(name in words for name in running) and not why_not(record, me, words)
        )

    for _ in range(_ROUNDS):
        await until_heard(component, books, lease, could_speak, are_enough)
        words = words_of()
        # Without a record commits were asynchronous so far, and who is furthest is good enough.
        why = why_behind(component, own, books) if record is None else why_not(record, me, words)
        if not why:
            return words
    if record is not None and me not in record.names:
        await asyncio.sleep(_HOPELESS_S)
    return why


async def _write(
    component: ComponentId,
    books: Books,
    rule: Rule,
    compared: tuple[Kept, Mapping[MemberName, Position]],
    lease: Epoch,
) -> str:
    """Write the record under which it becomes primary; return why not, if so. The transaction asks the lease once more."""
    (kept, words), me = compared, member_of(component)
    after = replace(record_after(me, words, rule), epoch=lease)
    why = await books.write_record(service_of(component), after, kept, lease)
    return f"it could not be written down that it becomes primary: {why}" if why else ""


def _rule(
    component: ComponentId, server: PostgresServer, books: Books, words: Mapping[MemberName, Position]
) -> Rule:
    """Return the rule that is in force from its first commit on: those that run and gave their last word will follow it."""
    tags, reports = books.tags(service_of(component)), books.others(component)
    followers = [
        Member(name, is_streaming=True, priority=tags[name].priority, is_allowed=tags[name].may_acknowledge)
        for name in words
        if name in tags and name in reports and reports[name].status in (Status.UP, Status.SUSPECT)
    ]
    return rule_after(wish_of(server), followers)
